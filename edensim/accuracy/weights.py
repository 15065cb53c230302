"""Trained weights from files and to files. Files are read by torch's restricted unpickler: tensors and plain values, never code."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edensim.exceptions import NetworkError
from edensim.files import replacing

#: Means and deviations of the channels of an input.
Normalization = tuple[tuple[float, ...], tuple[float, ...]]


def load_weights(module: torch.nn.Module, path: Path, name: str) -> Normalization | None:
    """Give a module the weights of a file: a state dict, or a checkpoint with one under `state_dict`; names may begin with `module.`.

    Returns what the images that they were trained on were normalized by, where the file says it.

    Raises NetworkError for a file that holds none, weights of another network, and weights that are not finite.
    """
    given, normalization = read_weights(path)
    wanted = module.state_dict()
    missing = [
        key for key in wanted if key not in given and not key.endswith("num_batches_tracked")
    ]
    unknown = [key for key in given if key not in wanted]
    if missing or unknown:
        raise NetworkError(
            f"{path}: weights of another network than {name}: "
            + "; ".join(
                f"{what} {len(keys)} tensors ({_few(keys)})"
                for what, keys in (("lacks", missing), ("has beyond it", unknown))
                if keys
            )
        )
    for key, tensor in given.items():
        if tuple(tensor.shape) != tuple(wanted[key].shape):
            raise NetworkError(
                f"{path}: {key}: expected the shape {_shape(wanted[key])} of {name}, found {_shape(tensor)}"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NetworkError(
                f"{path}: {key}: has {int((~torch.isfinite(tensor)).sum())} values that are not finite (NaN or infinite)"
            )
    module.load_state_dict(given, strict=False)
    return normalization


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], Normalization | None]:
    """Tensors by name, and the normalization if the file has one. Raises NetworkError."""
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file of weights")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats are read, too
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exception:  # whatever a broken file makes of an unpickler
        said = (str(exception).strip().splitlines() or [type(exception).__name__])[0]
        raise NetworkError(f"{path}: torch cannot load it as weights: {said[:200]}") from None
    normalization = (
        _normalization(path, found.get("normalization")) if isinstance(found, Mapping) else None
    )
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if (
        not isinstance(found, Mapping)
        or not found
        or not all(isinstance(value, torch.Tensor) for value in found.values())
    ):
        raise NetworkError(
            f"{path}: expected a state dict (tensors by name), found {type(found).__name__}"
        )
    return {str(key).removeprefix("module."): value for key, value in found.items()}, normalization


def _normalization(path: Path, given: Any) -> Normalization | None:
    if given is None:
        return None
    try:
        means, deviations = (tuple(float(value) for value in values) for values in given)
    except (TypeError, ValueError):
        raise NetworkError(
            f"{path}: normalization: expected means and deviations of the channels, found {given!r}"
        ) from None
    if len(means) != len(deviations) or not all(value > 0 for value in deviations):
        raise NetworkError(
            f"{path}: normalization: expected as many deviations above 0 as means, found {given!r}"
        )
    return means, deviations


def save_weights(module: torch.nn.Module, path: Path, normalization: Normalization) -> None:
    """Write a module's state dict and what its images are normalized by, whole or not at all."""
    with replacing(path) as temporary:
        torch.save({"state_dict": module.state_dict(), "normalization": normalization}, temporary)


def check_finite(module: torch.nn.Module, name: str) -> None:
    """Raises NetworkError for weights that are NaN or infinite."""
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NetworkError(
                f"{name}: {key}: has {int((~torch.isfinite(tensor)).sum())} values that are not finite (NaN or infinite)"
            )


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
