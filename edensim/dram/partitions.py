"""Partitions: banks, or ranges of their rows, that have an operating point of their own.

A partition names banks by channel, rank and bank, and shares none with another partition. It may be
restricted to ranges of rows, such as a subarray; these divide the bank. An activation then gives
the bank the timings of the row it opens. They hold for that ACT and for every command to the bank
until the next ACT: reads and writes, the precharge that closes the row, and the time from it to the
next ACT. A per-bank refresh, which restores rows anywhere in the bank, the time before the first
ACT, and commands to a whole rank have the module's timings, as the rows in no partition have. The
energy of each command is paid at the VDD of the row it was for, by the same rule; background and
all-bank refresh are paid by each range's share of the rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edensim.config.models import PartitionConfig
from edensim.dram.standard import Organization
from edensim.exceptions import ConfigError

#: Largest number of ranges of rows in one bank.
MOST_RANGES = 8


@dataclass(frozen=True, slots=True)
class Partition:
    """Banks, or rows of them, with an operating point of their own.

    Attributes
    ----------
    name
        Name in results.
    channels, banks
        Channels, and flat bank numbers in each of them.
    point
        Index into the plan's points.
    rows
        First and last row of each range, the same in every bank; empty for whole banks.
    """

    name: str
    channels: tuple[int, ...]
    banks: tuple[int, ...]
    point: int
    rows: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the partition as a result states it."""
        values: dict[str, Any] = {
            "channels": list(self.channels),
            "banks": list(self.banks),
            "point": self.point,
        }
        return values | {"rows": [list(span) for span in self.rows]} if self.rows else values


@dataclass(frozen=True, slots=True, order=True)
class RowRange:
    """Rows `first` to `last` of one bank of one channel, which belong to a partition."""

    channel: int
    bank: int
    first: int
    last: int
    partition: int


class PartitionTable:
    """The partitions of a configuration, added one after the other.

    Attributes
    ----------
    partitions
        The partitions so far.
    partition_of
        [channels, banks_per_channel] index of the partition that has the whole bank, else -1.
    ranges
        The ranges of rows of all partitions so far.
    """

    def __init__(self, channels: int, organization: Organization) -> None:
        self.organization = organization
        self.partitions: list[Partition] = []
        self.partition_of = np.full((channels, organization.banks_per_channel), -1, np.int16)
        self.ranges: list[RowRange] = []

    def add(self, prefix: str, config: PartitionConfig, point: int) -> None:
        """Add a partition that runs at point number `point`.

        Raises ConfigError, its message begun with a key under `prefix`, for a channel, rank, bank
        or row that does not exist or that another partition has, and for a name used twice.
        """
        organization, number = self.organization, len(self.partitions)
        per_rank = organization.banks_per_rank
        name = self._name(f"{prefix}.name", config.name)
        channels = _indices(
            f"{prefix}.channels", config.channels, len(self.partition_of), "channels"
        )
        ranks = _indices(f"{prefix}.ranks", config.ranks, organization.ranks, "ranks")
        banks = _indices(f"{prefix}.banks", config.banks, per_rank, "banks per rank")
        flat = tuple(rank * per_rank + bank for rank in ranks for bank in banks)
        rows = _row_spans(f"{prefix}.rows", config.rows, organization.rows)
        partition = Partition(name, channels, flat, point, rows)
        self._refuse_overlap(prefix, partition)
        self.partitions.append(partition)
        if rows:
            self.ranges += [
                RowRange(channel, bank, first, last, number)
                for channel in channels
                for bank in sorted(flat)
                for first, last in rows
            ]
            _check_divisions(f"{prefix}.rows", self.ranges)
        else:
            self.partition_of[np.ix_(channels, flat)] = number

    def _name(self, key: str, name: str | None) -> str:
        """Return the partition's name. Raises ConfigError for a name that is taken."""
        name = f"partition {len(self.partitions)}" if name is None else name
        for index, other in enumerate(self.partitions):
            if other.name == name:
                raise ConfigError(
                    f"{key}: expected a name that no other partition has, found {name!r}, "
                    f"which dram.partitions.{index} has"
                )
        if name == "module":
            raise ConfigError(
                f"{key}: 'module' stands for the banks of no partition; expected another name"
            )
        return name

    def _refuse_overlap(self, prefix: str, partition: Partition) -> None:
        """Raise ConfigError if a bank or row of the partition belongs to another one."""
        channels, banks = partition.channels, partition.banks
        taken = np.argwhere(self.partition_of[np.ix_(channels, banks)] >= 0)
        if taken.size:
            channel, bank = channels[taken[0][0]], banks[taken[0][1]]
            owner = int(self.partition_of[channel, bank])
            self._refuse(f"{prefix}.banks", partition.name, owner, channel, bank)
        spans = partition.rows or ((0, self.organization.rows - 1),)
        for known in self.ranges:
            if known.channel not in channels or known.bank not in banks:
                continue
            for first, last in spans:
                if first <= known.last and known.first <= last:
                    key = f"{prefix}.{'rows' if partition.rows else 'banks'}"
                    row = f" row {max(first, known.first)}"
                    self._refuse(
                        key, partition.name, known.partition, known.channel, known.bank, row
                    )

    def _refuse(
        self, key: str, name: str, owner: int, channel: int, bank: int, row: str = ""
    ) -> None:
        rank, bank = divmod(bank, self.organization.banks_per_rank)
        raise ConfigError(
            f"{key}: {name!r} overlaps dram.partitions.{owner} ({self.partitions[owner].name!r}): "
            f"both have channel {channel} rank {rank} bank {bank}{row}"
        )


def _row_spans(
    key: str, given: Sequence[int] | str | None, count: int
) -> tuple[tuple[int, int], ...]:
    """Return first and last row of each range, neighbouring ones joined; none if none are given."""
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
            f"{key}: there is no {joined[-1][1]}; expected 0 to {count - 1} "
            f"({count} rows in a bank)"
        )
    return tuple(joined)


def _check_divisions(key: str, ranges: Sequence[RowRange]) -> None:
    """Refuse a bank in too many parts."""
    parts = Counter((rows.channel, rows.bank) for rows in ranges)
    (channel, bank), most = parts.most_common(1)[0]
    if most > MOST_RANGES:
        raise ConfigError(
            f"{key}: expected at most {MOST_RANGES} ranges of rows in a bank, found {most} in bank "
            f"{bank} of channel {channel}"
        )


def _indices(key: str, given: Sequence[int] | str | None, count: int, what: str) -> tuple[int, ...]:
    """Return sorted indices of a list or of a text such as `0-3,8`; all if none are given."""
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
