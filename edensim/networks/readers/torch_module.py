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
from edensim.networks.readers.torch_tables import FUNCTIONS, METHODS, MODULES
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
    sizes = (batch, *(shape or (channels or 3, height or 224, width or 224)))
    module = materialized(name, module, sizes)
    with evaluating(module):
        graph = traced_graph(name, module, sizes)
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
                stand_in(state, node)
    if refused:
        raise NetworkError(f"{name}: operations that cannot be simulated: {'; '.join(refused)}")
    if builder is None:
        raise NetworkError(f"{name}: has no input")
    network = builder.build()
    check_parameters(state, graph, network)
    return network


def stand_in(state: Traced, node: Any) -> None:
    """Put features in the place of a refused node, so that the nodes behind it can be checked."""
    if is_tensor(node):
        state.tensors[node] = state.builder.further_input(f"refused {node.name}", shape_of(node))
    else:
        state.refused.add(node)


def check_parameters(state: Traced, graph: Any, network: Network) -> None:
    """Raise NetworkError unless every parameter of every submodule called is in the network.

    Parameters that a submodule computes its weights from (weight_norm) are in its weights.
    """
    missing = []
    for node in graph.nodes:
        if node.op != "call_module":
            continue
        module = state.called(node)
        computed = [
            name
            for name in ("weight", "bias")
            if name not in module._parameters and f"{node.target}.{name}" in network.tensors
        ]
        origins = tuple(
            origin for name in computed for origin in (f"{name}_", f"parametrizations.{name}.")
        )
        missing += [
            f"{node.target}.{name}"
            for name, parameter in module.named_parameters()
            if state.parameters[id(parameter)] not in network.tensors
            and not (origins and name.startswith(origins))
        ]
    if missing:
        raise NetworkError(
            f"{network.name}: parameters of modules that it calls would be lost: "
            f"{', '.join(dict.fromkeys(missing))}"
        )


def materialized(name: str, module: Any, sizes: tuple[int, ...]) -> Any:
    """Return the module, or a copy that has run once if it has lazy parameters without a shape."""
    import copy

    import torch

    if not any(map(torch.nn.parameter.is_lazy, (*module.parameters(), *module.buffers()))):
        return module
    # Tensors without a shape cannot be copied as others are.
    buffers = {
        id(buffer): torch.nn.parameter.UninitializedBuffer(dtype=buffer.dtype)
        for buffer in module.buffers()
        if torch.nn.parameter.is_lazy(buffer)
    }
    try:
        module = copy.deepcopy(module, buffers)
        with evaluating(module), torch.no_grad():
            module(torch.zeros(sizes))
    except Exception as exception:  # a module can do anything while it runs
        raise NetworkError(
            f"{name}: cannot run on an input of {text(sizes)}: {first_line(exception)}"
        ) from None
    return module


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
            leaves = torch.utils._pytree.tree_leaves(result)
            node.meta["has_tensors"] = any(isinstance(leaf, torch.Tensor) for leaf in leaves)
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
            Shapes(copied).run(torch.empty(sizes, dtype=floating_type(module)))
    except Exception as exception:
        raise NetworkError(
            f"{name}: cannot run on an input of {text(sizes)}: {first_line(exception)}"
        ) from None
    return copied.graph


def floating_type(module: Any) -> Any:
    """Return the floating-point type that a module computes with."""
    import torch

    tensors = (*module.parameters(), *module.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)


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
    inputs = node.all_input_nodes
    if not node.meta["has_tensors"]:
        return  # a size
    if any(source in state.refused for source in inputs):
        stand_in(state, node)
        return
    if not any(source in state.tensors or source in state.several for source in inputs):
        return  # numbers, or constants of the module
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
    if "shape" not in node.meta:
        raise Unsupported("writes other things than tensors")
    try:
        output = convert(state, node)
    except (LookupError, TypeError, ValueError, AttributeError) as exception:
        raise Unsupported(f"is called in a way that is not known: {exception!r}") from None
    lost = [
        source.name for source in inputs if source.meta["has_tensors"] and source not in state.read
    ]
    if lost:
        raise Unsupported(f"its arguments {', '.join(lost)} would be lost")
    if output is None:
        return  # several outputs
    if not is_tensor(node):
        raise Unsupported("writes several tensors")
    written, expected = state.builder.shape(output), shape_of(node)
    if written != expected:
        raise Unsupported(f"writes {text(expected)}, read as {text(written)}")
    state.tensors[node] = output
