"""Partitions of rows, sized to their contents, and the addresses of data items in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edensim.config.models import PartitionConfig, RunConfig
from edensim.dram.address import AddressMap
from edensim.dram.memory_system import MemorySystem
from edensim.dram.partitions import MOST_RANGES
from edensim.eden.candidates import Candidate
from edensim.exceptions import ConfigError
from edensim.networks.layout import Layout, aligned


@dataclass(frozen=True)
class Partition:
    """Rows of all banks that have an operating point of their own.

    Attributes
    ----------
    name : str
        What results call it.
    point : Candidate
        The operating point.
    rows : tuple of int
        First and last row; the last is below 0 if rows are not assigned.
    items : tuple of str
        The data items in it.
    """

    name: str
    point: Candidate
    rows: tuple[int, int]
    items: tuple[str, ...]

    def to_dict(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        """Return plain values, with the bytes of the items."""
        return {
            "name": self.name,
            **self.point.at,
            "rows": list(self.rows) if self.rows[1] >= 0 else None,
            "bytes": sum(sizes[name] for name in self.items),
            "items": list(self.items),
        }


def place_items(
    config: RunConfig, layout: Layout, point_of: Mapping[str, Candidate]
) -> tuple[RunConfig, list[Partition]]:
    """Put data items into partitions of rows, one for each lowered point.

    All else stays in the module's own rows (nominal), which come first. The memory is divided as
    its contents are, so that each partition pays for its share of background and refresh. Returns
    the configuration and the partitions. Raises ConfigError for address mappings in which rows are
    no ranges of addresses, and for too many partitions or data.
    """
    memory = MemorySystem.resolve(config.dram, config.controller)
    mapping, rows = memory.address_map, memory.organization.rows
    unit = _rows_together(mapping, config.controller.address_mapping, rows)
    blocks = rows // unit
    block_bytes = mapping.capacity_bytes // blocks
    groups: dict[tuple[float | None, float | None], list[str]] = {}
    for name, point in point_of.items():
        if not point.nominal:
            groups.setdefault((point.vdd_V, point.trcd_ns), []).append(name)
    if len(groups) + 1 > MOST_RANGES:
        raise ConfigError(
            f"eden.partitions: {len(groups)} of them are used; expected at most {MOST_RANGES - 1} "
            "beside the nominal one"
        )
    contents = _contents(layout, list(groups.values()))
    needed = [-(-size // block_bytes) for size in contents]
    needed[0] = -(-(contents[0] + layout.alignment_bytes) // block_bytes)
    if sum(needed) > blocks:
        raise ConfigError(
            f"eden.partitions: need {sum(needed) * unit} rows of all banks; there are {rows}"
        )
    shares = _divided(blocks, needed, contents)
    first = shares[0]
    pinned: list[str] = []
    partitions: list[Partition] = []
    for number, (names, count) in enumerate(zip(groups.values(), shares[1:], strict=True), 1):
        pinned += _pinned(layout, names, first * block_bytes)
        span = (first * unit, (first + count) * unit - 1)
        partitions.append(Partition(f"partition {number}", point_of[names[0]], span, tuple(names)))
        first += count
    dram = msgspec.structs.replace(
        config.dram,
        vdd_V=None,
        trcd_ns=None,
        partitions=tuple(_partition_config(partition) for partition in partitions),
    )
    pinned_layout = msgspec.structs.replace(config.layout, pinned=tuple(pinned), base_address=0)
    return msgspec.structs.replace(config, dram=dram, layout=pinned_layout), partitions


def _contents(layout: Layout, groups: Sequence[Sequence[str]]) -> list[int]:
    """Return the bytes that stay in the nominal rows, and those of each group of data items."""
    sizes = {
        tensor.name: aligned(tensor.size_bytes, layout.alignment_bytes)
        for tensor in layout.placements
    }
    grouped = [sum(sizes[name] for name in names) for names in groups]
    lowered = {name for names in groups for name in names}
    return [sum(size for name, size in sizes.items() if name not in lowered), *grouped]


def _pinned(layout: Layout, names: Sequence[str], address: int) -> list[str]:
    """Place data items one after the other, as `layout.pinned` has them."""
    pinned = []
    for name in names:
        pinned.append(f"{name}@{address}")
        address = aligned(address + layout[name].size_bytes, layout.alignment_bytes)
    return pinned


def _partition_config(partition: Partition) -> PartitionConfig:
    """Return a partition as the configuration has it."""
    return PartitionConfig(
        name=partition.name,
        rows=f"{partition.rows[0]}-{partition.rows[1]}",
        vdd_V=partition.point.vdd_V,
        trcd_ns=partition.point.trcd_ns,
    )


def _rows_together(mapping: AddressMap, name: str, rows: int) -> int:
    """Return how many neighbouring rows of all banks are one range of addresses.

    It is more than one if a mapping XORs the lowest bits of the row. Raises ConfigError if there is
    no such number.
    """
    unit = 1 << sum(xor.width for xor in mapping.xors if xor.field == "row")
    block_bytes = mapping.capacity_bytes // rows * unit
    for number in {0, 1, rows // unit // 2, rows // unit - 1}:
        within = np.array([0, block_bytes // 3 // 64 * 64, block_bytes - 64])
        if (mapping.decode(number * block_bytes + within)["row"] // unit != number).any():
            raise ConfigError(
                f"controller.address_mapping: {name}: rows are no ranges of addresses; expected "
                "one that begins with Ro, such as RoBaRaCoCh"
            )
    return unit


def _divided(blocks: int, needed: Sequence[int], contents: Sequence[int]) -> list[int]:
    """Divide blocks of rows into shares: what each needs at least, and the others by content."""
    spare, total = blocks - sum(needed), max(1, sum(contents))
    shares = [
        least + spare * content // total for least, content in zip(needed, contents, strict=True)
    ]
    shares[-1] += blocks - sum(shares)
    return shares
