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

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.array_files import Header, NpzFile, read_npy
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
from edensim.files import reading

#: What a file is expected to be.
WHAT: Final = "a map of bit errors (.npz or .npy of numbers)"
#: Most cells of a map (32 MiB of memory), and most reads of each.
MOST_CELLS: Final = 1 << 28
MOST_READS: Final = (1 << 32) - 1
#: Cells that are counted at once.
_BLOCK_CELLS: Final = 1 << 22
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
    wrong: NDArray[np.integer[Any]]
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
    if path.suffix.lower() == ".npy":
        errors = read_npy(path, WHAT, DataError, limit=MOST_CELLS)
        header = Header(errors.shape, False, errors.dtype)
        wrong, reads = _wrong_of_errors(path, header, [errors.reshape(-1)])
        return ErrorMap(path, wrong, reads, None, None, None, 20.0)
    with NpzFile(path, WHAT, DataError) as file:
        wrong, reads = _wrong(file)
        stored = _stored(file, wrong.shape)
        trcd_ns, vdd_V, temp_C = (_scalar(file, name, low, high) for name, low, high in _SCALARS)
        file.check_rest()
    return ErrorMap(path, wrong, reads, stored, trcd_ns, vdd_V, 20.0 if temp_C is None else temp_C)


_SCALARS: Final = (("trcd_ns", 0.1, 1000.0), ("vdd_V", 0.1, 5.0), ("temp_C", -273.15, 200.0))


def _wrong(file: NpzFile) -> tuple[NDArray[np.integer[Any]], int]:
    """Return how often each cell was read wrongly, and how often it was read."""
    path = file.path
    if "errors" in file.names:
        header = file.header("errors")
        width = math.prod(header.shape[1:]) or 1
        return _wrong_of_errors(path, header, file.blocks("errors", width, MOST_CELLS))
    if "wrong" not in file.names or "reads" not in file.names:
        raise DataError(
            f"{path}: expected arrays `errors`, or `wrong` and `reads`; found "
            f"{', '.join(sorted(file.names))[:200] or 'none'}"
        )
    header = file.header("wrong")
    if len(header.shape) != 2 or header.dtype.kind not in "ui" or header.size == 0:
        raise DataError(
            f"{path}: wrong: expected whole numbers [rows, bitlines], found {header.dtype} "
            f"{list(header.shape)}"
        )
    number = file.array("reads", limit=64)
    if number.size != 1 or number.dtype.kind not in "uif":
        raise DataError(f"{path}: reads: expected one number, found {number.dtype} {number.shape}")
    reads = _checked_reads(path, float(number.reshape(-1)[0]))
    wrong = _empty_map(path, header.shape, reads)
    first = 0
    for block in file.blocks("wrong", 1, MOST_CELLS):
        if block.min() < 0 or block.max() > reads:
            raise DataError(
                f"{path}: wrong: expected 0 to the number of reads ({reads}), found {block.min()} "
                f"to {block.max()}"
            )
        wrong.reshape(-1)[first : first + block.size] = block
        first += block.size
    return wrong, reads


def _wrong_of_errors(
    path: Path, header: Header, blocks: Iterable[NDArray[Any]]
) -> tuple[NDArray[np.integer[Any]], int]:
    """Count the wrong reads of each cell in the errors of all reads."""
    if len(header.shape) != 3 or header.dtype.kind not in "bui" or header.size == 0:
        raise DataError(
            f"{path}: errors: expected bits [reads, rows, bitlines], found {header.dtype} "
            f"{list(header.shape)}"
        )
    reads = _checked_reads(path, header.shape[0])
    wrong = _empty_map(path, header.shape[1:], reads)
    counts, first = wrong.reshape(-1), 0
    for block in blocks:
        if block.dtype.kind != "b" and (block.max() > 1 or block.min() < 0):
            raise DataError(f"{path}: errors: expected 0 and 1, found values up to {block.max()}")
        if block.size % counts.size == 0:  # whole reads
            counts += block.reshape(-1, counts.size).sum(axis=0, dtype=counts.dtype)
            continue
        while block.size:
            part = block[: counts.size - first]
            counts[first : first + part.size] += part.astype(counts.dtype, copy=False)
            block, first = block[part.size :], (first + part.size) % counts.size
    return wrong, reads


def _checked_reads(path: Path, reads: float) -> int:
    if not 1 <= reads <= MOST_READS or reads != int(reads):
        raise DataError(
            f"{path}: reads: expected a whole number from 1 to {MOST_READS:,}, found {reads:g}"
        )
    return int(reads)


def _empty_map(path: Path, shape: tuple[int, ...], reads: int) -> NDArray[np.integer[Any]]:
    """Return zeros in the smallest type that counts the reads of a cell."""
    if math.prod(shape) > MOST_CELLS:
        raise DataError(
            f"{path}: a map of {' x '.join(map(str, shape))} cells; expected at most "
            f"{MOST_CELLS:,}; split it by rows"
        )
    return np.zeros(shape, np.min_scalar_type(reads))


def _stored(file: NpzFile, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    path = file.path
    if "stored" in file.names:
        header = file.header("stored")
        if header.shape != shape or header.dtype.kind not in "bui":
            raise DataError(
                f"{path}: stored: expected bits {list(shape)}, found {header.dtype} "
                f"{list(header.shape)}"
            )
        stored, first = np.zeros(math.prod(shape), np.uint8), 0
        for block in file.blocks("stored", 1, MOST_CELLS):
            if block.dtype.kind != "b" and (block.max() > 1 or block.min() < 0):
                raise DataError(
                    f"{path}: stored: expected 0 and 1, found {block.min()} to {block.max()}"
                )
            stored[first : first + block.size] = block
            first += block.size
        return stored.reshape(shape)
    if "pattern" not in file.names:
        return None
    pattern = file.array("pattern", limit=1024)
    with reading(path, "a pattern", DataError):
        text = str(pattern)
    try:
        byte = int(text, 0)
    except ValueError:
        byte = -1
    if not 0 <= byte <= 255:
        raise DataError(f"{path}: pattern: expected a byte from 0x00 to 0xff, found {text[:80]!r}")
    bits = np.array([byte >> (index % 8) & 1 for index in range(shape[1])], dtype=np.uint8)
    return np.broadcast_to(bits, shape)


def _scalar(file: NpzFile, name: str, low: float, high: float) -> float | None:
    if name not in file.names:
        return None
    content = file.array(name, limit=1024)
    try:
        value = float(content.reshape(-1)[0]) if content.size == 1 else math.nan
    except (TypeError, ValueError, UnicodeError):
        value = math.nan
    if not low <= value <= high:
        raise DataError(
            f"{file.path}: {name}: expected {low:g} to {high:g}, found {value:g} "
            f"({content.dtype} {list(content.shape)})"
        )
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
    statistics = _statistics(map_)
    uniform = fit_uniform(statistics["all"])
    fits = [
        uniform,
        fit_bitlines(statistics["bitlines"]),
        fit_wordlines(statistics["wordlines"]),
    ]
    if map_.stored is not None and 0 < int(map_.stored.sum()) < map_.stored.size:
        fits.append(fit_values(statistics["ones"], statistics["zeros"]))
    model, reason = _choose(fits, seed)
    return Selection(model, reason, tuple(fits), map_.wrong.size, map_.reads)


def _statistics(map_: ErrorMap) -> dict[str, Lines]:
    """Count cells and errors by line and stored value, block by block: a map may be large."""
    rows, bitlines = map_.wrong.shape
    failing = {"wordlines": np.zeros(rows, np.int64), "bitlines": np.zeros(bitlines, np.int64)}
    errors = {name: np.zeros_like(counts) for name, counts in failing.items()}
    of_ones = np.zeros(3, np.int64)  # cells, failing cells, errors
    step = max(1, _BLOCK_CELLS // bitlines)
    for first in range(0, rows, step):
        block = map_.wrong[first : first + step]
        is_wrong = block > 0
        for name, axis, at in (
            ("wordlines", 1, slice(first, first + step)),
            ("bitlines", 0, slice(None)),
        ):
            failing[name][at] += is_wrong.sum(axis=axis)
            errors[name][at] += block.sum(axis=axis, dtype=np.int64)
        if map_.stored is not None:
            ones = map_.stored[first : first + step].astype(bool)
            of_ones += (ones.sum(), (is_wrong & ones).sum(), block[ones].sum(dtype=np.int64))
    widths = {"wordlines": bitlines, "bitlines": rows}
    lines = {
        name: Lines(widths[name] - counts, counts, errors[name], map_.reads)
        for name, counts in failing.items()
    }
    everything = np.array(
        [map_.wrong.size, failing["wordlines"].sum(), errors["wordlines"].sum()], np.int64
    )
    for name, (cells, wrong, sum_of_errors) in (
        ("all", everything),
        ("ones", of_ones),
        ("zeros", everything - of_ones),
    ):
        counts = (np.array([cells - wrong]), np.array([wrong]), np.array([sum_of_errors]))
        lines[name] = Lines(*counts, map_.reads)
    return lines


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
