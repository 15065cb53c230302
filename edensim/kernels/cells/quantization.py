"""Turn numbers into stored integers and back, in one pass over a tensor each way.

The loops are plain and have no branches, so that the compiler makes vector code of them. All
arithmetic is on 32-bit floats, as in torch.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry, jit, register

register("f4", np.dtype(np.float32))
register("i1", np.dtype(np.int8))
register("i2", np.dtype(np.int16))

#: Adding and subtracting it rounds a 32-bit float below 2^22 to the nearest integer, ties to even.
ROUNDER = np.float32(3 << 22)


@jit(forceinline=True)
def quantize(values, integers, scale):
    """Scale by scale[0], round to even, and clamp to scale[1] and scale[2]."""
    factor, low, high = scale[0], scale[1], scale[2]
    for i in range(values.size):
        scaled = values[i] * factor
        scaled = low if scaled < low else scaled
        scaled = high if scaled > high else scaled
        integers[i] = np.int32((scaled + ROUNDER) - ROUNDER)


@jit(forceinline=True)
def restore(integers, values, scale, low, high):
    """Scale integers back and correct those beyond the limits; return how many were beyond.

    values[i] becomes integers[i] * scale[0], or scale[1] below `low`, or scale[2] above `high`.
    """
    factor, below, above = scale[0], scale[1], scale[2]
    least, greatest = np.int32(low), np.int32(high)
    beyond = np.int64(0)
    for i in range(integers.size):
        number = np.int32(integers[i])
        value = np.float32(number) * factor
        value = below if number < least else value
        value = above if number > greatest else value
        values[i] = value
        beyond += np.int64(number < least) + np.int64(number > greatest)
    return beyond


@entry("f4[:]", "i1[:]", "f4[:]")
def quantize_8(values, integers, scale):
    """Quantize to 8 bits."""
    quantize(values, integers, scale)
    return 0


@entry("f4[:]", "i2[:]", "f4[:]")
def quantize_16(values, integers, scale):
    """Quantize to 16 bits."""
    quantize(values, integers, scale)
    return 0


@entry("i1[:]", "f4[:]", "f4[:]", "i8", "i8")
def restore_8(integers, values, scale, low, high):
    """Restore from 8 bits."""
    return restore(integers, values, scale, low, high)


@entry("i2[:]", "f4[:]", "f4[:]", "i8", "i8")
def restore_16(integers, values, scale, low, high):
    """Restore from 16 bits."""
    return restore(integers, values, scale, low, high)


@entry("f4[:]", "f4[:]")
def zero_beyond(values, limits):
    """Set values outside of the limits (least, greatest), and NaN, to zero; return how many."""
    low, high = limits[0], limits[1]
    beyond = np.int64(0)
    for i in range(values.size):
        value = values[i]
        inside = (value >= low) & (value <= high)
        values[i] = value if inside else np.float32(0)
        beyond += np.int64(not inside)
    return beyond
