"""A network as a file of edensim's own (JSON): layers and tensors as `Network` has them, nothing about values.

What a torch module is, once read, can so be run by `edensim simulate` where there is no torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edensim.exceptions import NetworkError
from edensim.files import save_bytes
from edensim.networks.network import Layer, Network, Role, Tensor

#: First word of the file, and the version of its form.
FORMAT: Final = "edensim-network-1"


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's content."""

    format: Literal["edensim-network-1"]
    name: str
    input: str
    further_inputs: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]


def save_network(network: Network, path: Path) -> None:
    """Write a network's file, whole or not at all."""
    content = Description(
        format=FORMAT,
        name=network.name,
        input=network.input,
        further_inputs=network.further_inputs,
        tensors=tuple(network.tensors.values()),
        layers=network.layers,
    )
    save_bytes(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def read_description(
    path: Path,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
) -> Network:
    """The network of a file, for another batch if asked.

    Raises NetworkError for a file that is none, and where an input of another size is asked for: only the network's own reader can lay that out.
    """
    try:
        content = msgspec.json.decode(path.read_bytes(), type=Description)
    except OSError as exception:
        raise NetworkError(f"{path}: cannot be read: {exception.strerror}") from None
    except msgspec.DecodeError as exception:
        raise NetworkError(f"{path}: is not a network of the form {FORMAT}: {exception}") from None
    tensors: dict[str, Tensor] = {}
    for tensor in content.tensors:
        if tensor.name in tensors:
            raise NetworkError(f"{path}: tensor {tensor.name!r} is there twice")
        if not tensor.shape or min(tensor.shape) < 1:
            raise NetworkError(
                f"{path}: tensor {tensor.name!r}: expected a shape of whole numbers from 1 on, found {list(tensor.shape)}"
            )
        tensors[tensor.name] = tensor
    if content.input not in tensors:
        raise NetworkError(f"{path}: its input {content.input!r} is not among its tensors")
    shape = tensors[content.input].shape
    asked: dict[str, tuple[int | None, Any]] = {
        "channels": (channels, shape[1:2]),
        "height": (height, shape[2:3]),
        "width": (width, shape[3:4]),
    }
    for what, (wanted, own) in asked.items():
        if wanted is not None and (wanted,) != own:
            raise NetworkError(
                f"{path}: was written for inputs of shape {list(shape[1:])}; expected no other {what}, found {wanted}"
            )
    network = Network(content.name, content.layers, tensors, content.input, content.further_inputs)
    return network if network.batch == batch else _of_batch(network, batch, path)


def _of_batch(network: Network, batch: int, path: Path) -> Network:
    """The same network for another batch. Raises NetworkError where features do not begin with the batch."""
    tensors = {}
    for name, tensor in network.tensors.items():
        if tensor.role is Role.WEIGHTS:
            tensors[name] = tensor
            continue
        if tensor.shape[0] != network.batch:
            raise NetworkError(
                f"{path}: tensor {name!r} of shape {list(tensor.shape)} does not begin with the batch of {network.batch}; found batch {batch}"
            )
        tensors[name] = replace(tensor, shape=(batch, *tensor.shape[1:]))
    return replace(network, tensors=tensors)
