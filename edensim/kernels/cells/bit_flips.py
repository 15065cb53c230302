"""Bit flips of arrays: weak cells of the rows that an array lies in, those that fail in an access, and their bits.

A weak cell fails in access a when hash(cell, a) is below F: drawn per access, the same however often it is asked.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.cells.weak_cells import (
    ACCESS,
    ACCESS_BITS,
    BANK_SHIFT,
    BASE,
    BY_BITLINE,
    BYTE,
    FAILURE,
    FAILURE_SIZE,
    GOLDEN,
    LINE_CLASSES,
    OF_ONES,
    OF_ZEROS,
    ROW_BITS,
    RUN_BITS,
    SEED,
    STEP,
    U0,
    U1,
    U3,
    U7,
    U56,
    WINDOW_BITS,
    bank_key,
    bitlines_of,
    cell_hash,
    law_of,
    line_label,
    mix,
    permuted,
    weak_in_row,
    weak_under,
)
from edensim.kernels.compile import entry, jit

inlined = jit(forceinline=True)
called = jit()


@called
def failing_cells(number, law, n, wordline_hash, bitlines, shape, failures, found, excess):
    """Of n weak cells keep those that fail if they hold the bit that fails more often: positions in found, how many as result.

    excess: of the draw over what the cell's line adds to F, to be compared with F of the stored bit; only filled where that matters.
    """
    row_bits = np.uint64(shape[ROW_BITS])
    cell = number << row_bits
    access = mix(np.uint64(shape[SEED]) ^ (FAILURE + np.uint64(shape[ACCESS]) * GOLDEN))
    at = np.uint64(law * FAILURE_SIZE)
    lowest = np.int64(max(failures[at + np.uint64(OF_ZEROS)], failures[at + np.uint64(OF_ONES)]))
    step = np.int64(failures[at + np.uint64(STEP)])
    chance = lowest + step * np.int64(wordline_hash & BYTE)
    m = 0
    if bitlines > 1:
        key = bank_key(number, shape)
        if failures[at + np.uint64(BY_BITLINE)] != U0:
            for i in range(n):
                x = found[np.uint64(i)]
                position = permuted(x, key, row_bits)
                found[np.uint64(m)] = position
                m += np.int64(
                    cell_hash(cell | position, access) < lowest + step * np.int64(line_label(x))
                )
            return m
        for i in range(n):
            found[np.uint64(i)] = permuted(found[np.uint64(i)], key, row_bits)
    if lowest == failures[at + np.uint64(OF_ZEROS)] and lowest == failures[at + np.uint64(OF_ONES)]:
        for i in range(n):
            position = found[np.uint64(i)]
            found[np.uint64(m)] = position
            m += np.int64(cell_hash(cell | position, access) < chance)
    else:
        for i in range(n):
            position = found[np.uint64(i)]
            drawn = cell_hash(cell | position, access)
            found[np.uint64(m)] = position
            excess[np.uint64(m)] = drawn
            m += np.int64(drawn < chance)
    return m


@inlined
def offset_of(position, origin, base, access_bits, columns):
    """Byte offset into the data of a position of a row; beyond any size where its address is below the base."""
    byte = position >> U3
    return (origin ^ columns[byte >> access_bits]) + (byte & ((U1 << access_bits) - U1)) - base


@called
def inside_data(size, origin, m, shape, columns, found, excess):
    """Keep those of m cells that lie in the data."""
    base, access_bits = np.uint64(shape[BASE]), np.uint64(shape[ACCESS_BITS])
    kept = 0
    for i in range(m):
        position = found[np.uint64(i)]
        found[np.uint64(kept)] = position
        excess[np.uint64(kept)] = excess[np.uint64(i)]
        kept += np.int64(offset_of(position, origin, base, access_bits, columns) < np.uint64(size))
    return kept


@called
def flip_by_stored_bit(
    data, origin, law, m, wordline_hash, shape, columns, failures, found, excess, mask
):
    """Flip, once, those of m cells that fail holding what they hold; returns how many.

    No branch waits for what was stored, so that the next row's work overlaps with the loads of this one.
    """
    base, access_bits = np.uint64(shape[BASE]), np.uint64(shape[ACCESS_BITS])
    at = np.uint64(law * FAILURE_SIZE)
    added = np.int64(failures[at + np.uint64(STEP)] * (wordline_hash & BYTE))
    of_zeros = np.int64(failures[at + np.uint64(OF_ZEROS)]) + added
    of_ones = np.int64(failures[at + np.uint64(OF_ONES)]) + added
    flips = 0
    for i in range(m):
        position = found[np.uint64(i)]
        within = np.uint8(position & U7)
        before = mask[position >> U3]
        mask[position >> U3] = before | (np.uint8(1) << within)
        drawn = excess[np.uint64(i)]
        fails_as = np.uint64(drawn < of_zeros) | (np.uint64(drawn < of_ones) << U1)
        fails_as &= U0 - (np.uint64((before >> within) & np.uint8(1)) ^ U1)  # not twice
        offset = offset_of(position, origin, base, access_bits, columns)
        byte = data[offset]
        fails = (fails_as >> (np.uint64(byte >> within) & U1)) & U1
        data[offset] = byte ^ (np.uint8(fails) << within)
        flips += np.int64(fails)
    for i in range(m):
        mask[found[np.uint64(i)] >> U3] = 0
    return flips


@called
def failing_in_full_row(
    data, number, origin, law, n, wordline_hash, shape, columns, failures, found, mask
):
    """As failing_cells and flip_by_stored_bit, without the flips, for many weak cells of a row that lies in the data.

    The row's bytes are copied into the second half of `mask` first, in its own order: a pass that the processor can foresee.
    """
    row_bits, access_bits = np.uint64(shape[ROW_BITS]), np.uint64(shape[ACCESS_BITS])
    size = np.uint64(mask.size) >> U1
    run = U1 << np.uint64(shape[RUN_BITS])
    for start in range(0, np.int64(size), np.int64(run)):
        first = (origin ^ columns[np.uint64(start) >> access_bits]) - np.uint64(shape[BASE])
        for i in range(np.int64(run)):
            mask[size + np.uint64(start + i)] = data[first + np.uint64(i)]
    cell = number << row_bits
    access = mix(np.uint64(shape[SEED]) ^ (FAILURE + np.uint64(shape[ACCESS]) * GOLDEN))
    at = np.uint64(law * FAILURE_SIZE)
    added = np.int64(failures[at + np.uint64(STEP)] * (wordline_hash & BYTE))
    of_zeros = np.int64(failures[at + np.uint64(OF_ZEROS)]) + added
    of_ones = np.int64(failures[at + np.uint64(OF_ONES)]) + added
    m = 0
    for i in range(n):
        position = found[np.uint64(i)]
        stored = (np.uint64(mask[size + (position >> U3)]) >> (position & U7)) & U1
        found[np.uint64(m)] = position
        m += np.int64(cell_hash(cell | position, access) < (of_ones if stored else of_zeros))
    return m


@called
def failing_by_line(
    data,
    number,
    origin,
    law,
    n,
    wordline_hash,
    bitlines,
    shape,
    columns,
    limits,
    dense,
    failures,
    line_class,
    found,
    rates,
):
    """Of n weak cells keep those that lie in the data, are weak under the law of their access's class, and fail: positions in found."""
    row_bits, access_bits = np.uint64(shape[ROW_BITS]), np.uint64(shape[ACCESS_BITS])
    base = np.uint64(shape[BASE])
    key = bank_key(number, shape)
    cell = number << row_bits
    access = mix(np.uint64(shape[SEED]) ^ (FAILURE + np.uint64(shape[ACCESS]) * GOLDEN))
    wordline = np.int64(wordline_hash >> U56)
    m = 0
    for i in range(n):
        x, rate = found[np.uint64(i)], rates[np.uint64(i)]
        position = permuted(x, key, row_bits) if bitlines > 1 else x
        offset = offset_of(position, origin, base, access_bits, columns)
        if offset >= np.uint64(data.size):
            continue
        own = law + np.int64(line_class[((base + offset) >> access_bits) - (base >> access_bits)])
        if weak_under(own, wordline, x, rate, bitlines, shape, limits, dense):
            at = np.uint64(own * FAILURE_SIZE)
            stored = np.uint64(data[offset] >> np.uint8(position & U7)) & U1
            line = (
                line_label(x)
                if failures[at + np.uint64(BY_BITLINE)] != U0
                else wordline_hash & BYTE
            )
            found[np.uint64(m)] = position
            m += np.int64(
                cell_hash(cell | position, access)
                < np.int64(failures[at + stored] + failures[at + np.uint64(STEP)] * line)
            )
    return m


@called
def flip_cells(data, origin, m, shape, columns, found, mask):
    """Flip each of m cells of a row once, however often it comes; returns how many.

    mask: a byte per byte of the row, zero before and after, and as many beyond.
    """
    flips = 0
    for i in range(m):
        position = found[np.uint64(i)]
        before = mask[position >> U3]
        after = before | (np.uint8(1) << np.uint8(position & U7))
        mask[position >> U3] = after
        flips += np.int64(after != before)
    base, access_bits = np.uint64(shape[BASE]), np.uint64(shape[ACCESS_BITS])
    if m < columns.size:
        for i in range(m):
            byte = found[np.uint64(i)] >> U3
            data[offset_of(found[np.uint64(i)], origin, base, access_bits, columns)] ^= mask[byte]
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
def touches(origin, shape, columns, size):
    """Whether any access of a row lies in the data."""
    base = np.uint64(shape[BASE])
    length = U1 << np.uint64(shape[ACCESS_BITS])
    for column in range(columns.size):
        address = origin ^ columns[np.uint64(column)]
        if address < base + np.uint64(size) and address + length > base:
            return True
    return False


@entry(
    "u1[:]", "u1[:]", "i8[:]", "u8[:]", "u8[:]", "u8[:]", "u8[:]", "i8[:]", "u8[:]", "u8[:]", "u1[:]", "u8[:]", "u8[:]",
    "u8[:]", "i8[:]", "u8[:]", "u1[:]",
)  # fmt: skip
def flip_bits(
    data, line_class, shape, columns, origins, numbers, contributions, partitions, limits, dense, guide, failures, poisson,
    found, excess, rates, mask,
):  # fmt: skip
    """Flip the bits of `data` that fail in one access; returns how many.

    A window is the smallest aligned piece of addresses that holds whole rows. columns: address of each access of a row, XORed to the row's origin.
    origins, numbers: of the rows of a window, XORed to the window's; contributions: of each address bit to the number. partitions: see law_of.
    line_class: per access of the data, empty where all have class 0; rates is empty then too.
    """
    flips = 0
    window_bits = np.uint64(shape[WINDOW_BITS])
    base = np.uint64(shape[BASE])
    end = base + np.uint64(data.size)
    classes = shape[LINE_CLASSES]
    for window in range(np.int64(base >> window_bits), np.int64((end - U1) >> window_bits) + 1):
        start = np.uint64(window) << window_bits
        cut = start < base or start + (U1 << window_bits) > end
        number_of_window = number_of(start, window_bits, contributions)
        for row in range(origins.size):
            origin = start | origins[np.uint64(row)]
            number = number_of_window ^ numbers[np.uint64(row)]
            partition = law_of(number, shape[BANK_SHIFT], partitions)
            if partition < 0 or (cut and not touches(origin, shape, columns, data.size)):
                continue
            law = partition * classes
            bitlines = bitlines_of(partition, shape, guide)
            n, h = weak_in_row(
                number, law, classes, bitlines, shape, limits, dense, guide, poisson, found, rates
            )
            if rates.size > 0:
                n = failing_by_line(
                    data,
                    number,
                    origin,
                    law,
                    n,
                    h,
                    bitlines,
                    shape,
                    columns,
                    limits,
                    dense,
                    failures,
                    line_class,
                    found,
                    rates,
                )
            elif n > 0:
                by_bit = (
                    failures[np.uint64(law * FAILURE_SIZE + OF_ZEROS)]
                    != failures[np.uint64(law * FAILURE_SIZE + OF_ONES)]
                )
                at_once = by_bit and not cut and n >= columns.size and bitlines == 1
                if at_once:
                    n = failing_in_full_row(
                        data, number, origin, law, n, h, shape, columns, failures, found, mask
                    )
                else:
                    n = failing_cells(number, law, n, h, bitlines, shape, failures, found, excess)
                if cut:
                    n = inside_data(data.size, origin, n, shape, columns, found, excess)
                if by_bit and not at_once:
                    flips += flip_by_stored_bit(
                        data, origin, law, n, h, shape, columns, failures, found, excess, mask
                    )
                    continue
            flips += flip_cells(data, origin, n, shape, columns, found, mask)
    return flips


@called
def number_of(start, window_bits, contributions):
    """Number of the row at a window's start."""
    number = U0
    bit = window_bits
    rest = start >> window_bits
    while rest != U0:
        if rest & U1 != U0:
            number ^= contributions[bit]
        rest >>= U1
        bit += U1
    return number
