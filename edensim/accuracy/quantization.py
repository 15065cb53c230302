"""Tensors as memory stores them: symmetric integers of one scale per tensor, two int4 in a byte, or FP32 as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from edensim.bit_errors.bounding import Bounds, bound, pack_int4, unpack_int4
from edensim.exceptions import InputError, nearest
from edensim.kernels.cells import quantization as storing
from edensim.networks.layout import PRECISION_BITS

PRECISIONS: Final = tuple(PRECISION_BITS)


def check_precision(precision: str) -> str:
    """The precision. Raises InputError for one that is not known."""
    if precision not in PRECISIONS:
        raise InputError(
            f"precision: expected one of {', '.join(PRECISIONS)}, found {precision!r}{nearest(precision, PRECISIONS)}"
        )
    return precision


class Buffers:
    """Memory that loads use again, for what is needed only until the next load of the same kind. New memory costs as much as the load itself."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def take(self, kind: str, size: int, dtype: Any) -> NDArray[Any]:
        """An array of what it was left with."""
        kept = self._arrays.get(kind)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._arrays[kind] = np.empty(size, dtype)
        return kept[:size]


@dataclass(frozen=True, slots=True)
class Storage:
    """How one tensor is stored. scale: value of an integer's 1 (1.0 at FP32, where nothing is scaled)."""

    precision: str
    scale: float = 1.0

    @classmethod
    def of(cls, precision: str, largest: float) -> Storage:
        """For values from -largest to largest. Integers go from -2^(b-1) to 2^(b-1)-1, of which `largest` becomes the greatest."""
        if precision == "fp32" or largest == 0:
            return cls(precision)
        return cls(precision, largest / ((1 << (PRECISION_BITS[precision] - 1)) - 1))

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest integer."""
        half = 1 << (PRECISION_BITS[self.precision] - 1)
        return -half, half - 1

    def numbers(self, values: torch.Tensor, buffers: Buffers | None = None) -> NDArray[Any]:
        """Values as the numbers that are stored, flat and in new memory (or the buffers'): integers (int4: as int8, unpacked), or at FP32 themselves.

        Values beyond the limits become these.
        """
        buffers = buffers or Buffers()
        flat = np.ascontiguousarray(
            values.detach().to("cpu", torch.float32).contiguous().numpy()
        ).reshape(-1)
        if self.precision == "fp32":
            same = buffers.take("stored", flat.size, np.float32)
            same[:] = flat
            return same
        law = np.array([1.0 / self.scale, *self.limits], np.float32)
        if self.precision == "int16":
            wide = buffers.take("stored", flat.size, np.int16)
            storing.quantize_16(flat, wide, law)
            return wide
        narrow = buffers.take("stored", flat.size, np.int8)
        storing.quantize_8(flat, narrow, law)
        return narrow

    def stored(self, values: torch.Tensor, buffers: Buffers | None = None) -> NDArray[Any]:
        """Values as what lies in memory, flat and in new memory (or the buffers')."""
        numbers = self.numbers(values, buffers)
        return pack_int4(numbers) if self.precision == "int4" else numbers

    def loaded(
        self,
        stored: NDArray[Any],
        shape: Sequence[int],
        bounds: Bounds | None,
        device: Any = "cpu",
        buffers: Buffers | None = None,
    ) -> tuple[torch.Tensor, int]:
        """Values of what was read, after the correction of implausible ones; and how many of these there were. bounds: of the numbers stored.

        At FP32 the values are the memory given.
        """
        if self.precision == "fp32":
            corrected = _bound_floats(stored, bounds) if bounds is not None else 0
            return torch.from_numpy(stored).reshape(tuple(shape)).to(device), corrected
        size = math.prod(shape)
        numbers = unpack_int4(stored, size) if self.precision == "int4" else stored
        values = (buffers or Buffers()).take("values", size, np.float32)
        low, high = (int(bounds.low), int(bounds.high)) if bounds is not None else self.limits
        ends = (
            (low * self.scale, high * self.scale)
            if bounds is not None and bounds.correction == "saturate"
            else (0.0, 0.0)
        )
        restore = storing.restore_16 if self.precision == "int16" else storing.restore_8
        corrected = restore(numbers, values, np.array([self.scale, *ends], np.float32), low, high)
        return torch.from_numpy(values).reshape(tuple(shape)).to(device), int(corrected)


def _bound_floats(values: NDArray[np.float32], bounds: Bounds) -> int:
    if bounds.correction != "zero":
        return bound(values, bounds)
    return int(storing.zero_beyond(values, np.array(bounds.limits(values.dtype), np.float32)))
