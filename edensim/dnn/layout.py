"""Tensors to addresses: weights first, then features, which share memory where their lifetimes do not overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edensim.dnn.network import Network, Role
from edensim.exceptions import NetworkError

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

    def tensor_at(self, addresses: NDArray[np.int64], layer: int) -> NDArray[np.int32]:
        """Index of the tensor that is alive in a layer at each byte address, -1 where there is none."""
        alive = sorted((p for p in self.placements if p.first_layer <= layer <= p.last_layer or p.role is Role.WEIGHTS), key=lambda p: p.address)
        starts = np.array([p.address for p in alive], np.int64)
        ends = np.array([p.end for p in alive], np.int64)
        index = np.array([p.index for p in alive], np.int32)
        at = np.searchsorted(starts, addresses, "right") - 1
        return np.where((at >= 0) & (addresses < ends[at]), index[at], -1).astype(np.int32)


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
) -> Layout:
    """Place a network's tensors: weights in order of first use, one behind the other; then features.

    reuse: features share memory, first fit in the order of layers (lowest free address), as a planner of memory does; else each has its own.
    Raises NetworkError if they do not fit into `capacity_bytes`.
    """
    first, last = lifetimes(network)
    placements: list[Placement] = []
    at = aligned(base_address, alignment_bytes)

    def add(name: str, address: int) -> Placement:
        tensor = network.tensors[name]
        size = tensor_bytes(tensor.elements, precision)
        placement = Placement(name, len(placements), tensor.role, address, size, first[name], last[name])
        placements.append(placement)
        return placement

    for name in ordered(network, Role.WEIGHTS):
        at = aligned(add(name, at).end, alignment_bytes)
    start = at
    alive: list[Placement] = []
    for name in ordered(network, Role.FEATURES):
        size = tensor_bytes(network.tensors[name].elements, precision)
        alive = [p for p in alive if p.last_layer >= first[name]]
        place = free_address(alive, start, size, alignment_bytes) if reuse else at
        placement = add(name, place)
        alive.append(placement)
        at = max(at, aligned(placement.end, alignment_bytes))
    layout = Layout(network, precision, base_address, alignment_bytes, tuple(placements))
    if capacity_bytes is not None and layout.end > capacity_bytes:
        large = max(placements, key=lambda p: p.size_bytes)
        raise NetworkError(
            f"{network.name}: takes {layout.end:,} bytes of memory at {precision}, more than the {capacity_bytes:,} there are; "
            f"its largest tensor is {large.name!r} with {large.size_bytes:,} bytes"
        )
    return layout


def lifetimes(network: Network) -> tuple[dict[str, int], dict[str, int]]:
    """First and last layer that use each tensor. The network's input is there before the first; what nobody reads stays to the end."""
    first: dict[str, int] = {network.input: -1}
    last: dict[str, int] = {network.input: -1}
    for index, layer in enumerate(network.layers):
        for name in (*layer.inputs, *layer.weights, layer.output):
            first.setdefault(name, index)
            last[name] = index
    for name in last:
        if name != network.input and network.tensors[name].role is Role.FEATURES and not network.readers[name]:
            last[name] = len(network.layers)
    return first, last


def ordered(network: Network, role: Role) -> list[str]:
    """Tensors of a role in order of first use."""
    names = [network.input] + [name for layer in network.layers for name in (*layer.inputs, *layer.weights, layer.output)]
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
