"""Pass arrays in .npy files through the memory, as `edensim inject` does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.array_files import read_npy
from edensim.bit_errors.bounding import CYCLES_PER_LOAD, Bounds, bound
from edensim.bit_errors.injection import Injection, inject
from edensim.exceptions import InputError
from edensim.files import replacing


def inject_file(
    source: Path,
    target: Path | None,
    *,
    bounds: Bounds | None = None,
    overrides: Sequence[str] = (),
    **options: Any,
) -> Injection:
    """Read an array, flip its bits, correct implausible values, and write it if there is a target.

    `options` are those of `inject`. Raises InputError for a file that does not hold an array, and
    as `inject` and `bound` do.
    """
    array = read_array(source)
    done = inject(array, overrides=overrides, in_place=True, **options)
    if bounds is not None:
        corrected = bound(done.array, bounds)
        note = {**bounds.to_dict(), "corrected": corrected, "cycles_per_load": CYCLES_PER_LOAD}
        done = replace(done, notes={**done.notes, "bounding": note})
    if target is not None:
        write_array(target, done.array)
    return done


def read_array(path: Path) -> NDArray[Any]:
    """Read the array of a .npy file, in C order; raise InputError if it holds none."""
    return read_npy(path, "an array (a .npy file of numbers)", InputError)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def parse_bounds(text: str, correction: str, comparison: str) -> Bounds:
    """Parse bounds written `LOW,HIGH`; raise InputError if they are not."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--bounds: expected LOW,HIGH, found {text!r}") from None
    return Bounds(low, high, correction, comparison)  # type: ignore[arg-type]


def whole_number(option: str, text: str) -> int:
    """Parse a whole number, decimal or hexadecimal after 0x; raise InputError if it is none."""
    try:
        return int(text, 0)
    except ValueError:
        raise InputError(
            f"{option}: expected a whole number such as 4096 or 0x1000, found {text!r}"
        ) from None
