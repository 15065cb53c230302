"""Records of the compiled core: made from standard, controller and address map; read back as counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edensim.config import ControllerConfig
from edensim.core import state
from edensim.core.placing import FIELDS, MAPPING
from edensim.dram.address import AddressMap
from edensim.dram.standard import Standard
from edensim.results import Counts
from edensim.vocabulary import Command

Records = NDArray[np.void]


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


def aligned_zeros(count: int, dtype: np.dtype[np.void]) -> Records:
    """Zeros that start on a cache line, so that its sub-records do not straddle two."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


def channel_records(channels: int, standard: Standard, timing: Records, keep_returns: bool = False) -> Records:
    """CHANNEL records before the first clock. keep_returns: the source wants to know when reads are back."""
    records = aligned_zeros(channels, state.CHANNEL)
    banks = standard.organization.banks_per_channel
    for index in range(channels):
        s = records[index]
        s["index"], s["keep_returns"] = index, keep_returns
        s["banks"]["open_row"][:banks] = -1
        s["slots"]["age"][0] = s["slots"]["arrive"][0] = state.ABSENT  # slot 0 is no request
        s["free"][: state.MAX_SLOTS - 1] = np.arange(state.MAX_SLOTS - 1, 0, -1)
        s["frees"] = state.MAX_SLOTS - 1
        s["next_refresh"] = timing[0]["nREFI"][0] if timing[0]["refresh"] else state.FOREVER
        s["close_at"] = s["halt_at"] = state.FOREVER
        s["due"] = 1
    return records


def collect_counts(records: Records, standard: Standard, controller: ControllerConfig, cycles: int | None = None) -> Counts:
    """Counters of all channels as Counts. cycles: end of the run; by default when the last command has issued and the last read is back."""
    organization = standard.organization
    banks, ranks = organization.banks_per_channel, organization.ranks
    if cycles is None:
        cycles = int(max(records["last_command"].max(), records["last_departure"].max()))
    closed = np.where(records["rank_open"][:, :ranks] > 0, cycles, np.minimum(records["rank_closed_at"][:, :ranks], cycles))
    refresh = np.zeros((len(records), ranks), np.int64)
    if controller.refresh == "all-bank":
        duration = standard.timings["nRFC"]
        refreshed_at = records["rank_refreshed_at"][:, :ranks]
        issued = records["commands"][:, : banks : organization.banks_per_rank, Command.REFab]
        refresh = issued * duration - np.where(issued > 0, np.maximum(refreshed_at + duration - cycles, 0), 0)
    slept_open, slept_closed = sleep_cycles(records, standard, controller, cycles)
    return Counts(
        commands=records["commands"][:, :banks].copy(),
        closings=records["closings"][:, :banks].copy(),
        rank_active_cycles=records["rank_active_cycles"][:, :ranks] + closed - records["rank_opened_at"][:, :ranks] - slept_open,
        rank_powerdown_active_cycles=slept_open,
        rank_powerdown_precharged_cycles=slept_closed,
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


def sleep_cycles(records: Records, standard: Standard, controller: ControllerConfig, cycles: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[channels, ranks] cycles in power-down with a bank open and with all banks closed, that of the end of the run included."""
    ranks = standard.organization.ranks
    slept_open, slept_closed = records["rank_slept_open"][:, :ranks].copy(), records["rank_slept_closed"][:, :ranks].copy()
    if controller.power_down != "none":
        is_open = records["rank_open"][:, :ranks] > 0
        quiet_at = records["rank_quiet_at"][:, :ranks]
        since = np.where(is_open, quiet_at, np.maximum(quiet_at, records["rank_closed_at"][:, :ranks])) + controller.power_down_idle_cycles
        idle = np.where(records["rank_work"][:, :ranks] == 0, np.maximum(0, cycles - since), 0)
        slept_open += np.where(is_open, idle, 0)
        slept_closed += np.where(is_open, 0, idle)
    return slept_open, slept_closed
