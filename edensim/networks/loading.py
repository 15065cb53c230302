"""Load a network: by its name in the zoo, from a file, or from a torch module."""

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

#: The reader of each kind of file, as module and function: readers are imported when needed.
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
    """Load the layers and tensors of a network; values of weights are not read.

    Parameters
    ----------
    network
        A name of the zoo (`edensim networks` lists them), the path of a file (`.cfg` of DarkNet,
        `.onnx`, `.csv` of SCALE-Sim, `.json` of `save_network`), or a torch.nn.Module.
    batch
        Number of inputs of one pass.
    height, width, channels
        Size of an input in elements. The network's own is taken unless given; a module has none
        of its own, and 3x224x224 is taken.

    Returns
    -------
    Network
        The layers in running order, and the shapes of all tensors.

    Raises
    ------
    NetworkError
        If the name is not known, the file cannot be read, or the input does not fit the layers.
    """
    if batch is None:
        raise NetworkError("batch = None; expected a whole number from 1 on")
    sizes = {"batch": batch, "height": height, "width": width, "channels": channels}
    for what, value in sizes.items():
        if value is not None and (type(value) is not int or value < 1):
            raise NetworkError(f"{what} = {value!r}; expected a whole number from 1 on")
    read, source = _reader(network)
    loaded: Network = read(source, **sizes)
    return loaded


def _reader(network: str | os.PathLike[str] | Any) -> tuple[Callable[..., Any], Any]:
    """Find the function that reads a network, and what it takes."""
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
            f"unknown network {name!r}{nearest(name, ENTRIES)} "
            f"(known: {', '.join(ENTRIES)}; or a file: {', '.join(READERS)})"
        )
    if not path.exists():
        raise NetworkError(f"{name}: there is no such file")
    module, function = kind
    return getattr(import_module(module), function), path
