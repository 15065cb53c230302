"""Partitions: banks named by channel, rank and bank, that have an operating point of their own and share none with another partition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.config import PartitionConfig
from edensim.dram.standard import Organization
from edensim.exceptions import ConfigError


@dataclass(frozen=True, slots=True)
class Partition:
    """Banks with a point of their own. banks: flat banks in each of `channels`. point: index into the plan's points."""

    name: str
    channels: tuple[int, ...]
    banks: tuple[int, ...]
    point: int


def resolve_partition(
    prefix: str,
    config: PartitionConfig,
    organization: Organization,
    point: int,
    partition_of: NDArray[np.int16],
    others: Sequence[Partition],
) -> Partition:
    """The partition of a configuration, entered into `partition_of` ([channels, banks_per_channel], -1 where free) as the next one.

    Raises ConfigError for a channel, rank or bank that is not there, one that another partition has, a name used twice, and for rows.
    """
    if config.rows is not None:
        raise ConfigError(f"{prefix}.rows: parts of a bank have no timings of their own in this simulator; expected whole banks")
    name = config.name if config.name is not None else f"partition {len(others)}"
    for index, other in enumerate(others):
        if other.name == name:
            raise ConfigError(f"{prefix}.name: expected a name that no other partition has, found {name!r}, which dram.partitions.{index} has")
    if name == "module":
        raise ConfigError(f"{prefix}.name: 'module' stands for the banks of no partition; expected another name")
    channels = _indices(f"{prefix}.channels", config.channels, len(partition_of), "channels")
    ranks = _indices(f"{prefix}.ranks", config.ranks, organization.ranks, "ranks")
    banks = _indices(f"{prefix}.banks", config.banks, organization.banks_per_rank, "banks per rank")
    flat = tuple(rank * organization.banks_per_rank + bank for rank in ranks for bank in banks)
    taken = np.argwhere(partition_of[np.ix_(channels, flat)] >= 0)
    if taken.size:
        channel, bank = channels[taken[0][0]], flat[taken[0][1]]
        owner = int(partition_of[channel, bank])
        rank, bank = divmod(bank, organization.banks_per_rank)
        raise ConfigError(
            f"{prefix}.banks: {name!r} overlaps dram.partitions.{owner} ({others[owner].name!r}): both have channel {channel} rank {rank} bank {bank}"
        )
    partition_of[np.ix_(channels, flat)] = len(others)
    return Partition(name, channels, flat, point)


def _indices(key: str, given: Sequence[int] | str | None, count: int, what: str) -> tuple[int, ...]:
    """Sorted indices from a list or a text such as `0-3,8`; all where none are given."""
    if given is None:
        return tuple(range(count))
    spans = [(index, index) for index in given] if not isinstance(given, str) else _spans(key, given)
    indices: list[int] = []
    for first, last in spans:
        if last >= count:
            raise ConfigError(f"{key}: there is no {last}; expected 0 to {count - 1} ({count} {what})")
        indices += range(first, last + 1)
    if not indices:
        raise ConfigError(f"{key}: names none; expected some of 0 to {count - 1}, or no such key for all")
    twice = next((index for index in indices if indices.count(index) > 1), None)
    if twice is not None:
        raise ConfigError(f"{key}: names {twice} twice")
    return tuple(sorted(indices))


def _spans(key: str, text: str) -> list[tuple[int, int]]:
    spans = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", part)
        if match is None:
            raise ConfigError(f"{key}: expected whole numbers and ranges such as '0-3,8', found {text!r}")
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if last < first:
            raise ConfigError(f"{key}: expected a range from low to high, found {part.strip()!r}")
        spans.append((first, last))
    return spans
