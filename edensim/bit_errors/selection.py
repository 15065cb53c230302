"""Choose an error model for a map of bit errors, as EDEN does.

A map says of each cell, which is a row and a bitline, how many of R reads were wrong. A weak cell
fails with probability F in each read, so a cell with k wrong reads has the likelihood
P Binomial(k; R, F) + (1 - P) [k = 0]. What the likelihood needs of a line is the number of its
cells without errors, of those with errors, and of their errors.

Each model is fitted by maximum likelihood. The rules are those of Koppula et al. (MICRO 2019,
section 4), completed where the paper leaves them open. The model with the smallest BIC (with ln
cells per parameter) is chosen, but model 0 if its BIC is less than NEAR above that; if several
others are so near, one is drawn at random. Models 1 and 2 count as model 0 if F differs by less
than 0.05 between lines and P is the same for all, which means that `spread` is below SAME_SPREAD or
its interval reaches it.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.map_likelihood import (
    Lines,
    ModelFit,
    fit_bitlines,
    fit_uniform,
    fit_values,
    fit_wordlines,
)
from edensim.bit_errors.models import ErrorModel
from edensim.exceptions import DataError, FitError

#: A difference of BIC below this is no evidence ("very strong" begins at 10 on the scale of Kass
#: and Raftery, 1995).
NEAR: Final = 10.0
#: Lines count as alike if the natural logarithm of their rates has a smaller standard deviation.
SAME_SPREAD: Final = 0.05
#: Failure probabilities of lines count as the same if they differ by less (EDEN's value).
SAME_FAILURE: Final = 0.05


@dataclass(frozen=True)
class ErrorMap:
    """Wrong reads, out of `reads`, of each cell of [rows, bitlines].

    `stored` has the bit that each cell holds, if it is known.
    """

    path: Path
    wrong: NDArray[np.int64]
    reads: int
    stored: NDArray[np.uint8] | None
    trcd_ns: float | None
    vdd_V: float | None
    temp_C: float


@dataclass(frozen=True)
class Selection:
    """The chosen model, the reason, and all fits."""

    model: ErrorModel
    reason: str
    fits: tuple[ModelFit, ...]
    cells: int
    reads: int

    def fit_of(self, kind: int) -> ModelFit:
        """Return the fit of a model; raise KeyError if it was not fitted."""
        for each in self.fits:
            if each.kind == kind:
                return each
        raise KeyError(kind)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "model": self.model.to_dict(),
            "reason": self.reason,
            "cells": self.cells,
            "reads": self.reads,
            "models": [each.to_dict() for each in self.fits],
        }

    def summary_lines(self) -> list[str]:
        """Return a line per model, for a terminal."""
        lines = [
            f"  {self.cells:,} cells, {self.reads} reads: model {self.model.kind} "
            f"({self.model.name}), {self.reason}"
        ]
        for each in self.fits:
            values = ", ".join(
                f"{name} {value:.3g} ({low:.3g} to {high:.3g})"
                for name, (value, low, high) in each.parameters.items()
            )
            lines.append(
                f"    model {each.kind}: log likelihood {each.log_likelihood:,.1f}, BIC "
                f"{each.bic:,.1f}; {values}"
            )
        return lines


def is_map(path: Path) -> bool:
    """Return whether a file is a map of bit errors, by its name."""
    return path.suffix.lower() in (".npz", ".npy")


def read_map(path: Path) -> ErrorMap:
    """Read a map of bit errors; raise DataError if the file holds none.

    An .npz file holds `errors` [reads, rows, bitlines] of 0 and 1, or `wrong` [rows, bitlines] and
    `reads`. It may hold the `stored` bits [rows, bitlines] or a `pattern` byte, and `trcd_ns`,
    `vdd_V` and `temp_C`. An .npy file holds the errors only.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        content = (
            {"errors": loaded}
            if isinstance(loaded, np.ndarray)
            else {name: loaded[name] for name in loaded.files}
        )
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path}: not a map of bit errors (.npz or .npy of numbers): {problem}"
        ) from None
    wrong, reads = _wrong(path, content)
    stored = _stored(path, content, wrong.shape)
    trcd_ns, vdd_V, temp_C = (
        _scalar(path, content, name, low, high) for name, low, high in _SCALARS
    )
    return ErrorMap(path, wrong, reads, stored, trcd_ns, vdd_V, 20.0 if temp_C is None else temp_C)


_SCALARS: Final = (("trcd_ns", 0.1, 1000.0), ("vdd_V", 0.1, 5.0), ("temp_C", -273.15, 200.0))


def _wrong(path: Path, content: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.int64], int]:
    if "errors" in content:
        errors = content["errors"]
        if errors.ndim != 3 or errors.dtype.kind not in "bui" or errors.size == 0:
            raise DataError(
                f"{path}: errors: expected bits [reads, rows, bitlines], found {errors.dtype} "
                f"{list(errors.shape)}"
            )
        if errors.dtype.kind != "b" and (errors.max() > 1 or errors.min() < 0):
            raise DataError(f"{path}: errors: expected 0 and 1, found values up to {errors.max()}")
        return errors.sum(axis=0, dtype=np.int64), errors.shape[0]
    if "wrong" not in content or "reads" not in content:
        raise DataError(
            f"{path}: expected arrays `errors`, or `wrong` and `reads`; found "
            f"{', '.join(sorted(content)) or 'none'}"
        )
    wrong = content["wrong"]
    reads = int(content["reads"])
    if wrong.ndim != 2 or wrong.dtype.kind not in "ui" or wrong.size == 0:
        raise DataError(
            f"{path}: wrong: expected whole numbers [rows, bitlines], found {wrong.dtype} "
            f"{list(wrong.shape)}"
        )
    if reads < 1 or wrong.min() < 0 or wrong.max() > reads:
        raise DataError(
            f"{path}: wrong: expected 0 to the number of reads ({reads}), found {wrong.min()} to "
            f"{wrong.max()}"
        )
    return wrong.astype(np.int64), reads


def _stored(
    path: Path, content: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
) -> NDArray[np.uint8] | None:
    if "stored" in content:
        stored = content["stored"]
        if stored.shape != shape or stored.max(initial=0) > 1:
            raise DataError(
                f"{path}: stored: expected bits {list(shape)}, found {stored.dtype} "
                f"{list(stored.shape)}"
            )
        return stored.astype(np.uint8)
    if "pattern" not in content:
        return None
    text = str(content["pattern"])
    try:
        byte = int(text, 0)
    except ValueError:
        byte = -1
    if not 0 <= byte <= 255:
        raise DataError(f"{path}: pattern: expected a byte from 0x00 to 0xff, found {text!r}")
    bits = np.array([byte >> (index % 8) & 1 for index in range(shape[1])], dtype=np.uint8)
    return np.broadcast_to(bits, shape).copy()


def _scalar(
    path: Path, content: Mapping[str, NDArray[Any]], name: str, low: float, high: float
) -> float | None:
    if name not in content:
        return None
    try:
        value = float(content[name])
    except (TypeError, ValueError):
        value = math.nan
    if not low <= value <= high:
        raise DataError(f"{path}: {name}: expected {low:g} to {high:g}, found {content[name]}")
    return value


def select_model(map_: ErrorMap, *, seed: int = 1) -> Selection:
    """Fit all models that a map can show, and choose one.

    The seed decides the draw among models as good as each other. Raises FitError if nothing failed,
    or if each cell was read once, so that P and F cannot be separated.
    """
    if not map_.wrong.any():
        raise FitError(f"{map_.path}: no cell was ever wrong; there is nothing to fit")
    if map_.reads < 2:
        raise FitError(
            f"{map_.path}: one read of each cell tells P times F only: not identifiable; expected "
            "two reads or more"
        )
    uniform = fit_uniform(_lines(map_.wrong.reshape(1, -1), map_.reads))
    fits = [
        uniform,
        fit_bitlines(_lines(map_.wrong.T, map_.reads)),
        fit_wordlines(_lines(map_.wrong, map_.reads)),
    ]
    if map_.stored is not None and 0 < int(map_.stored.sum()) < map_.stored.size:
        ones = map_.stored.astype(bool)
        fits.append(
            fit_values(
                *(_lines(map_.wrong[where].reshape(1, -1), map_.reads) for where in (ones, ~ones))
            )
        )
    model, reason = _choose(fits, seed)
    return Selection(model, reason, tuple(fits), map_.wrong.size, map_.reads)


def _lines(wrong: NDArray[np.int64], reads: int) -> Lines:
    return Lines(
        clean=np.sum(wrong == 0, axis=1),
        failing=np.sum(wrong > 0, axis=1),
        errors=wrong.sum(axis=1),
        reads=reads,
    )


def _choose(fits: list[ModelFit], seed: int) -> tuple[ErrorModel, str]:
    """Choose by the rules at the start of this file."""
    uniform = fits[0]
    best = min(fits, key=lambda each: each.bic)
    if uniform.bic - best.bic < NEAR:
        word = "smallest BIC" if best is uniform else f"BIC within {NEAR:g} of model {best.kind}'s"
        return uniform.model, word
    near = [each for each in fits if each.bic - best.bic < NEAR]
    chosen = near[int(np.random.default_rng(seed).integers(len(near)))] if len(near) > 1 else best
    if chosen.kind in (1, 2):
        _, low, _ = chosen.parameters["spread"]
        range_of_failures = (
            2 * chosen.parameters["failure_spread"][0]
            if "failure_spread" in chosen.parameters
            else 0.0
        )
        if range_of_failures < SAME_FAILURE and low < SAME_SPREAD:
            return (
                uniform.model,
                f"model {chosen.kind} reduces to 0: lines have the same P, and F within "
                f"{SAME_FAILURE:g}",
            )
    word = f"BIC {uniform.bic - chosen.bic:,.0f} below model 0's" + (
        f", drawn of {len(near)} as good" if len(near) > 1 else ""
    )
    return chosen.model, word
