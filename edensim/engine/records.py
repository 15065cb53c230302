"""Records of the compiled core: made from standard, controller and address map; read back as counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.address import WAY_BITS, AddressMap
from edensim.dram.counts import Counts
from edensim.dram.partitions import RowRange
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.kernels.controller import state
from edensim.kernels.controller.address import FIELDS, MAPPING
from edensim.vocabulary import Command

Records = NDArray[np.void]


def mapping_record(mapping: AddressMap, standard: Standard) -> Records:
    """The MAPPING record of an address map, as an array of one."""
    record = np.zeros(1, MAPPING)
    m = record[0]
    m["offset_bits"], m["capacity"] = mapping.offset_bits, mapping.capacity_bytes
    m["ways"], m["way_bits"] = mapping.ways, WAY_BITS
    m["groups_per_rank"], m["banks_per_group"] = (
        standard.organization.bankgroups,
        standard.organization.banks,
    )
    at = 0
    for index, name in enumerate(FIELDS):
        m["start"][index] = at
        for part in mapping.slices:
            if part.field == name:
                m["address_bit"][at], m["mask"][at], m["field_bit"][at] = (
                    part.address_bit,
                    (1 << part.width) - 1,
                    part.field_bit,
                )
                at += 1
        m["stop"][index] = at
        for xor in mapping.xors:
            if xor.field == name:
                m["xor_bit"][index], m["xor_mask"][index] = xor.source_bit, (1 << xor.width) - 1
    return record


def aligned_zeros(count: int, dtype: np.dtype[np.void]) -> Records:
    """Zeros that start on a cache line, so that its sub-records do not straddle two."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


def channel_records(
    channels: int, standard: Standard, timing: Records, keep_returns: bool = False
) -> Records:
    """CHANNEL records before the first clock. keep_returns: the source wants to know when reads are back."""
    records = aligned_zeros(channels, state.CHANNEL)
    banks = standard.organization.banks_per_channel
    for index in range(channels):
        s = records[index]
        s["index"], s["keep_returns"] = index, keep_returns
        s["banks"]["open_row"][:banks] = -1
        s["cell"][:banks] = np.arange(banks)
        s["slots"]["age"][0] = s["slots"]["arrive"][0] = state.ABSENT  # slot 0 is no request
        s["free"][: state.MAX_SLOTS - 1] = np.arange(state.MAX_SLOTS - 1, 0, -1)
        s["frees"] = state.MAX_SLOTS - 1
        s["next_refresh"] = timing[0]["nREFI"][0] if timing[0]["refresh"] else state.FOREVER
        s["close_at"] = s["halt_at"] = state.FOREVER
        s["due"] = 1
    return records


def divide_banks(s: Any, ranges: Sequence[RowRange], banks: int) -> None:
    """Enter a channel's ranges of rows, those of a bank one after the other, into its record; their classes come with the operating points."""
    if len(ranges) > state.MAX_RANGES:
        raise ConfigError(
            f"dram.partitions: {len(ranges)} ranges of rows in one channel; at most {state.MAX_RANGES} can be simulated"
        )
    s["ranges"] = len(ranges)
    s["range_first"][: len(ranges)] = [rows.first for rows in ranges]
    s["range_last"][: len(ranges)] = [rows.last for rows in ranges]
    owners = np.array([rows.bank for rows in ranges], np.int64)
    s["range_start"][:banks] = np.searchsorted(owners, np.arange(banks), "left")
    s["range_stop"][:banks] = np.searchsorted(owners, np.arange(banks), "right")


def set_points(
    s: Any, cell_point: NDArray[np.int64], class_of: NDArray[np.int64], banks: int
) -> None:
    """Give every bank and range of rows of a channel its operating point; a divided bank has that of the rows in no range until it opens one."""
    s["cell_point"][: len(cell_point)] = cell_point
    s["bank_class"][:banks] = s["whole_class"][:banks] = class_of[cell_point[:banks]]
    s["cell"][:banks] = np.arange(banks)
    ranges = int(s["ranges"])
    s["range_class"][:ranges] = class_of[cell_point[banks : banks + ranges]]


def collect_counts(
    records: Records,
    standard: Standard,
    controller: ControllerConfig,
    cycles: int | None = None,
    ranges: Sequence[Sequence[RowRange]] = (),
) -> Counts:
    """Counters of all channels as Counts.

    cycles: end of the run; by default when the last command has issued and the last read is back. ranges: of rows, by channel.
    """
    organization = standard.organization
    banks, ranks = organization.banks_per_channel, organization.ranks
    if cycles is None:
        cycles = int(max(records["last_command"].max(), records["last_departure"].max()))
    closed = np.where(
        records["rank_open"][:, :ranks] > 0,
        cycles,
        np.minimum(records["rank_closed_at"][:, :ranks], cycles),
    )
    refresh = np.zeros((len(records), ranks), np.int64)
    if controller.refresh == "all-bank":
        duration = standard.timings["nRFC"]
        refreshed_at = records["rank_refreshed_at"][:, :ranks]
        issued = records["commands"][:, : banks : organization.banks_per_rank, Command.REFab]
        refresh = issued * duration - np.where(
            issued > 0, np.maximum(refreshed_at + duration - cycles, 0), 0
        )
    slept_open, slept_closed, self_refreshed = sleep_cycles(records, standard, controller, cycles)
    most = max(map(len, ranges), default=0)
    counts = Counts(
        commands=records["commands"][:, :banks].copy(),
        closings=records["closings"][:, :banks].copy(),
        range_commands=records["commands"][:, banks : banks + most].copy(),
        range_closings=records["closings"][:, banks : banks + most].copy(),
        rank_active_cycles=records["rank_active_cycles"][:, :ranks]
        + closed
        - records["rank_opened_at"][:, :ranks]
        - slept_open,
        rank_powerdown_active_cycles=slept_open,
        rank_powerdown_precharged_cycles=slept_closed,
        rank_selfrefresh_cycles=self_refreshed,
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
    for channel, divided in enumerate(ranges):  # a bank's counts are those of all its rows
        owners = [rows.bank for rows in divided]
        np.add.at(counts.commands[channel], owners, counts.range_commands[channel, : len(owners)])
        np.add.at(counts.closings[channel], owners, counts.range_closings[channel, : len(owners)])
    return counts


def sleep_cycles(
    records: Records, standard: Standard, controller: ControllerConfig, cycles: int
) -> tuple[NDArray[np.int64], ...]:
    """[channels, ranks] cycles in power-down with a bank open and with all banks closed, and in self-refresh, to the end of the run."""
    ranks = standard.organization.ranks
    slept_open, slept_closed = (
        records["rank_slept_open"][:, :ranks].copy(),
        records["rank_slept_closed"][:, :ranks].copy(),
    )
    self_refreshed = records["rank_self_refreshed"][:, :ranks].copy()
    is_idle, is_open = records["rank_work"][:, :ranks] == 0, records["rank_open"][:, :ranks] > 0
    quiet_at = records["rank_quiet_at"][:, :ranks]
    since = np.where(is_open, quiet_at, np.maximum(quiet_at, records["rank_closed_at"][:, :ranks]))
    until = np.full_like(since, cycles)
    if controller.self_refresh_idle_cycles is not None:
        deeper = since + controller.self_refresh_idle_cycles
        self_refreshed += np.where(is_idle & ~is_open, np.maximum(0, cycles - deeper), 0)
        until = np.where(is_open, until, np.minimum(until, deeper))
    if controller.power_down != "none":
        slept = np.where(
            is_idle, np.maximum(0, until - (since + controller.power_down_idle_cycles)), 0
        )
        slept_open += np.where(is_open, slept, 0)
        slept_closed += np.where(is_open, 0, slept)
    return slept_open, slept_closed, self_refreshed
