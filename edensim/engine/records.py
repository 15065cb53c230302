"""Make the records of the compiled controller, and read them back as counts."""

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
from edensim.kernels.controller import limits
from edensim.kernels.controller.address import FIELDS, MAPPING
from edensim.kernels.controller.channel import CHANNEL
from edensim.vocabulary import Command

Records = NDArray[np.void]


def mapping_record(address_map: AddressMap, standard: Standard) -> Records:
    """Return the MAPPING record of an address map, as an array of one."""
    record = np.zeros(1, MAPPING)
    mapping = record[0]
    mapping["offset_bits"], mapping["capacity"] = (
        address_map.offset_bits,
        address_map.capacity_bytes,
    )
    mapping["ways"], mapping["way_bits"] = address_map.ways, WAY_BITS
    mapping["groups_per_rank"] = standard.organization.bankgroups
    mapping["banks_per_group"] = standard.organization.banks
    at = 0
    for index, name in enumerate(FIELDS):
        mapping["start"][index] = at
        for part in (part for part in address_map.slices if part.field == name):
            mapping["address_bit"][at], mapping["field_bit"][at] = part.address_bit, part.field_bit
            mapping["mask"][at] = (1 << part.width) - 1
            at += 1
        mapping["stop"][index] = at
        for xor in (xor for xor in address_map.xors if xor.field == name):
            mapping["xor_bit"][index] = xor.source_bit
            mapping["xor_mask"][index] = (1 << xor.width) - 1
    return record


def aligned_zeros(count: int, dtype: np.dtype[np.void]) -> Records:
    """Return zeroed records that start on a cache line, so that their parts do not straddle two."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * dtype.itemsize].view(dtype)


def channel_records(
    channels: int, standard: Standard, timing: Records, keep_returns: bool = False
) -> Records:
    """Return the CHANNEL records before the first clock.

    `keep_returns` says that the source wants to know when reads return.
    """
    records = aligned_zeros(channels, CHANNEL)
    banks = standard.organization.banks_per_channel
    for index in range(channels):
        channel = records[index]
        channel["index"], channel["keep_returns"] = index, keep_returns
        channel["banks"]["open_row"][:banks] = -1
        channel["cell"][:banks] = np.arange(banks)
        channel["slots"]["age"][0] = channel["slots"]["arrive"][0] = limits.FOREVER
        channel["free"][: limits.MAX_SLOTS - 1] = np.arange(limits.MAX_SLOTS - 1, 0, -1)
        channel["free_count"] = limits.MAX_SLOTS - 1
        channel["next_refresh"] = timing[0]["nREFI"][0] if timing[0]["refresh"] else limits.FOREVER
        channel["precharge_at"] = channel["halt_at"] = limits.FOREVER
        channel["due"] = 1
    return records


def divide_banks(channel: Any, ranges: Sequence[RowRange], banks: int) -> None:
    """Enter a channel's ranges of rows into its record, those of a bank one after the other.

    Their timing classes come with the operating points.
    """
    if len(ranges) > limits.MAX_RANGES:
        raise ConfigError(
            f"dram.partitions: {len(ranges)} ranges of rows in one channel; at most "
            f"{limits.MAX_RANGES} can be simulated"
        )
    channel["ranges"] = len(ranges)
    channel["range_first"][: len(ranges)] = [rows.first for rows in ranges]
    channel["range_last"][: len(ranges)] = [rows.last for rows in ranges]
    owners = np.array([rows.bank for rows in ranges], np.int64)
    channel["range_start"][:banks] = np.searchsorted(owners, np.arange(banks), "left")
    channel["range_stop"][:banks] = np.searchsorted(owners, np.arange(banks), "right")


def set_points(
    channel: Any, cell_point: NDArray[np.int64], class_of: NDArray[np.int64], banks: int
) -> None:
    """Give every bank and range of rows of a channel its operating point.

    A divided bank has that of its rows in no range until it opens a row.
    """
    channel["cell_point"][: len(cell_point)] = cell_point
    channel["bank_class"][:banks] = channel["whole_class"][:banks] = class_of[cell_point[:banks]]
    channel["cell"][:banks] = np.arange(banks)
    ranges = int(channel["ranges"])
    channel["range_class"][:ranges] = class_of[cell_point[banks : banks + ranges]]


def collect_counts(
    records: Records,
    standard: Standard,
    controller: ControllerConfig,
    cycles: int | None = None,
    ranges: Sequence[Sequence[RowRange]] = (),
) -> Counts:
    """Collect the counters of all channels.

    Parameters
    ----------
    records
        The CHANNEL records.
    cycles
        End of the run; by default when the last command has issued and the last read is back.
    ranges
        The ranges of rows of each channel.
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
    by_rank = controller.refresh == "all-bank"
    refresh = _refresh_cycles(records, standard, cycles) if by_rank else np.zeros_like(closed)
    active, precharged, self_refreshed = sleep_cycles(records, standard, controller, cycles)
    most = max(map(len, ranges), default=0)
    counts = Counts(
        commands=records["commands"][:, :banks].copy(),
        closings=records["precharges"][:, :banks].copy(),
        range_commands=records["commands"][:, banks : banks + most].copy(),
        range_closings=records["precharges"][:, banks : banks + most].copy(),
        rank_active_cycles=records["rank_active_cycles"][:, :ranks]
        + closed
        - records["rank_opened_at"][:, :ranks]
        - active,
        rank_powerdown_active_cycles=active,
        rank_powerdown_precharged_cycles=precharged,
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
    # The counts of a bank are those of all its rows.
    for channel, divided in enumerate(ranges):
        owners = [rows.bank for rows in divided]
        np.add.at(counts.commands[channel], owners, counts.range_commands[channel, : len(owners)])
        np.add.at(counts.closings[channel], owners, counts.range_closings[channel, : len(owners)])
    return counts


def _refresh_cycles(records: Records, standard: Standard, cycles: int) -> NDArray[np.int64]:
    """Return the cycles that ranks spent in all-bank refresh until the end [channels, ranks]."""
    organization = standard.organization
    banks, ranks = organization.banks_per_channel, organization.ranks
    duration = standard.timings["nRFC"]
    issued = records["commands"][:, : banks : organization.banks_per_rank, Command.REFab]
    behind_end = np.maximum(records["rank_refreshed_at"][:, :ranks] + duration - cycles, 0)
    return np.asarray(issued * duration - np.where(issued > 0, behind_end, 0))


def sleep_cycles(
    records: Records, standard: Standard, controller: ControllerConfig, cycles: int
) -> tuple[NDArray[np.int64], ...]:
    """Return the cycles that ranks slept until the end of the run, as arrays of [channels, ranks].

    They are: in power-down with a bank open, in power-down with all banks closed, in self-refresh.
    """
    ranks = standard.organization.ranks
    active, precharged, self_refreshed, work, opened, quiet_at, closed_at = (
        records[name][:, :ranks].copy()
        for name in (
            "rank_powerdown_active_cycles",
            "rank_powerdown_precharged_cycles",
            "rank_selfrefresh_cycles",
            "rank_work",
            "rank_open",
            "rank_quiet_at",
            "rank_closed_at",
        )
    )
    is_idle, is_open = work == 0, opened > 0
    since = np.where(is_open, quiet_at, np.maximum(quiet_at, closed_at))
    until = np.full_like(since, cycles)
    if controller.self_refresh_idle_cycles is not None:
        deeper = since + controller.self_refresh_idle_cycles
        self_refreshed += np.where(is_idle & ~is_open, np.maximum(0, cycles - deeper), 0)
        until = np.where(is_open, until, np.minimum(until, deeper))
    if controller.power_down != "none":
        idle_until = since + controller.power_down_idle_cycles
        slept = np.where(is_idle, np.maximum(0, until - idle_until), 0)
        active += np.where(is_open, slept, 0)
        precharged += np.where(is_open, 0, slept)
    return active, precharged, self_refreshed
