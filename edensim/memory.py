"""The wall: dataclasses in, numpy records to the compiled core, counts out.

Requests come in chunks and are never held; commands go out in chunks. Nothing below this file knows names or units, nothing above it knows records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.config import ControllerConfig, SourceConfig
from edensim.core import state
from edensim.core.channel import run_requests
from edensim.core.placing import FIELDS, MAPPING, place
from edensim.dram.address import AddressMap, address_map
from edensim.dram.standard import Standard
from edensim.dram.timing import timing_record
from edensim.exceptions import ConfigError, ProtocolError, TraceError
from edensim.results import Counts
from edensim.vocabulary import COMMAND, REQUEST

Records = NDArray[np.void]

#: Commands handed out at once.
COMMAND_CHUNK = 65_536


@dataclass(frozen=True)
class CoreRun:
    """What a core source did: core clock cycles until the last instruction retired."""

    cycles: int
    instructions: int
    llc_read_misses: int
    llc_write_misses: int
    llc_writebacks: int
    dram_reads: int
    dram_writes: int


@dataclass(frozen=True)
class MemoryRun:
    """Counts of a run; its commands where they were asked for; the core's figures where a core was the source."""

    counts: Counts
    commands: Records | None = None
    core: CoreRun | None = None

    @property
    def cycles(self) -> int:
        return self.counts.cycles


def mapping_record(mapping: AddressMap, standard: Standard) -> Records:
    """The MAPPING record of an address map, as an array of one."""
    record = np.zeros(1, MAPPING)
    m = record[0]
    m["offset_bits"], m["capacity"] = mapping.offset_bits, mapping.capacity_bytes
    m["groups_per_rank"], m["banks_per_group"] = standard.organization.bankgroups, standard.organization.banks
    at = 0
    for index, name in enumerate(FIELDS):
        m["start"][index] = at
        for part in mapping.slices:
            if part.field == name:
                m["address_bit"][at], m["mask"][at], m["field_bit"][at] = part.address_bit, (1 << part.width) - 1, part.field_bit
                at += 1
        m["stop"][index] = at
        for xor in mapping.xors:
            if xor.field == name:
                m["xor_bit"][index], m["xor_mask"][index] = xor.source_bit, (1 << xor.width) - 1
    return record


def channel_records(channels: int, standard: Standard, timing: Records) -> Records:
    """CHANNEL records before the first clock."""
    records = np.zeros(channels, state.CHANNEL)
    banks = standard.organization.banks_per_channel
    for index in range(channels):
        s = records[index]
        s["index"] = index
        s["open_row"][:banks] = -1
        s["slot_age"][0] = state.ABSENT  # slot 0 is no request
        s["free"][: state.MAX_SLOTS - 1] = np.arange(state.MAX_SLOTS - 1, 0, -1)
        s["frees"] = state.MAX_SLOTS - 1
        s["next_refresh"] = timing[0]["nREFI"] if timing[0]["refresh"] else state.FOREVER
        s["close_at"] = state.FOREVER
        s["due"] = 1
    return records


def simulate_memory(
    standard: Standard,
    controller: ControllerConfig,
    source: SourceConfig,
    requests: Iterable[Records],
    *,
    channels: int = 1,
    commands: bool = False,
    on_commands: Callable[[Records], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    locate: Callable[[int], str] | None = None,
) -> MemoryRun:
    """Run requests through the memory and drain it.

    requests: chunks of REQUEST records, consumed once, in order.
    commands: keep the issued commands in the result; on_commands: receive them in chunks instead.
    on_progress: called with the number of requests consumed after each chunk.
    locate: names the place of a request in its file, for messages.

    Raises TraceError for an address beyond the capacity, ConfigError for what cannot be simulated, ProtocolError for a state that must not be.
    """
    mapping = address_map(controller.address_mapping, standard.organization, channels)
    timing = timing_record(standard, controller)
    records = channel_records(channels, standard, timing)
    kept: list[Records] = []
    sink = on_commands or (kept.append if commands else None)
    if source.kind == "core":
        from edensim.memory_core import run_core  # pragma: no cover

        raise ConfigError(str(run_core))
    run_stream(records, timing, mapping_record(mapping, standard), mapping, requests, source.kind == "timed", sink, on_progress, locate)
    counts = collect_counts(records, standard, controller)
    issued = np.concatenate(kept) if kept else np.zeros(0, COMMAND)
    return MemoryRun(counts, issued if commands else None)


def run_stream(
    records: Records,
    timing: Records,
    mapping: Records,
    address_map: AddressMap,
    requests: Iterable[Records],
    timed: bool,
    sink: Callable[[Records], None] | None,
    on_progress: Callable[[int], None] | None,
    locate: Callable[[int], str] | None,
) -> None:
    """Feed the event loop chunk by chunk."""
    loop = np.zeros(1, state.LOOP)
    loop["tick"], loop["timed"], loop["record"] = 1, timed, sink is not None
    out = np.zeros(COMMAND_CHUNK if sink else 0, COMMAND)
    done = 0
    for placed, final in with_last(placed_chunks(requests, mapping, address_map, locate)):
        loop["position"], loop["final"] = 0, final
        while True:
            status = run_requests(records, timing, loop, placed, len(placed), out)
            if sink is not None and loop[0]["recorded"]:
                sink(out[: loop[0]["recorded"]].copy())
                loop["recorded"] = 0
            if status != state.COMMANDS_FULL:
                break
        if status == state.PRIORITY_OVERFLOW:
            raise ProtocolError(f"more than {state.MAX_PRIORITY} refreshes wait at clock {loop[0]['tick']}: the refresh interval leaves no time to do them")
        done += len(placed)
        if on_progress is not None:
            on_progress(done)


def placed_chunks(requests: Iterable[Records], mapping: Records, address_map: AddressMap, locate: Callable[[int], str] | None) -> Iterator[Records]:
    """Chunks of REQUEST to chunks of PLACED."""
    first = 0
    for chunk in requests:
        if chunk.dtype != REQUEST:
            raise TypeError(f"expected REQUEST records, found {chunk.dtype}")
        placed = np.empty(len(chunk), state.PLACED)
        bad = place(chunk, mapping, placed)
        if bad >= 0:
            where = locate(first + bad) if locate else f"request {first + bad}"
            raise TraceError(
                f"{where}: address {int(chunk[bad]['address']):#x} is beyond the capacity of {address_map.capacity_bytes:#x} bytes; expected an address below it"
            )
        first += len(chunk)
        yield placed


def with_last(chunks: Iterable[Records]) -> Iterator[tuple[Records, bool]]:
    """Each chunk, and whether it is the last; an empty stream gives one empty last chunk."""
    previous = np.empty(0, state.PLACED)
    for chunk in chunks:
        if len(previous):
            yield previous, False
        previous = chunk
    yield previous, True


def collect_counts(records: Records, standard: Standard, controller: ControllerConfig) -> Counts:
    """Counters of all channels as Counts."""
    organization = standard.organization
    banks, ranks = organization.banks_per_channel, organization.ranks
    cycles = int(max(records["last_command"].max(), records["last_departure"].max()))
    closed = np.where(records["rank_open"][:, :ranks] > 0, cycles, np.minimum(records["rank_closed_at"][:, :ranks], cycles))
    refresh = np.zeros((len(records), ranks), np.int64)
    if controller.refresh == "all-bank":
        duration = standard.timings["nRFC"]
        refreshed_at = records["rank_refreshed_at"][:, :ranks]
        issued = records["commands"][:, : banks : organization.banks_per_rank, 7]
        refresh = issued * duration - np.where(issued > 0, np.maximum(refreshed_at + duration - cycles, 0), 0)
    return Counts(
        commands=records["commands"][:, :banks].copy(),
        closings=records["closings"][:, :banks].copy(),
        rank_active_cycles=records["rank_active_cycles"][:, :ranks] + closed - records["rank_opened_at"][:, :ranks],
        rank_refresh_cycles=refresh,
        cycles=cycles,
        reads=int(records["accepted"][:, 0].sum()),
        writes=int(records["accepted"][:, 1].sum()),
        forwarded=int(records["forwarded"].sum()),
        coalesced=int(records["coalesced"].sum()),
        row_states=records["row_states"].sum(axis=0),
        read_latency_sum=int(records["latency_sum"].sum()),
        read_latency_max=int(records["latency_max"].max()),
        read_latency_histogram=records["latency"].sum(axis=0),
    )
