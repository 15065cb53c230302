"""Flip the bits of an array that fail in one access.

The kernel goes over the rows that the array lies in, finds their weak cells, picks those that fail
in this access, and flips their bits. A weak cell fails in access a if hash(cell, a) is below F. The
draw belongs to the access: it is the same however often it is asked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edensim.kernels.cells.weak_cells import (
    ACCESS,
    ACCESS_BITS,
    BASE,
    BY_BITLINE,
    BYTE,
    FAILURE_SIZE,
    LINE_CLASSES,
    OF_ONES,
    OF_ZEROS,
    ROW_BITS,
    RUN_BITS,
    STEP,
    U0,
    U1,
    U3,
    U7,
    WINDOW_BITS,
    Points,
    Tables,
    access_key,
    bank_key,
    cell_hash,
    line_label,
    line_of,
    partition_of,
    permuted,
    position_of,
    row_of,
    weak_in_row,
    weak_under,
)
from edensim.kernels.compile import entry, jit

inlined = jit(forceinline=True)
called = jit()


class Flipping(NamedTuple):
    """What all rows of an array share."""

    data: Any
    """The bytes of the array."""
    line_class: Any
    """Class of lines of each access of the data; empty if all have class 0."""
    columns: Any
    """Address of each access of a row, to be XORed to the row's origin."""
    failures: Any
    """What makes up the chance F of each distribution, as a 32-bit fraction."""
    shape: Any
    positions: Any
    """Weak cells of a row; those that fail come first. The same array as `Points.places`."""
    excess: Any
    """Draw of each cell, to be compared with the F of the stored bit."""
    mask: Any
    """A byte for each byte of a row, zero before and after, and as many beyond."""


@called
def failing_cells(row, n, flipping):
    """Keep those of n weak cells that fail if they hold the bit that fails more often.

    The result is how many there are. Their draws are filled in only if zeros and ones differ.
    """
    shape, failures = flipping.shape, flipping.failures
    positions, excess = flipping.positions, flipping.excess
    row_bits = np.uint64(shape[ROW_BITS])
    cell = row.number << row_bits
    access = access_key(shape[ACCESS], shape)
    at = np.uint64(row.distribution * FAILURE_SIZE)
    highest = np.int64(max(failures[at + np.uint64(OF_ZEROS)], failures[at + np.uint64(OF_ONES)]))
    step = np.int64(failures[at + np.uint64(STEP)])
    chance = highest + step * np.int64(row.wordline_hash & BYTE)
    m = 0
    if row.bitlines > 1:
        key = bank_key(row.number, shape)
        if failures[at + np.uint64(BY_BITLINE)] != U0:
            for i in range(n):
                place = positions[np.uint64(i)]
                position = permuted(place, key, row_bits)
                positions[np.uint64(m)] = position
                m += np.int64(
                    cell_hash(cell | position, access)
                    < highest + step * np.int64(line_label(place))
                )
            return m
        for i in range(n):
            positions[np.uint64(i)] = permuted(positions[np.uint64(i)], key, row_bits)
    if failures[at + np.uint64(OF_ZEROS)] == failures[at + np.uint64(OF_ONES)]:
        for i in range(n):
            position = positions[np.uint64(i)]
            positions[np.uint64(m)] = position
            m += np.int64(cell_hash(cell | position, access) < chance)
    else:
        for i in range(n):
            position = positions[np.uint64(i)]
            drawn = cell_hash(cell | position, access)
            positions[np.uint64(m)] = position
            excess[np.uint64(m)] = drawn
            m += np.int64(drawn < chance)
    return m


@inlined
def offset_of(position, origin, columns, base, access_bits):
    """Return the offset into the data of the byte that holds a position of a row.

    It is beyond any size if the byte lies below the data.
    """
    byte = position >> U3
    return (origin ^ columns[byte >> access_bits]) + (byte & ((U1 << access_bits) - U1)) - base


@called
def inside_data(origin, m, flipping):
    """Keep those of m cells that lie in the data; return how many there are."""
    positions, excess = flipping.positions, flipping.excess
    base = np.uint64(flipping.shape[BASE])
    access_bits = np.uint64(flipping.shape[ACCESS_BITS])
    inside = 0
    for i in range(m):
        position = positions[np.uint64(i)]
        positions[np.uint64(inside)] = position
        excess[np.uint64(inside)] = excess[np.uint64(i)]
        inside += np.int64(
            offset_of(position, origin, flipping.columns, base, access_bits)
            < np.uint64(flipping.data.size)
        )
    return inside


@inlined
def chances(row, flipping):
    """Return F of a row's cells that hold zeros, and of those that hold ones."""
    failures = flipping.failures
    at = np.uint64(row.distribution * FAILURE_SIZE)
    added = np.int64(failures[at + np.uint64(STEP)] * (row.wordline_hash & BYTE))
    of_zeros = np.int64(failures[at + np.uint64(OF_ZEROS)]) + added
    of_ones = np.int64(failures[at + np.uint64(OF_ONES)]) + added
    return of_zeros, of_ones


@called
def flip_by_stored_bit(row, origin, m, flipping):
    """Flip, once, those of m cells that fail with what they hold; return how many.

    No branch waits for what was stored, so that the work on the next row overlaps with the loads
    of this one.
    """
    data, mask = flipping.data, flipping.mask
    base = np.uint64(flipping.shape[BASE])
    access_bits = np.uint64(flipping.shape[ACCESS_BITS])
    of_zeros, of_ones = chances(row, flipping)
    flips = 0
    for i in range(m):
        position = flipping.positions[np.uint64(i)]
        within = np.uint8(position & U7)
        before = mask[position >> U3]
        mask[position >> U3] = before | (np.uint8(1) << within)
        drawn = flipping.excess[np.uint64(i)]
        fails_as = np.uint64(drawn < of_zeros) | (np.uint64(drawn < of_ones) << U1)
        fails_as &= U0 - (np.uint64((before >> within) & np.uint8(1)) ^ U1)  # not twice
        offset = offset_of(position, origin, flipping.columns, base, access_bits)
        byte = data[offset]
        fails = (fails_as >> (np.uint64(byte >> within) & U1)) & U1
        data[offset] = byte ^ (np.uint8(fails) << within)
        flips += np.int64(fails)
    for i in range(m):
        mask[flipping.positions[np.uint64(i)] >> U3] = 0
    return flips


@called
def failing_in_full_row(row, origin, n, flipping):
    """Keep those of n weak cells that fail with what they hold; return how many there are.

    This is for many weak cells of a row that lies in the data. The row's bytes are copied into the
    second half of `mask` first, in the order of the row: the processor can foresee that pass.
    """
    shape, mask, positions = flipping.shape, flipping.mask, flipping.positions
    row_bits, access_bits = np.uint64(shape[ROW_BITS]), np.uint64(shape[ACCESS_BITS])
    size = np.uint64(mask.size) >> U1
    run = U1 << np.uint64(shape[RUN_BITS])
    for start in range(0, np.int64(size), np.int64(run)):
        column = flipping.columns[np.uint64(start) >> access_bits]
        first = (origin ^ column) - np.uint64(shape[BASE])
        for i in range(np.int64(run)):
            mask[size + np.uint64(start + i)] = flipping.data[first + np.uint64(i)]
    cell = row.number << row_bits
    access = access_key(shape[ACCESS], shape)
    of_zeros, of_ones = chances(row, flipping)
    m = 0
    for i in range(n):
        position = positions[np.uint64(i)]
        stored = (np.uint64(mask[size + (position >> U3)]) >> (position & U7)) & U1
        positions[np.uint64(m)] = position
        m += np.int64(cell_hash(cell | position, access) < (of_ones if stored else of_zeros))
    return m


@called
def failing_by_line(row, origin, n, flipping, tables, rates):
    """Keep those of n weak cells that fail under the distribution of their own class of lines.

    They lie in the data, are weak under the distribution of their access's class, and fail with
    what they hold. The result is how many there are.
    """
    shape, failures, positions = flipping.shape, flipping.failures, flipping.positions
    row_bits, access_bits = np.uint64(shape[ROW_BITS]), np.uint64(shape[ACCESS_BITS])
    base = np.uint64(shape[BASE])
    key = bank_key(row.number, shape)
    cell = row.number << row_bits
    access = access_key(shape[ACCESS], shape)
    m = 0
    for i in range(n):
        place, rate = positions[np.uint64(i)], rates[np.uint64(i)]
        position = position_of(place, row, key, row_bits)
        offset = offset_of(position, origin, flipping.columns, base, access_bits)
        if offset >= np.uint64(flipping.data.size):
            continue
        line_index = ((base + offset) >> access_bits) - (base >> access_bits)
        distribution = row.distribution + np.int64(flipping.line_class[line_index])
        if weak_under(distribution, row, place, rate, tables):
            at = np.uint64(distribution * FAILURE_SIZE)
            stored = np.uint64(flipping.data[offset] >> np.uint8(position & U7)) & U1
            line = line_of(place, row, distribution, failures)
            positions[np.uint64(m)] = position
            m += np.int64(
                cell_hash(cell | position, access)
                < np.int64(failures[at + stored] + failures[at + np.uint64(STEP)] * line)
            )
    return m


@called
def flip_cells(origin, m, flipping):
    """Flip each of m cells of a row once, however often it is listed; return how many."""
    shape, data, mask = flipping.shape, flipping.data, flipping.mask
    columns, positions = flipping.columns, flipping.positions
    flips = 0
    for i in range(m):
        position = positions[np.uint64(i)]
        before = mask[position >> U3]
        after = before | (np.uint8(1) << np.uint8(position & U7))
        mask[position >> U3] = after
        flips += np.int64(after != before)
    base, access_bits = np.uint64(shape[BASE]), np.uint64(shape[ACCESS_BITS])
    if m < columns.size:
        for i in range(m):
            byte = positions[np.uint64(i)] >> U3
            data[offset_of(positions[np.uint64(i)], origin, columns, base, access_bits)] ^= mask[
                byte
            ]
            mask[byte] = 0
        return flips
    run = U1 << np.uint64(shape[RUN_BITS])
    for start in range(0, mask.size >> 1, np.int64(run)):
        first = np.int64((origin ^ columns[np.uint64(start) >> access_bits]) - base)
        for i in range(max(0, -first), min(np.int64(run), data.size - first)):
            data[np.uint64(first + i)] ^= mask[np.uint64(start + i)]
        for i in range(np.int64(run)):
            mask[np.uint64(start + i)] = 0
    return flips


@called
def touches(origin, flipping):
    """Return whether any access of a row lies in the data."""
    base = np.uint64(flipping.shape[BASE])
    length = U1 << np.uint64(flipping.shape[ACCESS_BITS])
    for column in range(flipping.columns.size):
        address = origin ^ flipping.columns[np.uint64(column)]
        if address < base + np.uint64(flipping.data.size) and address + length > base:
            return True
    return False


@inlined
def flip_row(row, origin, cut, flipping, tables, points):
    """Flip the bits of a row that fail; return how many. A row that is cut lies partly outside."""
    shape, failures = flipping.shape, flipping.failures
    n = weak_in_row(row, shape[LINE_CLASSES], tables, points)
    if points.rates.size > 0:
        n = failing_by_line(row, origin, n, flipping, tables, points.rates)
    elif n > 0:
        by_bit = (
            failures[np.uint64(row.distribution * FAILURE_SIZE + OF_ZEROS)]
            != failures[np.uint64(row.distribution * FAILURE_SIZE + OF_ONES)]
        )
        at_once = by_bit and not cut and n >= flipping.columns.size and row.bitlines == 1
        if at_once:
            n = failing_in_full_row(row, origin, n, flipping)
        else:
            n = failing_cells(row, n, flipping)
        if cut:
            n = inside_data(origin, n, flipping)
        if by_bit and not at_once:
            return flip_by_stored_bit(row, origin, n, flipping)
    return flip_cells(origin, n, flipping)


@entry(
    "u1[:]", "u1[:]", "i8[:]", "u8[:]", "u8[:]", "u8[:]", "u8[:]", "i8[:]", "u8[:]", "u8[:]",
    "u1[:]", "u8[:]", "u8[:]", "u8[:]", "i8[:]", "u8[:]", "u1[:]",
)  # fmt: skip
def flip_bits(  # noqa: PLR0913  (called from Python, which passes arrays one by one)
    data, line_class, shape, columns, origins, numbers, contributions, partitions, limits, dense,
    guide, failures, poisson, positions, excess, rates, mask,
):  # fmt: skip
    """Flip the bits of `data` that fail in one access; return how many.

    A window is the smallest aligned piece of addresses that holds whole rows. `origins` and
    `numbers` belong to the rows of a window, and are XORed to the window's; each address bit adds
    one of `contributions` to the window's number. `rates` is empty if `line_class` is.
    """
    flipping = Flipping(data, line_class, columns, failures, shape, positions, excess, mask)
    tables = Tables(shape, partitions, limits, dense, guide, poisson)
    points = Points(positions, rates)
    flips = 0
    window_bits = np.uint64(shape[WINDOW_BITS])
    base = np.uint64(shape[BASE])
    end = base + np.uint64(data.size)
    for window in range(np.int64(base >> window_bits), np.int64((end - U1) >> window_bits) + 1):
        start = np.uint64(window) << window_bits
        cut = start < base or start + (U1 << window_bits) > end
        number_of_window = number_of(start, window_bits, contributions)
        for i in range(origins.size):
            origin = start | origins[np.uint64(i)]
            number = number_of_window ^ numbers[np.uint64(i)]
            partition = partition_of(number, tables)
            if partition >= 0 and (not cut or touches(origin, flipping)):
                row = row_of(number, partition, tables)
                flips += flip_row(row, origin, cut, flipping, tables, points)
    return flips


@called
def number_of(start, window_bits, contributions):
    """Return the number of the row at a window's start."""
    number = U0
    bit = window_bits
    rest = start >> window_bits
    while rest != U0:
        if rest & U1 != U0:
            number ^= contributions[bit]
        rest >>= U1
        bit += U1
    return number
