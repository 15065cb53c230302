"""The data items of a network, one weight tensor or one ifm each, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from edensim.exceptions import NetworkError
from edensim.networks.layout import Layout, lay_out
from edensim.networks.network import Network, Operator
from edensim.networks.readers.torch_module import parameter_names, read_module

#: Layers whose weights and ifms are read from the memory.
LOADING: Final = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear)


@dataclass(frozen=True, slots=True)
class Item:
    """A data item. role: weights or ifm; address: of its first byte; size_bytes: at the precision of the placing, of the whole batch."""

    name: str
    role: str
    address: int
    size_bytes: int


@dataclass(frozen=True)
class Placing:
    """Items by name, in the order of their first use; calls: of each layer (a module's name), the (weights, ifm) of its calls in a pass."""

    items: Mapping[str, Item]
    calls: Mapping[str, tuple[tuple[str, str], ...]]
    layout: Layout

    @property
    def end(self) -> int:
        """First address behind all tensors."""
        return self.layout.end


def place(
    module: torch.nn.Module,
    name: str,
    shape: Sequence[int],
    batch: int,
    precision: str,
    capacity_bytes: int | None = None,
) -> Placing:
    """Lay a module out for batches of inputs of a shape (channels, height, width).

    Raises NetworkError for a module that cannot be traced, that computes with weights outside of modules of convolution and linear layers (nothing
    can come between these and their memory), and that does not fit.
    """
    network = read_module(module, batch=batch, shape=tuple(shape)).fused()
    layout = lay_out(network, precision, capacity_bytes=capacity_bytes)
    calls = _calls(module, name, network)
    items: dict[str, Item] = {}
    for pairs in calls.values():
        for weights, ifm in pairs:
            for tensor, role in ((weights, "weights"), (ifm, "ifm")):
                placed = layout[tensor]
                items[tensor] = Item(tensor, role, placed.address, placed.size_bytes)
    return Placing(items, calls, layout)


def _calls(
    module: torch.nn.Module, name: str, network: Network
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Weights and ifm of each call of each layer. Raises NetworkError where not all of the network's weights are those of such layers."""
    parameters = parameter_names(module)
    owners = {
        parameters[id(each.weight)]: path
        for path, each in module.named_modules()
        if isinstance(each, LOADING)
    }
    calls: dict[str, list[tuple[str, str]]] = {}
    for layer in network.layers:
        if layer.operator not in (Operator.CONVOLUTION, Operator.LINEAR):
            continue
        weights = layer.weights[0]
        if weights not in owners:
            raise NetworkError(
                f"{name}: weights {weights!r} are used by a function; expected a convolution or linear module for them"
            )
        calls.setdefault(owners[weights], []).append((weights, layer.inputs[0]))
    if not calls:
        raise NetworkError(
            f"{name}: has no convolution or linear layer, so nothing is read from the memory"
        )
    return {path: tuple(pairs) for path, pairs in calls.items()}
