"""Partitions of rows, sized to what they hold, and the data items' addresses in them."""

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
class Part:
    """A partition: rows first to last of all banks. items: what lies in it."""

    name: str
    candidate: Candidate
    rows: tuple[int, int]
    items: tuple[str, ...]


def placed(
    config: RunConfig, layout: Layout, point_of: Mapping[str, Candidate]
) -> tuple[RunConfig, list[Part]]:
    """The configuration with the items in partitions of rows, one for each lowered point, behind the module's own rows (nominal) with all else.

    The memory is divided as its contents are, so that each part pays for its share of background and refresh.
    Raises ConfigError for address mappings in which rows are no ranges of addresses, and for too many partitions or data.
    """
    memory = MemorySystem.resolve(config.dram, config.controller)
    mapping, rows = memory.address_map, memory.organization.rows
    unit = _rows_together(mapping, config.controller.address_mapping, rows)
    blocks = rows // unit
    block = mapping.capacity_bytes // blocks
    groups: dict[tuple[float | None, float | None], list[str]] = {}
    for name, candidate in point_of.items():
        if not candidate.nominal:
            groups.setdefault((candidate.vdd_V, candidate.trcd_ns), []).append(name)
    if len(groups) + 1 > MOST_RANGES:
        raise ConfigError(
            f"eden.partitions: {len(groups)} of them are used; expected at most {MOST_RANGES - 1} beside the nominal one"
        )
    lowered = {name for names in groups.values() for name in names}
    align = layout.alignment_bytes
    sizes = [
        sum(aligned(layout[name].size_bytes, align) for name in names) for names in groups.values()
    ]
    own = sum(
        aligned(each.size_bytes, align) for each in layout.placements if each.name not in lowered
    )
    needed = [-(-(own + align) // block), *(-(-size // block) for size in sizes)]
    if sum(needed) > blocks:
        raise ConfigError(
            f"eden.partitions: need {sum(needed) * unit} rows of all banks; there are {rows}"
        )
    shares = _divided(blocks, needed, [own, *sizes])
    first = shares[0]
    pinned: list[str] = []
    parts: list[Part] = []
    partitions: list[PartitionConfig] = []
    for names, count in zip(groups.values(), shares[1:], strict=True):
        candidate = point_of[names[0]]
        address = first * block
        for name in names:
            pinned.append(f"{name}@{address}")
            address = aligned(address + layout[name].size_bytes, align)
        part = Part(
            f"partition {len(partitions) + 1}",
            candidate,
            (first * unit, (first + count) * unit - 1),
            tuple(names),
        )
        parts.append(part)
        point: dict[str, Any] = {"vdd_V": candidate.vdd_V, "trcd_ns": candidate.trcd_ns}
        partitions.append(
            PartitionConfig(name=part.name, rows=f"{part.rows[0]}-{part.rows[1]}", **point)
        )
        first += count
    dram = msgspec.structs.replace(
        config.dram, vdd_V=None, trcd_ns=None, partitions=tuple(partitions)
    )
    return msgspec.structs.replace(
        config,
        dram=dram,
        layout=msgspec.structs.replace(config.layout, pinned=tuple(pinned), base_address=0),
    ), parts


def _rows_together(mapping: AddressMap, name: str, rows: int) -> int:
    """How many neighbouring rows, over all banks, are one range of addresses: 1, or more where a mapping XORs the lowest bits of the row.

    Raises ConfigError where no such number is.
    """
    unit = 1 << sum(xor.width for xor in mapping.xors if xor.field == "row")
    block = mapping.capacity_bytes // rows * unit
    for number in {0, 1, rows // unit // 2, rows // unit - 1}:
        addresses = number * block + np.array([0, block // 3 // 64 * 64, block - 64])
        if (mapping.decode(addresses)["row"] // unit != number).any():
            raise ConfigError(
                f"controller.address_mapping: {name}: rows are no ranges of addresses; expected one that begins with Ro, such as RoBaRaCoCh"
            )
    return unit


def _divided(blocks: int, needed: Sequence[int], contents: Sequence[int]) -> list[int]:
    """Blocks of rows of each part: at least those needed, the others by content."""
    left, total = blocks - sum(needed), max(1, sum(contents))
    shares = [
        least + left * content // total for least, content in zip(needed, contents, strict=True)
    ]
    shares[-1] += blocks - sum(shares)
    return shares
