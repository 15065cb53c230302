"""The data items of a network (weight tensors and ifms), and their addresses."""

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
    """A data item.

    Attributes
    ----------
    name : str
        The tensor.
    role : str
        ``weights`` or ``ifm``.
    address : int
        Address of the first byte.
    size_bytes : int
        Size at the network's precision, of the whole batch.
    """

    name: str
    role: str
    address: int
    size_bytes: int


@dataclass(frozen=True)
class Placing:
    """Where a network's data lie, and what its layers load.

    Attributes
    ----------
    items : Mapping
        Data items by name, in the order of their first use.
    calls : Mapping
        Weights and ifm of each call in a pass, by the layer's module name.
    layout : Layout
        The addresses of all tensors.
    """

    items: Mapping[str, Item]
    calls: Mapping[str, tuple[tuple[str, str], ...]]
    layout: Layout


def place(
    module: torch.nn.Module,
    name: str,
    shape: Sequence[int],
    batch: int,
    precision: str,
    capacity_bytes: int | None = None,
) -> Placing:
    """Lay a module out for batches of inputs of a shape (channels, height, width).

    Raises NetworkError for a module that cannot be traced, that does not fit, or that computes with
    weights outside of convolution and linear modules, because nothing can come between such weights
    and their memory.
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
    """Return weights and ifm of each call of each layer.

    Raises NetworkError if some of the weights are not those of such a layer.
    """
    parameters = parameter_names(module)
    owners = {
        parameters[id(layer.weight)]: path
        for path, layer in module.named_modules()
        if isinstance(layer, LOADING)
    }
    calls: dict[str, list[tuple[str, str]]] = {}
    for layer in network.layers:
        if layer.operator not in (Operator.CONVOLUTION, Operator.LINEAR):
            continue
        weights = layer.weights[0]
        if weights not in owners:
            raise NetworkError(
                f"{name}: weights {weights!r} are used by a function; expected a convolution or "
                "linear module for them"
            )
        calls.setdefault(owners[weights], []).append((weights, layer.inputs[0]))
    if not calls:
        raise NetworkError(
            f"{name}: has no convolution or linear layer, so nothing is read from the memory"
        )
    return {path: tuple(pairs) for path, pairs in calls.items()}
