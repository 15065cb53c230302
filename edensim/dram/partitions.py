"""Partitions: banks named by channel, rank and bank, or rows of them, that have an operating point of their own and share none with another.

Rows of a bank that are a partition (a subarray or several) divide the bank. The rule: an activation gives the bank the timings of the row it opens.
They hold for that ACT and for every command to the bank until the next ACT: reads and writes, the precharge that closes the row, and the time from
it to the next ACT. A per-bank refresh, which restores rows anywhere, and the time before the first ACT have the timings of the rows in no partition:
the module's. Rank-wide commands have the module's timings as ever. What a command costs is paid at the VDD of the row it was for, by the same rule;
background and all-bank refresh by each range's share of the rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import PartitionConfig
from edensim.dram.standard import Organization
from edensim.exceptions import ConfigError

#: Ranges of rows in one bank that have timings of their own.
MOST_RANGES = 8


@dataclass(frozen=True, slots=True)
class Partition:
    """Banks with a point of their own. banks: flat banks in each of `channels`. point: index into the plan's points.

    rows: first and last of each range of rows, the same in every bank; none: whole banks.
    """

    name: str
    channels: tuple[int, ...]
    banks: tuple[int, ...]
    point: int
    rows: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class RowRange:
    """Rows first to last of one flat bank of one channel, which are (part of) a partition."""

    channel: int
    bank: int
    first: int
    last: int
    partition: int


def resolve_partition(
    prefix: str,
    config: PartitionConfig,
    organization: Organization,
    point: int,
    partition_of: NDArray[np.int16],
    others: Sequence[Partition],
    ranges: list[RowRange],
) -> Partition:
    """The partition of a configuration, entered as the next one: whole banks into `partition_of` ([channels, banks_per_channel], -1 where free),
    rows into `ranges`.

    Raises ConfigError for a channel, rank, bank or row that is not there, one that another partition has, and a name used twice.
    """
    name = config.name if config.name is not None else f"partition {len(others)}"
    for index, other in enumerate(others):
        if other.name == name:
            raise ConfigError(
                f"{prefix}.name: expected a name that no other partition has, found {name!r}, which dram.partitions.{index} has"
            )
    if name == "module":
        raise ConfigError(
            f"{prefix}.name: 'module' stands for the banks of no partition; expected another name"
        )
    channels = _indices(f"{prefix}.channels", config.channels, len(partition_of), "channels")
    ranks = _indices(f"{prefix}.ranks", config.ranks, organization.ranks, "ranks")
    banks = _indices(f"{prefix}.banks", config.banks, organization.banks_per_rank, "banks per rank")
    flat = tuple(rank * organization.banks_per_rank + bank for rank in ranks for bank in banks)
    rows = _row_spans(f"{prefix}.rows", config.rows, organization.rows)
    taken = np.argwhere(partition_of[np.ix_(channels, flat)] >= 0)
    if taken.size:
        channel, bank = channels[taken[0][0]], flat[taken[0][1]]
        owner = int(partition_of[channel, bank])
        rank, bank = divmod(bank, organization.banks_per_rank)
        raise ConfigError(
            f"{prefix}.banks: {name!r} overlaps dram.partitions.{owner} ({others[owner].name!r}): both have channel {channel} rank {rank} bank {bank}"
        )
    asked = rows or ((0, organization.rows - 1),)
    own = {(channel, bank) for channel in channels for bank in flat}
    for known in ranges:
        if (known.channel, known.bank) in own and any(
            first <= known.last and known.first <= last for first, last in asked
        ):
            rank, bank = divmod(known.bank, organization.banks_per_rank)
            row = next(
                max(first, known.first)
                for first, last in asked
                if first <= known.last and known.first <= last
            )
            raise ConfigError(
                f"{prefix}.{'rows' if rows else 'banks'}: {name!r} overlaps dram.partitions.{known.partition} ({others[known.partition].name!r}): "
                f"both have channel {known.channel} rank {rank} bank {bank} row {row}"
            )
    if rows:
        ranges += [
            RowRange(channel, bank, first, last, len(others))
            for channel, bank in sorted(own)
            for first, last in rows
        ]
        _check_divisions(f"{prefix}.rows", ranges)
    else:
        partition_of[np.ix_(channels, flat)] = len(others)
    return Partition(name, channels, flat, point, rows)


def _row_spans(
    key: str, given: Sequence[int] | str | None, count: int
) -> tuple[tuple[int, int], ...]:
    """First and last of each range of rows, neighbouring ones joined; none where none are given."""
    if given is None:
        return ()
    spans = sorted(_spans(key, given) if isinstance(given, str) else [(row, row) for row in given])
    if not spans:
        raise ConfigError(
            f"{key}: names none; expected some of 0 to {count - 1}, or no such key for all"
        )
    joined = [spans[0]]
    for first, last in spans[1:]:
        if first <= joined[-1][1]:
            raise ConfigError(f"{key}: names {first} twice")
        joined[-1:] = (
            [(joined[-1][0], last)] if first == joined[-1][1] + 1 else [joined[-1], (first, last)]
        )
    if joined[-1][1] >= count:
        raise ConfigError(
            f"{key}: there is no {joined[-1][1]}; expected 0 to {count - 1} ({count} rows in a bank)"
        )
    return tuple(joined)


def _check_divisions(key: str, ranges: Sequence[RowRange]) -> None:
    """Refuse a bank in too many parts."""
    parts = Counter((rows.channel, rows.bank) for rows in ranges)
    (channel, bank), most = parts.most_common(1)[0]
    if most > MOST_RANGES:
        raise ConfigError(
            f"{key}: expected at most {MOST_RANGES} ranges of rows in a bank, found {most} in bank {bank} of channel {channel}"
        )


def _indices(key: str, given: Sequence[int] | str | None, count: int, what: str) -> tuple[int, ...]:
    """Sorted indices from a list or a text such as `0-3,8`; all where none are given."""
    if given is None:
        return tuple(range(count))
    spans = (
        [(index, index) for index in given] if not isinstance(given, str) else _spans(key, given)
    )
    indices: list[int] = []
    for first, last in spans:
        if last >= count:
            raise ConfigError(
                f"{key}: there is no {last}; expected 0 to {count - 1} ({count} {what})"
            )
        indices += range(first, last + 1)
    if not indices:
        raise ConfigError(
            f"{key}: names none; expected some of 0 to {count - 1}, or no such key for all"
        )
    twice = next((index for index in indices if indices.count(index) > 1), None)
    if twice is not None:
        raise ConfigError(f"{key}: names {twice} twice")
    return tuple(sorted(indices))


def _spans(key: str, text: str) -> list[tuple[int, int]]:
    spans = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", part)
        if match is None:
            raise ConfigError(
                f"{key}: expected whole numbers and ranges such as '0-3,8', found {text!r}"
            )
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise ConfigError(f"{key}: expected a range from low to high, found {part.strip()!r}")
        spans.append((first, last))
    return spans
