"""Where the tensors of a network lie in memory.

Weights come first, then features, which share memory if their lifetimes do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edensim.exceptions import NetworkError, nearest
from edensim.networks.network import Network, Role

#: Bits of an element at each precision.
PRECISION_BITS = {"int4": 4, "int8": 8, "int16": 16, "fp32": 32}


@dataclass(frozen=True)
class Placement:
    """A tensor in memory.

    Attributes
    ----------
    index : int
        Its identifier in requests.
    address, size_bytes : int
        Its first byte address and its size.
    first_layer, last_layer : int
        Indices of the first and the last layer that use it; -1 is before the first layer.
    """

    name: str
    index: int
    role: Role
    address: int
    size_bytes: int
    first_layer: int
    last_layer: int

    @property
    def end(self) -> int:
        """First byte address behind the tensor."""
        return self.address + self.size_bytes


@dataclass(frozen=True)
class Layout:
    """Where every tensor of a network lies; the placements are in order of their index."""

    network: Network
    precision: str
    base_address: int
    alignment_bytes: int
    placements: tuple[Placement, ...]

    @cached_property
    def by_name(self) -> dict[str, Placement]:
        """Placements by the name of the tensor."""
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
    """Return the bytes of packed elements, with the last byte filled up."""
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
    """Place the tensors of a network: weights in order of first use, then features.

    Parameters
    ----------
    network : Network
        The network as it is executed.
    precision : str
        A key of `PRECISION_BITS`.
    alignment_bytes, base_address : int
        Multiple at which tensors lie, and the lowest address.
    reuse : bool
        Whether each feature tensor, in the order of the layers, gets the lowest free address, as
        from a planner of memory. Otherwise each has memory of its own.
    capacity_bytes : int, optional
        Size of the memory. Raises NetworkError if the tensors do not fit.
    pinned : mapping of str to int, optional
        First byte address of tensors at given places; the others are placed as if these were not
        there. Raises NetworkError if one is not in the network or overlaps another.
    """
    pinned = pinned or {}
    for name in pinned:
        if name not in network.tensors:
            known = nearest(name, network.tensors)
            raise NetworkError(f"{network.name}: layout.pinned: has no tensor {name!r}{known}")
    sizes = {
        name: tensor_bytes(tensor.elements, precision) for name, tensor in network.tensors.items()
    }
    first, last = lifetimes(network)
    start = aligned(base_address, alignment_bytes)
    addresses = {**assign(network, sizes, set(pinned), start, alignment_bytes, reuse), **pinned}
    placements = tuple(
        Placement(name, index, role, addresses[name], sizes[name], first[name], last[name])
        for index, (name, role) in enumerate(
            (name, role) for role in Role for name in by_first_use(network, role)
        )
    )
    layout = Layout(network, precision, base_address, alignment_bytes, placements)
    check_placements(layout, pinned, capacity_bytes)
    return layout


def assign(
    network: Network,
    sizes: Mapping[str, int],
    pinned: set[str],
    start: int,
    alignment_bytes: int,
    reuse: bool,
) -> dict[str, int]:
    """Return the address, from `start` on, of each tensor that is not pinned."""
    first, last = lifetimes(network)
    addresses: dict[str, int] = {}
    end = start
    for name in by_first_use(network, Role.WEIGHTS):
        if name not in pinned:
            addresses[name], end = end, aligned(end + sizes[name], alignment_bytes)
    start, alive = end, list[str]()
    for name in by_first_use(network, Role.FEATURES):
        if name not in pinned:
            alive = [other for other in alive if last[other] >= first[name]]
            taken = [(addresses[other], addresses[other] + sizes[other]) for other in alive]
            free = free_address(taken, start, sizes[name], alignment_bytes)
            addresses[name] = free if reuse else end
            end = max(end, aligned(addresses[name] + sizes[name], alignment_bytes))
            alive.append(name)
    return addresses


def parse_pinned(texts: Sequence[str]) -> dict[str, int]:
    """Return the addresses by tensor of texts `TENSOR@ADDRESS`. Raises NetworkError."""
    pinned: dict[str, int] = {}
    for index, text in enumerate(texts):
        name, _, address = text.rpartition("@")
        if not name or not address.isdecimal():
            raise NetworkError(
                f"layout.pinned.{index}: expected TENSOR@ADDRESS with a whole number of bytes, "
                f"found {text!r}"
            )
        if name in pinned:
            raise NetworkError(
                f"layout.pinned.{index}: {name!r} has a place already, {pinned[name]}"
            )
        pinned[name] = int(address)
    return pinned


def check_placements(
    layout: Layout, pinned: Iterable[str], capacity_bytes: int | None = None
) -> None:
    """Raise NetworkError if pinned tensors overlap others, or if the memory is too small."""
    name = layout.network.name
    for one in map(layout.__getitem__, pinned):
        for other in layout.placements:
            apart = one.end <= other.address or other.end <= one.address or one is other
            together = Role.WEIGHTS in (one.role, other.role) or (
                one.first_layer <= other.last_layer and other.first_layer <= one.last_layer
            )
            if together and not apart:
                raise NetworkError(
                    f"{name}: layout.pinned: {one.name!r}, from {one.address} to {one.end}, lies "
                    f"upon {other.name!r}, from {other.address} to {other.end}"
                )
    if capacity_bytes is not None and layout.end > capacity_bytes:
        large = max(layout.placements, key=lambda placement: placement.size_bytes)
        raise NetworkError(
            f"{name}: takes {layout.end:,} bytes of memory at {layout.precision}, more than the "
            f"{capacity_bytes:,} there are; its largest tensor is {large.name!r} with "
            f"{large.size_bytes:,} bytes"
        )


def lifetimes(network: Network) -> tuple[dict[str, int], dict[str, int]]:
    """Return the indices of the first and the last layer that use each tensor.

    The input of the network is there before the first layer. Features that nobody reads stay to
    the end.
    """
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


def by_first_use(network: Network, role: Role) -> list[str]:
    """Return the names of the tensors of a role in the order of their first use."""
    names = [network.input] + [
        name for layer in network.layers for name in (*layer.inputs, *layer.weights, layer.output)
    ]
    return [name for name in dict.fromkeys(names) if network.tensors[name].role is role]


def free_address(
    taken: Iterable[tuple[int, int]], start: int, size: int, alignment_bytes: int
) -> int:
    """Return the lowest aligned address, from `start` on, of a gap between taken ranges."""
    address = start
    for begin, end in sorted(taken):
        if begin - address >= size:
            break
        address = max(address, aligned(end, alignment_bytes))
    return address


def aligned(address: int, alignment_bytes: int) -> int:
    """Round an address up to a multiple of the alignment."""
    return -(-address // alignment_bytes) * alignment_bytes
