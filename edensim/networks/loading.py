"""One way to every network: by its name in the zoo, or from a file by its kind."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edensim.exceptions import NetworkError, nearest
from edensim.networks.zoo.registry import ENTRIES, zoo_name, zoo_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from edensim.networks.network import Network

#: Reader of each kind of file, as module and function.
READERS = {
    ".cfg": ("edensim.networks.readers.darknet", "read_darknet"),
    ".onnx": ("edensim.networks.readers.onnx_model", "read_onnx"),
    ".csv": ("edensim.networks.readers.scalesim", "read_topology"),
    ".json": ("edensim.networks.readers.description", "read_description"),
}


def load_network(
    network: str | os.PathLike[str] | Any,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
) -> Network:
    """A network by its name in the zoo (`edensim networks` lists them), from a file, or of a torch.nn.Module.

    Files: .cfg (DarkNet), .onnx, .csv (SCALE-Sim), .json (readers/description.py).
    batch: inputs of one pass. height, width, channels: of the input; None: the network's own (a module has none: 3x224x224).

    Raises NetworkError for an unknown name, a file that cannot be read, and an input that does not fit the layers.
    """
    for what, value in (
        ("batch", batch),
        ("height", height),
        ("width", width),
        ("channels", channels),
    ):
        if (value is not None or what == "batch") and (
            isinstance(value, bool) or not isinstance(value, int) or value < 1
        ):
            raise NetworkError(f"{what} = {value!r}; expected a whole number from 1 on")
    read, source = _reader(network)
    loaded: Network = read(source, batch=batch, height=height, width=width, channels=channels)
    return loaded


def _reader(network: str | os.PathLike[str] | Any) -> tuple[Callable[..., Any], Any]:
    """What reads a network, and what it reads it from."""
    if not isinstance(network, (str, os.PathLike)):
        return import_module("edensim.networks.readers.torch_module").read_module, network
    name = os.fspath(network)
    path = Path(name)
    kind = READERS.get(path.suffix.lower())
    if kind is None and zoo_name(name) is not None:
        return zoo_network, name
    if kind is None and path.is_file():
        raise NetworkError(
            f"{name}: is of no kind that can be read; expected one of {', '.join(READERS)}"
        )
    if kind is None:
        raise NetworkError(
            f"unknown network {name!r}{nearest(name, ENTRIES)} (known: {', '.join(ENTRIES)}; or a file: {', '.join(READERS)})"
        )
    if not path.exists():
        raise NetworkError(f"{name}: there is no such file")
    module, function = kind
    return getattr(import_module(module), function), path
