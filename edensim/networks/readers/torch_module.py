"""Read a torch.nn.Module: torch.fx traces it, and tensors without values give the shapes.

Weights have the names of the module's parameters, and layers those of its submodules; operations
in between have the names that fx gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edensim.exceptions import NetworkError
from edensim.networks.builder import NetworkBuilder, text
from edensim.networks.network import Network
from edensim.networks.readers.torch_operators import FUNCTIONS, METHODS, MODULES
from edensim.networks.readers.torch_traced import Traced, Unsupported, shape_of


def read_module(
    module: Any,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
    shape: tuple[int, ...] | None = None,
) -> Network:
    """Read the network of a module, which stays as it is.

    Its input is an image of 3x224x224 unless given; `shape` gives that of one input instead, for
    modules that take no image.

    Raises
    ------
    NetworkError
        If the module cannot be traced, or has operations that cannot be simulated, each of which
        is named.
    """
    try:
        import torch
    except ImportError:
        raise NetworkError(
            "reading a module needs the package torch: pip install 'edensim[torch]'"
        ) from None
    if not isinstance(module, torch.nn.Module):
        raise NetworkError(
            f"found a {type(module).__name__}; "
            "expected a network's name, a file or a torch.nn.Module"
        )
    name = type(module).__name__
    if shape is None:
        shape = (channels or 3, height or 224, width or 224)
    with evaluating(module):
        graph = traced_graph(name, module, (batch, *shape))
    builder: NetworkBuilder | None = None
    refused: list[str] = []
    state = Traced(module, dict(module.named_modules()), parameter_names(module))
    for node in graph.nodes:
        if node.op == "placeholder" and is_tensor(node):
            if builder is None:
                builder = state.builder = NetworkBuilder(name, shape_of(node), input_name=node.name)
                state.tensors[node] = builder.input
            else:
                state.tensors[node] = builder.further_input(node.name, shape_of(node))
        elif node.op in ("call_module", "call_function", "call_method"):
            try:
                add_layer(state, node)
            except Unsupported as exception:
                refused.append(f"{operation(state, node)} ({node.name!r}): {exception}")
                if is_tensor(node):  # so that the nodes behind it can be checked, too
                    state.tensors[node] = state.builder.further_input(
                        f"refused {node.name}", shape_of(node)
                    )
    if refused:
        raise NetworkError(f"{name}: operations that cannot be simulated: {'; '.join(refused)}")
    if builder is None:
        raise NetworkError(f"{name}: has no input")
    return builder.build()


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Set evaluation mode, and every submodule's own mode again afterwards."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, training in modes:
            submodule.training = training


def traced_graph(name: str, module: Any, sizes: tuple[int, ...]) -> Any:
    """Trace the graph of a module; `meta["shape"]` of a node is the shape, or shapes, it writes."""
    import torch

    try:
        traced = torch.fx.symbolic_trace(module)
    except Exception as exception:  # a module can do anything while it is traced
        raise NetworkError(f"{name}: torch.fx cannot trace it: {first_line(exception)}") from None
    copied = without_values(traced)

    class Shapes(torch.fx.Interpreter):  # type: ignore[misc]
        """Runs the graph on the meta device, which has shapes without values."""

        def run_node(self, node: Any) -> Any:
            """Run a node and note the shape of its result."""
            result = super().run_node(node)
            if isinstance(result, torch.Tensor):
                node.meta["shape"] = tuple(result.shape)
            elif (
                isinstance(result, (tuple, list))
                and result
                and all(isinstance(part, torch.Tensor) for part in result)
            ):
                node.meta["shape"] = [tuple(part.shape) for part in result]
            return result

    try:
        with torch.no_grad(), torch.device("meta"):
            Shapes(copied).run(torch.empty(sizes))
    except Exception as exception:
        raise NetworkError(
            f"{name}: cannot run on an input of {text(sizes)}: {first_line(exception)}"
        ) from None
    return copied.graph


def without_values(traced: Any) -> Any:
    """Copy a traced module to the meta device, without the values of its weights."""
    import copy

    import torch

    known: dict[int, Any] = {}
    for module in traced.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                known[id(parameter)] = torch.nn.Parameter(
                    torch.empty_like(parameter, device="meta"), parameter.requires_grad
                )
        for tensor in (*module._buffers.values(), *vars(module).values()):
            if isinstance(tensor, torch.Tensor):
                known[id(tensor)] = torch.empty_like(tensor, device="meta")
    return copy.deepcopy(traced, known)


def first_line(exception: Exception) -> str:
    """Shorten the message of an exception, which fx follows with the graph."""
    return (str(exception).strip().splitlines() or [type(exception).__name__])[0][:300]


def parameter_names(module: Any) -> dict[int, str]:
    """Name parameters by their identity, so that shared ones have one name."""
    names: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), name)
    return names


def is_tensor(node: Any) -> bool:
    """Tell whether a node's value is one tensor."""
    return isinstance(node.meta.get("shape"), tuple)


def operation(state: Traced, node: Any) -> str:
    """Name the operation of a node for a message."""
    if node.op == "call_module":
        return f"module {type(state.modules[node.target]).__name__}"
    return (
        f"method {node.target}"
        if node.op == "call_method"
        else f"function {getattr(node.target, '__name__', node.target)}"
    )


def add_layer(state: Traced, node: Any) -> None:
    """Add the layer of a node, unless the node only computes sizes."""
    if not any(
        source in state.tensors or source in state.several for source in node.all_input_nodes
    ):
        return  # numbers, or constants of the module
    if "shape" not in node.meta:
        return  # a size
    if node.op == "call_module":
        module = state.modules[node.target]
        convert = next(
            (
                MODULES[kind.__name__]
                for kind in type(module).__mro__
                if kind.__name__ in MODULES and kind.__module__.startswith("torch.")
            ),
            None,
        )
    else:
        known = FUNCTIONS if node.op == "call_function" else METHODS
        convert = known.get(
            node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        )
    if convert is None:
        raise Unsupported("is not known")
    output = convert(state, node)
    if output is None:
        return  # several outputs
    written, expected = state.builder.shape(output), shape_of(node)
    if written != expected:
        raise Unsupported(f"writes {text(expected)}, read as {text(written)}")
    state.tensors[node] = output
