"""Read and write the layers and tensors of a network as JSON.

A torch module that was read once can so be simulated where there is no torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edensim.exceptions import NetworkError
from edensim.files import save_bytes
from edensim.networks.network import Layer, Network, Role, Tensor
from edensim.networks.validation import check_network, check_shape

#: The name and the version of the form of the file.
FORMAT: Final = "edensim-network-1"

#: A larger file is refused before it is read; the largest network of the zoo has 300 kB.
MOST_BYTES = 256 << 20


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a file."""

    format: Literal["edensim-network-1"]
    name: str
    input: str
    further_inputs: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]


def save_network(network: Network, path: Path) -> None:
    """Write a network to a file, whole or not at all."""
    content = Description(
        format=FORMAT,
        name=network.name,
        input=network.input,
        further_inputs=network.further_inputs,
        tensors=tuple(network.tensors.values()),
        layers=network.layers,
    )
    plain = msgspec.to_builtins(content)
    for layer in plain["layers"]:
        if not layer["input_shapes"]:
            del layer["input_shapes"]
    save_bytes(path, msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n")


def read_description(
    path: Path,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
) -> Network:
    """Read the network of a file, for the given batch.

    Raises
    ------
    NetworkError
        If the file holds no network, or an input of another size is wanted: the file has the
        shapes of one size only.
    """
    content = read_content(path)
    tensors: dict[str, Tensor] = {}
    for tensor in content.tensors:
        if tensor.name in tensors:
            raise NetworkError(f"{path}: tensor {tensor.name!r} is there twice")
        check_shape(f"{path}: tensor {tensor.name!r}", tensor.shape)
        tensors[tensor.name] = tensor
    if content.input not in tensors:
        raise NetworkError(f"{path}: its input {content.input!r} is not among its tensors")
    shape = tensors[content.input].shape
    wanted: dict[str, tuple[int | None, Any]] = {
        "channels": (channels, shape[1:2]),
        "height": (height, shape[2:3]),
        "width": (width, shape[3:4]),
    }
    for what, (extent, stated) in wanted.items():
        if extent is not None and (extent,) != stated:
            raise NetworkError(
                f"{path}: was written for inputs of shape {list(shape[1:])}; "
                f"expected no other {what}, found {extent}"
            )
    try:
        network = Network(
            content.name, content.layers, tensors, content.input, content.further_inputs
        )
        check_network(network)
        if network.batch != batch:
            network = _of_batch(network, batch, path)
            check_network(network)
    except NetworkError as exception:
        message = str(exception).removeprefix(f"{content.name}: ").removeprefix(f"{path}: ")
        raise NetworkError(f"{path}: {message}") from None
    return network


def read_content(path: Path) -> Description:
    """Read what a file says, whether or not it makes sense. Raises NetworkError."""
    try:
        with path.open("rb") as file:
            encoded = file.read(MOST_BYTES + 1)
        if len(encoded) > MOST_BYTES:
            raise NetworkError(f"{path}: is larger than {MOST_BYTES:,} bytes; expected a network")
        return msgspec.json.decode(encoded, type=Description)
    except OSError as exception:
        raise NetworkError(f"{path}: cannot be read: {exception.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as exception:
        raise NetworkError(f"{path}: is not a network of the form {FORMAT}: {exception}") from None


def _of_batch(network: Network, batch: int, path: Path) -> Network:
    """Change the batch of a network whose features all begin with it."""
    tensors = {}
    for name, tensor in network.tensors.items():
        if tensor.role is Role.WEIGHTS:
            tensors[name] = tensor
            continue
        if tensor.shape[0] != network.batch:
            raise NetworkError(
                f"{path}: tensor {name!r} of shape {list(tensor.shape)} does not begin with "
                f"the batch of {network.batch}; found batch {batch}"
            )
        tensors[name] = replace(tensor, shape=(batch, *tensor.shape[1:]))
    if any(layer.input_shapes for layer in network.layers):
        raise NetworkError(
            f"{path}: has fused views of batch {network.batch}; found batch {batch}, expected "
            "a network that is not fused"
        )
    return replace(network, tensors=tensors)
