"""Keep track of the names of nodes, tensors and parameters while a torch module is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edensim.networks.builder import NetworkBuilder


class Unsupported(Exception):
    """The reason why an operation cannot be a layer."""


@dataclass
class Traced:
    """A module while it is read.

    `several` maps nodes with several outputs to the tensor that the outputs are parts of. `read`
    holds the nodes whose values some layer reads, and `refused` those with several outputs that
    cannot be layers.
    """

    root: Any
    modules: dict[str, Any]
    parameters: dict[int, str]
    builder: NetworkBuilder = field(init=False)
    tensors: dict[Any, str] = field(default_factory=dict)
    several: dict[Any, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    read: set[Any] = field(default_factory=set)
    refused: set[Any] = field(default_factory=set)

    def name(self, node: Any) -> str:
        """Name a layer like its submodule, or as fx does if there is none or it is called again."""
        name = str(node.target) if node.op == "call_module" else str(node.name)
        if name in self.names:
            name = str(node.name)
        self.names.add(name)
        return name

    def source(self, node: Any, at: int = 0, key: str = "input") -> str:
        """Name the tensor of features that a node takes at a position."""
        value = argument(node, at, key)
        if value not in self.tensors:
            raise Unsupported("its input is no tensor of features")
        return self.features(value)

    def features(self, node: Any) -> str:
        """Name the tensor of features of a node that a layer reads."""
        self.read.add(node)
        return self.tensors[node]

    def whole(self, node: Any) -> str:
        """Name the tensor that the several outputs of a node, some of them read, are parts of."""
        self.read.add(node)
        return self.several[node]

    def weights(self, node: Any) -> tuple[str, ...]:
        """Name weight and bias of the submodule that a node calls as the whole module does.

        What the submodule computes from other parameters (weight_norm) is named by its attribute.
        """
        module = self.called(node)
        return tuple(
            self.parameters[id(module._parameters[name])]
            if name in module._parameters
            else f"{node.target}.{name}"
            for name in ("weight", "bias")
            if getattr(module, name, None) is not None
        )

    def given(self, node: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Name the parameters that a function takes, and give the shape of the weight."""
        values = [
            value
            for value in (argument(node, 1, "weight"), argument(node, 2, "bias"))
            if value is not None
        ]
        if any(value.op != "get_attr" for value in values):
            raise Unsupported("its weights are computed")
        return tuple(self.parameter(value) for value in values), shape_of(values[0])

    def parameter(self, node: Any) -> str:
        """Name the parameter or the constant that a node gets."""
        self.read.add(node)
        return self.parameters.get(id(attribute(self.root, node.target)), str(node.target))

    def called(self, node: Any) -> Any:
        """Return the submodule that a node calls."""
        return self.modules[node.target]


def attribute(module: Any, path: str) -> Any:
    """Return an attribute by its dotted name."""
    for part in path.split("."):
        module = getattr(module, part)
    return module


def argument(node: Any, at: int, key: str, default: Any = None) -> Any:
    """Return an argument by its position or its name."""
    return node.args[at] if len(node.args) > at else node.kwargs.get(key, default)


def shape_of(node: Any) -> tuple[int, ...]:
    """Return the shape of a node's tensor."""
    return tuple(int(extent) for extent in node.meta["shape"])


def two(value: Any) -> tuple[int, int]:
    """Return (vertical, horizontal) of one number or two."""
    if isinstance(value, (tuple, list)):
        return (int(value[0]), int(value[-1]))
    return (int(value), int(value))
