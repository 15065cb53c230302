"""Trained weights in files.

Files are read by torch's restricted unpickler, which makes tensors and plain values, and never runs
code.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edensim.exceptions import NetworkError
from edensim.files import replacing

#: Means and deviations of the channels of an input.
Normalization = tuple[tuple[float, ...], tuple[float, ...]]


def save_tensors(path: Path, values: dict[str, Any]) -> None:
    """Write tensors and plain values to a file, whole or not at all; raises InputError."""
    with replacing(path) as temporary:
        torch.save(values, temporary)


def load_tensors(path: Path) -> Any:
    """Read a file of tensors and plain values; raises ValueError with the reason in one line."""
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of old torch versions are read, too
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exception:  # a broken file can raise anything in an unpickler
        reason = (str(exception).strip().splitlines() or [type(exception).__name__])[0]
        raise ValueError(reason[:200]) from None


def _check_archive(path: Path) -> None:
    """Raise ValueError if a file unpacks to more than it holds: torch does not compress."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > 2 * path.stat().st_size + (1 << 20):
        raise ValueError(
            f"unpacks to {unpacked:,} bytes from {path.stat().st_size:,}; expected tensors that "
            "are not compressed"
        )


def load_weights(module: torch.nn.Module, path: Path, name: str) -> Normalization | None:
    """Give a module the weights of a file.

    The file is a state dict, or a checkpoint with one under `state_dict`; names may begin with
    `module.`. Returns the normalization of the training images, if the file has it. Raises
    NetworkError for a file without weights, for weights of another network, and for weights that
    are not finite.
    """
    weights, normalization = read_weights(path)
    expected = module.state_dict()
    missing = [
        key for key in expected if key not in weights and not key.endswith("num_batches_tracked")
    ]
    unknown = [key for key in weights if key not in expected]
    if missing or unknown:
        differences = [
            f"{verb} {len(keys)} tensors ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
            for verb, keys in (("lacks", missing), ("has beyond it", unknown))
            if keys
        ]
        raise NetworkError(
            f"{path}: weights of another network than {name}: {'; '.join(differences)}"
        )
    for key, tensor in weights.items():
        if tensor.shape != expected[key].shape:
            raise NetworkError(
                f"{path}: {key}: expected the shape {_shape(expected[key])} of {name}, "
                f"found {_shape(tensor)}"
            )
    _check_finite(weights, str(path))
    module.load_state_dict(weights, strict=False)
    return normalization


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], Normalization | None]:
    """Read tensors by name, and the normalization if the file has one; raises NetworkError."""
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file of weights")
    try:
        content = load_tensors(path)
    except ValueError as reason:
        raise NetworkError(f"{path}: torch cannot load it as weights: {reason}") from None
    normalization = None
    if isinstance(content, Mapping):
        normalization = _normalization(path, content.get("normalization"))
        if isinstance(content.get("state_dict"), Mapping):
            content = content["state_dict"]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, torch.Tensor) for value in content.values())
    ):
        raise NetworkError(
            f"{path}: expected a state dict (tensors by name), found {type(content).__name__}"
        )
    return {
        str(key).removeprefix("module."): value for key, value in content.items()
    }, normalization


def _normalization(path: Path, given: Any) -> Normalization | None:
    """Check the normalization of a file."""
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
    """Write a module's state dict and the normalization of its images, whole or not at all."""
    save_tensors(path, {"state_dict": module.state_dict(), "normalization": normalization})


def check_finite(module: torch.nn.Module, name: str) -> None:
    """Raise NetworkError if a weight is NaN or infinite."""
    _check_finite(module.state_dict(), name)


def _check_finite(tensors: Mapping[str, torch.Tensor], name: str) -> None:
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NetworkError(
                f"{name}: {key}: has {int((~torch.isfinite(tensor)).sum())} values that are not "
                "finite (NaN or infinite); expected finite weights"
            )


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
