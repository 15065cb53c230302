"""Numbers to stored integers and back, one pass over a tensor each way: scaled, rounded, clamped; corrected where implausible, and scaled back.

Plain loops without branches, so that the compiler makes vector code of them. All arithmetic is of 32-bit floats, as torch's is.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry, jit, register

register("f4", np.dtype(np.float32))
register("i1", np.dtype(np.int8))
register("i2", np.dtype(np.int16))

#: Added and taken away again, it leaves a 32-bit float below 2^22 rounded to the nearest integer, ties to even.
ROUNDER = np.float32(3 << 22)


@jit(forceinline=True)
def quantize(values, integers, law):
    """integers[i] = values[i] * law[0], rounded to even, within law[1] and law[2]."""
    factor, low, high = law[0], law[1], law[2]
    for i in range(values.size):
        scaled = values[i] * factor
        scaled = low if scaled < low else scaled
        scaled = high if scaled > high else scaled
        integers[i] = np.int32((scaled + ROUNDER) - ROUNDER)


@jit(forceinline=True)
def restore(integers, values, law, low, high):
    """values[i] = integers[i] * law[0]; law[1] below low, law[2] above high; returns how many were beyond."""
    factor, below, above = law[0], law[1], law[2]
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
def quantize_8(values, integers, law):
    """`quantize` to 8 bits."""
    quantize(values, integers, law)
    return 0


@entry("f4[:]", "i2[:]", "f4[:]")
def quantize_16(values, integers, law):
    """`quantize` to 16 bits."""
    quantize(values, integers, law)
    return 0


@entry("i1[:]", "f4[:]", "f4[:]", "i8", "i8")
def restore_8(integers, values, law, low, high):
    """`restore` from 8 bits."""
    return restore(integers, values, law, low, high)


@entry("i2[:]", "f4[:]", "f4[:]", "i8", "i8")
def restore_16(integers, values, law, low, high):
    """`restore` from 16 bits."""
    return restore(integers, values, law, low, high)


@entry("f4[:]", "f4[:]")
def zero_beyond(values, limits):
    """Make values outside of limits (least, greatest) zero, and NaN; returns how many."""
    low, high = limits[0], limits[1]
    beyond = np.int64(0)
    for i in range(values.size):
        value = values[i]
        inside = (value >= low) & (value <= high)
        values[i] = value if inside else np.float32(0)
        beyond += np.int64(not inside)
    return beyond
