"""Tensors as memory stores them: symmetric integers with one scale per tensor, or FP32.

Two int4 lie in a byte.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edensim.bit_errors.bounding import Bounds, bound, pack_int4, unpack_int4
from edensim.kernels.cells import quantization as storing
from edensim.networks.layout import PRECISION_BITS


class Buffers:
    """Memory that loads use again, for values that are needed only until the next load of a kind.

    New memory would cost as much as the load itself.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def take(self, kind: str, size: int, dtype: Any) -> NDArray[Any]:
        """Return an array with arbitrary content."""
        array = self._arrays.get(kind)
        if array is None or array.size < size or array.dtype != dtype:
            array = self._arrays[kind] = np.empty(size, dtype)
        return array[:size]


@dataclass(frozen=True, slots=True)
class Storage:
    """How one tensor is stored; an integer of 1 has the value `scale` (1.0 at FP32)."""

    precision: str
    scale: float = 1.0

    @classmethod
    def of(cls, precision: str, largest: float) -> Storage:
        """Return the storage of values from -largest to largest.

        Integers of b bits go from -2^(b-1) to 2^(b-1)-1; `largest` becomes the greatest.
        """
        if precision == "fp32" or largest == 0:
            return cls(precision)
        return cls(precision, largest / ((1 << (PRECISION_BITS[precision] - 1)) - 1))

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest integer."""
        half = 1 << (PRECISION_BITS[self.precision] - 1)
        return -half, half - 1

    def numbers(self, values: torch.Tensor, buffers: Buffers | None = None) -> NDArray[Any]:
        """Quantize values to a flat array, which lies in `buffers` if they are given.

        They are integers (int4 as int8, unpacked), or the values themselves at FP32. Values beyond
        the limits become the limits.
        """
        buffers = buffers or Buffers()
        flat = np.ascontiguousarray(
            values.detach().to("cpu", torch.float32).contiguous().numpy()
        ).reshape(-1)
        if self.precision == "fp32":
            same = buffers.take("stored", flat.size, np.float32)
            same[:] = flat
            return same
        scaling = np.array([1.0 / self.scale, *self.limits], np.float32)
        if self.precision == "int16":
            wide = buffers.take("stored", flat.size, np.int16)
            storing.quantize_16(flat, wide, scaling)
            return wide
        narrow = buffers.take("stored", flat.size, np.int8)
        storing.quantize_8(flat, narrow, scaling)
        return narrow

    def stored(self, values: torch.Tensor, buffers: Buffers | None = None) -> NDArray[Any]:
        """Quantize and pack values as DRAM stores them, in `buffers` if they are given."""
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
        """Return the values of what was read, and how many implausible ones were corrected.

        The bounds are those of the stored numbers. At FP32 the values share the memory of `stored`.
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
    """Correct implausible FP32 values in place, and return how many there were."""
    if bounds.correction != "zero":
        return bound(values, bounds)
    return int(storing.zero_beyond(values, np.array(bounds.limits(values.dtype), np.float32)))
