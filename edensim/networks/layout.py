"""Tensors to addresses: weights first, then features, which share memory where their lifetimes do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edensim.exceptions import NetworkError, nearest
from edensim.networks.network import Network, Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bits of an element.
PRECISION_BITS = {"int4": 4, "int8": 8, "int16": 16, "fp32": 32}


@dataclass(frozen=True)
class Placement:
    """A tensor in memory: `index` is its identifier in requests. Lifetime: indices of the first and last layer that use it (-1: before the first)."""

    name: str
    index: int
    role: Role
    address: int
    size_bytes: int
    first_layer: int
    last_layer: int

    @property
    def end(self) -> int:
        """First byte address behind it."""
        return self.address + self.size_bytes


@dataclass(frozen=True)
class Layout:
    """Where every tensor of a network lies.

    placements: in order of index; bytes: highest address used + 1 - base address.
    """

    network: Network
    precision: str
    base_address: int
    alignment_bytes: int
    placements: tuple[Placement, ...]

    @cached_property
    def by_name(self) -> dict[str, Placement]:
        """Placements by tensor."""
        return {placement.name: placement for placement in self.placements}

    def __getitem__(self, tensor: str) -> Placement:
        return self.by_name[tensor]

    @property
    def bits(self) -> int:
        """Bits of an element."""
        return PRECISION_BITS[self.precision]

    @property
    def end(self) -> int:
        """First byte address behind all tensors."""
        return max((placement.end for placement in self.placements), default=self.base_address)


def tensor_bytes(elements: int, precision: str) -> int:
    """Bytes of packed elements, the last byte filled up."""
    return -(-elements * PRECISION_BITS[precision] // 8)


def lay_out(
    network: Network,
    precision: str,
    *,
    alignment_bytes: int = 64,
    base_address: int = 0,
    reuse: bool = True,
    capacity_bytes: int | None = None,
    pinned: Mapping[str, int] | None = None,
) -> Layout:
    """Place a network's tensors: weights in order of first use, one behind the other; then features.

    reuse: features share memory, first fit in the order of layers (lowest free address), as a planner of memory does; else each has its own.
    pinned: tensors that lie where they are told to, by their first byte's address; the others are placed as if these were not there.
    Raises NetworkError if they do not fit into `capacity_bytes`, and for a pinned tensor that is not there or lies upon another.
    """
    first, last = lifetimes(network)
    pinned = pinned or {}
    for name in pinned:
        if name not in network.tensors:
            raise NetworkError(
                f"{network.name}: layout.pinned: has no tensor {name!r}{nearest(name, network.tensors)}"
            )
    placements: list[Placement] = []
    at = aligned(base_address, alignment_bytes)

    def add(name: str, address: int) -> Placement:
        tensor = network.tensors[name]
        size = tensor_bytes(tensor.elements, precision)
        placement = Placement(
            name, len(placements), tensor.role, address, size, first[name], last[name]
        )
        placements.append(placement)
        return placement

    for name in ordered(network, Role.WEIGHTS):
        if name in pinned:
            add(name, pinned[name])
        else:
            at = aligned(add(name, at).end, alignment_bytes)
    start = at
    alive: list[Placement] = []
    for name in ordered(network, Role.FEATURES):
        if name in pinned:
            add(name, pinned[name])
            continue
        size = tensor_bytes(network.tensors[name].elements, precision)
        alive = [p for p in alive if p.last_layer >= first[name]]
        place = free_address(alive, start, size, alignment_bytes) if reuse else at
        placement = add(name, place)
        alive.append(placement)
        at = max(at, aligned(placement.end, alignment_bytes))
    layout = Layout(network, precision, base_address, alignment_bytes, tuple(placements))
    _check_apart(network.name, [p for p in placements if p.name in pinned], placements)
    if capacity_bytes is not None and layout.end > capacity_bytes:
        large = max(placements, key=lambda p: p.size_bytes)
        raise NetworkError(
            f"{network.name}: takes {layout.end:,} bytes of memory at {precision}, more than the {capacity_bytes:,} there are; "
            f"its largest tensor is {large.name!r} with {large.size_bytes:,} bytes"
        )
    return layout


def parse_pinned(texts: Sequence[str]) -> dict[str, int]:
    """Addresses by tensor of `TENSOR@ADDRESS`. Raises NetworkError."""
    pinned: dict[str, int] = {}
    for index, text in enumerate(texts):
        name, _, address = text.rpartition("@")
        if not name or not address.isdecimal():
            raise NetworkError(
                f"layout.pinned.{index}: expected TENSOR@ADDRESS with a whole number of bytes, found {text!r}"
            )
        if name in pinned:
            raise NetworkError(
                f"layout.pinned.{index}: {name!r} has a place already, {pinned[name]}"
            )
        pinned[name] = int(address)
    return pinned


def _check_apart(
    network: str, pinned: Sequence[Placement], placements: Sequence[Placement]
) -> None:
    """Raise NetworkError where a pinned tensor lies upon one that is alive with it."""
    for one in pinned:
        for other in placements:
            apart = one.end <= other.address or other.end <= one.address or one is other
            together = Role.WEIGHTS in (one.role, other.role) or (
                one.first_layer <= other.last_layer and other.first_layer <= one.last_layer
            )
            if together and not apart:
                where = f"from {one.address} to {one.end}, lies upon {other.name!r}, from {other.address} to {other.end}"
                raise NetworkError(f"{network}: layout.pinned: {one.name!r}, {where}")


def lifetimes(network: Network) -> tuple[dict[str, int], dict[str, int]]:
    """First and last layer that use each tensor. The network's input is there before the first; what nobody reads stays to the end."""
    first: dict[str, int] = {network.input: -1}
    last: dict[str, int] = {network.input: -1}
    for index, layer in enumerate(network.layers):
        for name in (*layer.inputs, *layer.weights, layer.output):
            first.setdefault(name, index)
            last[name] = index
    for name in last:
        if (
            name != network.input
            and network.tensors[name].role is Role.FEATURES
            and not network.readers[name]
        ):
            last[name] = len(network.layers)
    return first, last


def ordered(network: Network, role: Role) -> list[str]:
    """Tensors of a role in order of first use."""
    names = [network.input] + [
        name for layer in network.layers for name in (*layer.inputs, *layer.weights, layer.output)
    ]
    return [name for name in dict.fromkeys(names) if network.tensors[name].role is role]


def free_address(alive: Iterable[Placement], start: int, size: int, alignment_bytes: int) -> int:
    """Lowest aligned address from `start` on with `size` bytes between what is alive."""
    address = start
    for placement in sorted(alive, key=lambda p: p.address):
        if placement.address - address >= size:
            break
        address = max(address, aligned(placement.end, alignment_bytes))
    return address


def aligned(address: int, alignment_bytes: int) -> int:
    """The address, or the next that is a multiple of the alignment."""
    return -(-address // alignment_bytes) * alignment_bytes
