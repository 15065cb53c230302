"""Read ONNX models: onnx infers the shapes, and `onnx_operators` adds the layers.

Values of weights are not read. Nodes that compute from constants alone (weights, shapes) are no
layers, since a run time folds them when it loads the model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edensim.exceptions import NetworkError
from edensim.networks.builder import NetworkBuilder, text
from edensim.networks.network import Network, Role
from edensim.networks.readers.onnx_operators import OPERATORS, Model, Unsupported
from edensim.networks.readers.onnx_shapes import SHAPE_OPERATORS, inferred_shapes, small_constants

#: What goes wrong with inputs or attributes that onnx does not check.
MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)


def read_onnx(
    path: Path,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
) -> Network:
    """Read the network of an ONNX file, for the given batch and the model's own size unless given.

    Raises
    ------
    NetworkError
        If the file cannot be read, or if operators cannot be simulated, each of which is named.
    """
    try:
        return read_graph(
            path, load(path), batch, {"channels": channels, "height": height, "width": width}
        )
    except NetworkError as exception:
        message = str(exception).removeprefix(f"{path.stem}: ")
        raise (
            exception if message.startswith(f"{path}: ") else NetworkError(f"{path}: {message}")
        ) from None
    except UnicodeError as exception:
        raise NetworkError(
            f"{path}: is not an ONNX model: a name is not text: {exception}"
        ) from None
    except MALFORMED as exception:
        raise NetworkError(f"{path}: is not as ONNX defines it: {exception!r}") from None


def read_graph(path: Path, loaded: Any, batch: int, wanted: dict[str, int | None]) -> Network:
    """Read the network of a model, whose image input has the `wanted` size."""
    graph = loaded.graph
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initializers]
    if not inputs or not graph.node:
        raise NetworkError(
            f"{path}: has no {'inputs' if graph.node else 'nodes'}; expected a model of a network"
        )
    for value in inputs:
        set_size(path, value, wanted)
    constants = constant_names(graph, initializers)
    check_operators(path, graph, constants)
    own_batch = inputs[0].type.tensor_type.shape.dim[0].dim_value
    shapes = inferred_shapes(path, loaded)
    model = Model(
        str(path),
        NetworkBuilder(path.stem, shapes[inputs[0].name], input_name=inputs[0].name),
        shapes,
        constants,
        small_constants(graph),
    )
    model.tensors[inputs[0].name] = inputs[0].name
    for value in inputs[1:]:
        model.tensors[value.name] = model.builder.further_input(value.name, shapes[value.name])
    add_layers(model, graph)
    return for_batch(model.builder.build(), own_batch, batch)


def load(path: Path) -> Any:
    """Load a model by the package onnx, without data that is stored beside it."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise NetworkError(
            f"{path}: reading ONNX needs the package onnx: pip install 'edensim[onnx]'"
        ) from None
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as exception:
        raise NetworkError(f"{path}: cannot be read: {exception.strerror}") from None
    except (DecodeError, ValueError) as exception:
        raise NetworkError(
            f"{path}: is not an ONNX model, or not all of one: {exception}"
        ) from None
    if not model.ByteSize() or not model.HasField("graph"):
        raise NetworkError(f"{path}: has no graph; expected an ONNX model")
    return model


def set_size(path: Path, value: Any, wanted: dict[str, int | None]) -> None:
    """Give an input the wanted size, and a batch of 1 if its batch is open."""
    dimensions = value.type.tensor_type.shape.dim
    if (
        not value.type.HasField("tensor_type")
        or not value.type.tensor_type.HasField("shape")
        or not dimensions
    ):
        raise NetworkError(
            f"{path}: input {value.name!r} has no shape; "
            "expected (batch, channels, height, width) or (batch, features)"
        )
    shown = "x".join(
        str(dimension.dim_value) if dimension.dim_value > 0 else dimension.dim_param or "?"
        for dimension in dimensions
    )
    if dimensions[0].dim_value < 1:
        dimensions[0].dim_value = 1
    if len(dimensions) == 4:
        for dimension, extent in zip(dimensions[1:], wanted.values(), strict=True):
            if extent is not None:
                dimension.dim_value = extent
    elif any(wanted.values()):
        given = ", ".join(f"{name} = {extent}" for name, extent in wanted.items() if extent)
        raise NetworkError(
            f"{path}: input {value.name!r} is {shown}, not an image; {given} cannot be set"
        )
    if any(dimension.dim_value < 1 for dimension in dimensions):
        hint = (
            "; give its height and width (input_height, input_width)"
            if len(dimensions) == 4
            else ""
        )
        raise NetworkError(f"{path}: input {value.name!r} has a dynamic shape, {shown}{hint}")


def constant_names(graph: Any, initializers: set[str]) -> set[str]:
    """Name the tensors that do not depend on the values of inputs."""
    constants = {*initializers, *(tensor.values.name for tensor in graph.sparse_initializer)}
    for node in graph.node:
        if node.op_type in SHAPE_OPERATORS or all(name in constants for name in node.input if name):
            constants.update(node.output)
    return constants


def check_operators(path: Path, graph: Any, constants: set[str]) -> None:
    """Refuse all unknown operators at once."""
    refused = [
        (node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}", node)
        for node in graph.node
        if node.output
        and not all(name in constants for name in node.output)
        and (node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"))
    ]
    if refused:
        raise unsupported(path, [(kind, node, "") for kind, node in refused])


def unsupported(path: Path | str, refused: list[tuple[str, Any, str]]) -> NetworkError:
    """Make an exception that names every node that cannot be simulated."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for kind, node, reason in refused:
        kinds.setdefault((kind, reason), []).append(
            repr(str(node.name or (node.output[0] if node.output else "?")))
        )
    parts = [
        f"{kind} ({'node' if len(nodes) == 1 else 'nodes'} {', '.join(nodes)})"
        f"{f': {reason}' if reason else ''}"
        for (kind, reason), nodes in kinds.items()
    ]
    return NetworkError(f"{path}: operators that cannot be simulated: {'; '.join(parts)}")


def add_layers(model: Model, graph: Any) -> None:
    """Add the layer of every node that computes with features."""
    refused = []
    for node in graph.node:
        if not node.output or all(name in model.constants for name in node.output):
            continue
        try:
            model.tensors[node.output[0]] = OPERATORS[node.op_type](model, node)
            check_inputs(model, node)
        except Unsupported as exception:
            refused.append((node.op_type, node, str(exception)))
            for name in node.output:  # so that the nodes behind it can be checked, too
                if name and name in model.shapes:
                    model.tensors[name] = model.builder.further_input(
                        f"refused {name}", model.shapes[name]
                    )
            continue
        except MALFORMED as exception:
            name = node.name or node.output[0]
            raise NetworkError(
                f"{model.path}: node {name!r} ({node.op_type}) is not as ONNX defines it: "
                f"{exception!r}"
            ) from None
        expected = model.shapes[node.output[0]]
        written = model.builder.shape(model.tensors[node.output[0]])
        if written != expected:
            name = node.name or node.output[0]
            raise NetworkError(
                f"{model.path}: node {name!r} ({node.op_type}) writes {text(expected)}, "
                f"read as {text(written)}"
            )
    if refused:
        raise unsupported(model.path, refused)


def check_inputs(model: Model, node: Any) -> None:
    """Raise Unsupported if a node reads features that its layer does not read."""
    lost = [
        repr(str(name))
        for name in node.input
        if name and name not in model.constants and name not in model.read
    ]
    if lost:
        raise Unsupported(f"its inputs {', '.join(lost)} are computed")


def for_batch(network: Network, own_batch: int, batch: int) -> Network:
    """Change the batch of a network: features grow in their first dimension.

    They do so whatever constants of the model say about their shapes.
    """
    if batch == own_batch:
        return network
    tensors = {}
    for name, tensor in network.tensors.items():
        if tensor.role is Role.FEATURES:
            first = tensor.shape[0] * batch
            if first % own_batch:
                raise NetworkError(
                    f"{network.name}: {name!r} of {text(tensor.shape)} cannot be made "
                    f"of batch {batch}: the model's own is {own_batch}"
                )
            tensor = replace(tensor, shape=(first // own_batch, *tensor.shape[1:]))
        tensors[name] = tensor
    return replace(network, tensors=tensors)
