"""Correct implausible values: those outside the bounds of their tensor.

A loaded value outside becomes zero, which is EDEN's choice, or the nearer bound. EDEN's bounding
logic sits in the memory controller and compares exponents, which takes one cycle per load (Koppula
et al., MICRO 2019, sections 3.2 and 5). The comparison `exponent` does what two comparators of
exponent fields can: a bound is the largest value with its exponent, so that bounds of -5 and 5 let
everything below 8 pass. The comparison `value` compares the numbers themselves. NaN and infinities
have the largest exponent, so they are always outside.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import InputError, nearest

#: Memory-controller cycles that the check adds to a load (EDEN, section 5).
CYCLES_PER_LOAD: Final = 1

Correction = Literal["zero", "saturate"]
Comparison = Literal["value", "exponent"]
CORRECTIONS: Final = ("zero", "saturate")
COMPARISONS: Final = ("value", "exponent")

#: Elements handled at once, so that a large tensor needs no copy of its size.
CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range of plausible values of a tensor.

    Attributes
    ----------
    low, high
        Ends of the range, in the units of the stored numbers (quantized ones are integers).
    correction
        What an implausible value becomes: zero, or the nearer end (`saturate`).
    comparison
        What is compared: the numbers (`value`) or their exponents.
    """

    low: float
    high: float
    correction: Correction = "zero"
    comparison: Comparison = "value"

    def __post_init__(self) -> None:
        if not self.low <= self.high or not np.isfinite([self.low, self.high]).all():
            raise InputError(
                f"bounds: expected finite numbers, the lower first, found {self.low!r} and "
                f"{self.high!r}"
            )
        for name, known in (("correction", CORRECTIONS), ("comparison", COMPARISONS)):
            given = getattr(self, name)
            if given not in known:
                raise InputError(
                    f"bounds: {name}: expected one of {', '.join(known)}, found {given!r}"
                    f"{nearest(str(given), known)}"
                )

    @classmethod
    def of(
        cls,
        array: NDArray[Any],
        *,
        margin: float = 0.0,
        correction: Correction = "zero",
        comparison: Comparison = "value",
    ) -> Bounds:
        """Return the bounds of the values of a tensor that was read without errors.

        They are wider on each side by `margin` times the range. Raises InputError if the tensor has
        no finite value.
        """
        finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
        if finite.size == 0:
            raise InputError("bounds: the tensor has no finite value to take them from")
        low, high = float(finite.min()), float(finite.max())
        extra = margin * (high - low)
        return cls(low - extra, high + extra, correction, comparison)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def limits(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        """Return the least and the greatest value that passes, for numbers of a dtype."""
        if self.comparison == "value" or dtype.kind != "f":
            return self.low, self.high
        top = _end_of_exponent(max(abs(self.low), abs(self.high)), dtype)
        low = (
            -_end_of_exponent(-self.low, dtype) if self.low < 0 else -top if self.high < 0 else 0.0
        )
        high = _end_of_exponent(self.high, dtype) if self.high > 0 else 0.0
        return low, high


def _end_of_exponent(value: float, dtype: np.dtype[Any]) -> float:
    """Return the largest number of a dtype with the exponent of a positive value."""
    _, exponent = np.frexp(np.asarray(value, dtype))
    return float(
        np.nextafter(
            np.ldexp(np.asarray(1, np.float64), int(exponent)).astype(dtype), np.asarray(0, dtype)
        )
    )


def bound(array: NDArray[Any], bounds: Bounds) -> int:
    """Correct the implausible values of an array in place; return how many there were.

    They become zero even if zero is outside the bounds, since the controller writes zeros. Each
    load takes CYCLES_PER_LOAD, corrected or not. Raises InputError for an array that does not hold
    real numbers.
    """
    if array.dtype.kind not in "fiu":
        raise InputError(
            f"bounds: expected an array of real numbers, found {array.dtype}; unpack int4 values "
            "first (`unpack_int4`)"
        )
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise InputError(
            "bounds: expected a contiguous, writable array; numpy.ascontiguousarray makes one"
        )
    low, high = _in_dtype(bounds.limits(array.dtype), array.dtype)
    flat = array.reshape(-1)
    corrected = 0
    for first in range(0, flat.size, CHUNK):
        part = flat[first : first + CHUNK]
        plausible = (part >= low) & (part <= high)  # false for NaN
        if plausible.all():
            continue
        outside = np.flatnonzero(~plausible)
        corrected += outside.size
        if bounds.correction == "zero":
            part[outside] = 0
        else:
            # NaN has a sign too, and a comparator of exponents would look at that bit.
            wrong = part[outside]
            below = np.signbit(wrong) & ~(wrong > high) if array.dtype.kind == "f" else wrong < low
            below |= wrong < low
            part[outside] = np.where(below, low, high)
    return corrected


def _in_dtype(limits: tuple[float, float], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return limits as numbers of a dtype, with the same values between them."""
    if dtype.kind == "f":
        return dtype.type(limits[0]), dtype.type(limits[1])
    info = np.iinfo(dtype)
    low, high = int(np.ceil(limits[0])), int(np.floor(limits[1]))
    return dtype.type(min(max(low, info.min), info.max)), dtype.type(
        min(max(high, info.min), info.max)
    )


def pack_int4(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Pack integers from -8 to 7 in two's complement, two per byte, the first in the lower half.

    If their number is odd, the last has a zero beside it.
    """
    flat = np.asarray(values).reshape(-1)
    if flat.dtype.kind not in "iu" or (flat.size and (int(flat.min()) < -8 or int(flat.max()) > 7)):
        raise InputError(
            f"int4: expected whole numbers from -8 to 7, found {flat.dtype}"
            + (f" {flat.min()} to {flat.max()}" if flat.size else "")
        )
    halves = np.zeros(flat.size + flat.size % 2, np.uint8)
    halves[: flat.size] = flat.astype(np.int8).view(np.uint8) & 15
    return np.asarray(halves[::2] | (halves[1::2] << 4))


def unpack_int4(packed: NDArray[np.uint8], count: int | None = None) -> NDArray[np.int8]:
    """Unpack what `pack_int4` packed; `count` is the number of values, None if it is even."""
    values = np.empty(2 * packed.size, np.int8)
    values[::2] = (packed.reshape(-1) << 4).view(np.int8) >> 4
    values[1::2] = packed.reshape(-1).view(np.int8) >> 4
    return values if count is None else values[:count]
