"""Weak cells from counter hashes: nothing is stored, and the same cell gives the same answer in any order, chunk or thread.

Places. The bits of a row of a rank, all devices together, are positions 0 to 2^row_bits - 1; a row has a number (channel, rank, bank group, bank, row
as bit fields). The weak cells of a row are the points of a Poisson process over position x rate: a cell is weak at rate r when one of its points
lies below r. So a cell is weak with probability 1 - exp(-r), independently of all others, and stays weak at any larger r. The rate axis is cut into
strips; a strip of a row holds a Poisson number of points (by the hash of row and strip, through a table), each at a position and a rate within the
strip by the hash of (row, strip, point). Only strips below r are visited, so work is proportional to the number of weak cells. Beyond
SPARSE_END each cell has one more hash, compared with 1 - exp(-(r - SPARSE_END)): the same law, cheaper for so many.

Bitlines that differ: positions are drawn through a guide to 256 classes of bitlines and a permutation of positions that is the bank's.
Wordlines that differ: a row's class scales its rate.

The hash is splitmix64's finalizer on counters; 64-bit integers only.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edensim.kernels.compile import entry, jit

inlined = jit(forceinline=True)
called = jit()

#: Rates are in units of 2^-RATE_BITS; row classes and bitline classes are CLASSES each.
RATE_BITS: Final = 48
CLASSES: Final = 256
#: Entries of the guide of a partition: each class has as many as its share of the points.
GUIDE: Final = 1 << 13
#: Strips: the first ends at 2^-16, each next doubles the rate up to 2^-10, then all are 2^-10 wide up to SPARSE_END.
DOUBLINGS: Final = 6
SPARSE_END_BITS: Final = 45  # 2^-3
STRIPS: Final = 1 + DOUBLINGS + (1 << 7) - 1

# Places in the `shape` argument.
BASE: Final = 0  # byte address of data[0]
ROW_BITS: Final = 1  # logarithm of the bits of a row
ACCESS_BITS: Final = 2  # logarithm of the bits of an access
WINDOW_BITS: Final = 3  # logarithm of the bytes of a window
BANK_SHIFT: Final = 4  # row number >> this is the bank's number
SEED: Final = 5
ACCESS: Final = 6
BITLINES: Final = 7  # 256 where bitlines differ under any law, else 1
LINE_CLASSES: Final = 8  # laws per partition: one per class of lines
RUN_BITS: Final = 9  # logarithm of the bytes of a row that are neighbours in the address space too
WORDLINES: Final = 10  # 256 where wordlines differ under any law, else 1
SHAPE_SIZE: Final = 11

# Places in a law's row of `failures`.
OF_ZEROS: Final = 0
OF_ONES: Final = 1
STEP: Final = 2
BY_BITLINE: Final = 3
FAILURE_SIZE: Final = 4

GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
SECOND: Final = np.uint64(0x94D049BB133111EB)
WORDLINE: Final = np.uint64(0xD6E8FEB86659FD93)
BANK: Final = np.uint64(0xA0761D6478BD642F)
DENSE: Final = np.uint64(0xE7037ED1A0B428DB)
COUNT: Final = np.uint64(0x8EBC6AF09C88C6E3)
FAILURE: Final = np.uint64(0x589965CC75374CC3)

U0: Final = np.uint64(0)
U1: Final = np.uint64(1)
U3: Final = np.uint64(3)
U7: Final = np.uint64(7)
U8: Final = np.uint64(8)
U13: Final = np.uint64(13)
U16: Final = np.uint64(16)
U20: Final = np.uint64(20)
U27: Final = np.uint64(27)
U30: Final = np.uint64(30)
U31: Final = np.uint64(31)
U32: Final = np.uint64(32)
U33: Final = np.uint64(33)
U56: Final = np.uint64(56)
BYTE: Final = np.uint64(255)
GUIDE_MASK: Final = np.uint64((1 << 13) - 1)
LOW32: Final = np.uint64(0xFFFFFFFF)
DENSE_MARK: Final = np.uint64(1 << 63)


@inlined
def mix(x):
    """splitmix64's finalizer: 64 bits in, 64 well mixed bits out, one to one."""
    x = (x ^ (x >> U30)) * FIRST
    x = (x ^ (x >> U27)) * SECOND
    return x ^ (x >> U31)


@inlined
def strip_start(strip):
    """Where a strip begins on the rate axis."""
    if strip == 0:
        return U0
    if strip <= DOUBLINGS:
        return U1 << np.uint64(RATE_BITS - 17 + strip)
    return np.uint64(strip - DOUBLINGS) << np.uint64(RATE_BITS - 10)


@inlined
def strip_bits(strip):
    """Logarithm of a strip's width."""
    if strip == 0:
        return np.uint64(RATE_BITS - 16)
    if strip <= DOUBLINGS:
        return np.uint64(RATE_BITS - 17 + strip)
    return np.uint64(RATE_BITS - 10)


@inlined
def points_in(strip, h, poisson):
    """Number of points of a strip: the inverse of the Poisson distribution at hash h.

    poisson: for each strip up to the first of full width, where its table starts; a table is a guide by the hash's top 8 bits, then the cumulative
    probabilities as 64-bit fractions.
    """
    table = poisson[np.uint64(min(strip, DOUBLINGS + 1))]
    n = poisson[table + (h >> U56)]
    cumulative = table + np.uint64(CLASSES)
    while h >= poisson[cumulative + n]:
        n += U1
    return np.int64(n)


@inlined
def permuted(x, key, row_bits):
    """A permutation of the positions of a row, one per key."""
    mask = (U1 << row_bits) - U1
    x = (x * (key | U1) + (key >> U32)) & mask
    x ^= x >> (row_bits >> U1)
    return (x * ((key >> U16) | U1)) & mask


@inlined
def label(h, guide, first, class_bits):
    """Label of a point's bitline: its class in the top 8 of the row's bits, from the guide that starts at `first`; any of the class alike."""
    return (np.uint64(guide[first + (h & GUIDE_MASK)]) << class_bits) | (
        (h >> U13) & ((U1 << class_bits) - U1)
    )


@called
def sparse_points(key, limit, row_bits, guide, first, poisson, found, rates):
    """Points of a row below `limit`: positions, or labels of bitlines where these differ. Returns how many.

    first: of the row's guide, negative where bitlines do not differ. With rates.size > 0, all points of the strips below the limit, and their
    rates.
    """
    mask = (U1 << row_bits) - U1
    class_bits = row_bits - U8
    n = 0
    strip = 0
    while strip < STRIPS and strip_start(strip) < limit:
        start, bits = strip_start(strip), strip_bits(strip)
        count = points_in(strip, mix(key + np.uint64(strip + 1) * COUNT), poisson)
        counter = key + (np.uint64(strip) << U20) * GOLDEN
        shift = bits - U31
        whole = rates.size > 0 or start + (U1 << bits) <= limit
        for i in range(np.int64(rates.size > 0) * count):
            rates[np.uint64(n + i)] = start + (
                (mix(counter + np.uint64(i) * GOLDEN) >> U33) << shift
            )
        if first >= 0 and whole:
            for i in range(count):
                found[np.uint64(n + i)] = mix(counter + np.uint64(i) * GOLDEN)
            n += count
        elif first >= 0:
            for i in range(count):
                h = mix(counter + np.uint64(i) * GOLDEN)
                found[np.uint64(n)] = h
                n += np.int64(start + ((h >> U33) << shift) < limit)
        elif whole:
            for i in range(count):
                found[np.uint64(n + i)] = mix(counter + np.uint64(i) * GOLDEN) & mask
            n += count
        else:
            for i in range(count):
                h = mix(counter + np.uint64(i) * GOLDEN)
                found[np.uint64(n)] = h & mask
                n += np.int64(start + ((h >> U33) << shift) < limit)
        strip += 1
    for i in range(
        np.int64(first >= 0) * n
    ):  # apart from the hashes, so that these are made as vectors
        found[np.uint64(i)] = label(found[np.uint64(i)], guide, np.uint64(first), class_bits)
    return n


@called
def dense_points(key, row_bits, dense, first, classes, n, found, rates):
    """Appends the cells that are weak beyond SPARSE_END; returns the number of points then.

    dense[first:first + classes]: per class of bitlines, the chance as a 32-bit fraction. With rates.size > 0 all cells come, with their fractions.
    """
    shift = row_bits - U8 if classes > 1 else row_bits
    for pair in range(1 << (np.int64(row_bits) - 1)):
        x = np.uint64(pair) << U1
        h = mix((key ^ DENSE) + np.uint64(pair) * GOLDEN)
        chance = dense[np.uint64(first) + (x >> shift)]
        if rates.size > 0:
            rates[np.uint64(n)] = DENSE_MARK | (h & LOW32)
            rates[np.uint64(n + 1)] = DENSE_MARK | (h >> U32)
        found[np.uint64(n)] = x
        n += np.int64(rates.size > 0 or (h & LOW32) < chance)
        found[np.uint64(n)] = x | U1
        n += np.int64(rates.size > 0 or (h >> U32) < chance)
    return n


@inlined
def dense_row(law, wordline, shape):
    """Where the chances of a wordline's class begin in `dense`."""
    return (law * shape[WORDLINES] + min(wordline, shape[WORDLINES] - 1)) * shape[BITLINES]


@inlined
def bitlines_of(partition, shape, guide):
    """256 where the bitlines of a partition differ, else 1: its guide is all zeros then, if there are guides."""
    return (
        shape[BITLINES]
        if shape[BITLINES] > 1 and guide[np.uint64((partition + 1) * GUIDE - 1)] > 0
        else 1
    )


@called
def weak_in_row(number, law, laws, bitlines, shape, limits, dense, guide, poisson, found, rates):
    """Weak cells of a row: positions (labels) in found, rates where rates.size > 0; (how many, class of the row's wordline).

    law: the first of the row's laws, `laws` of them: the union of their weak cells. A cell may come more than once.
    """
    row_bits = np.uint64(shape[ROW_BITS])
    key = mix(np.uint64(shape[SEED]) + number * GOLDEN)
    h = mix(key ^ WORDLINE)
    wordline = np.int64(h >> U56)
    limit = U0
    for each in range(law, law + laws):
        limit = max(limit, limits[np.uint64(each * CLASSES + wordline)])
    if limit == U0:
        return 0, h
    first = law // shape[LINE_CLASSES] * GUIDE if bitlines > 1 else -1
    n = sparse_points(key, limit, row_bits, guide, first, poisson, found, rates)
    if limit > U1 << np.uint64(SPARSE_END_BITS):
        n = dense_points(
            key, row_bits, dense, dense_row(law, wordline, shape), bitlines, n, found, rates
        )
    return n, h


@inlined
def weak_under(law, wordline, x, rate, bitlines, shape, limits, dense):
    """Whether a cell found under one of the laws of its row is weak under this one."""
    bound = limits[np.uint64(law * CLASSES + wordline)]
    if rate & DENSE_MARK == U0:
        return rate < bound
    group = np.int64(x >> (np.uint64(shape[ROW_BITS]) - U8)) if bitlines > 1 else 0
    return (
        bound > U1 << np.uint64(SPARSE_END_BITS)
        and (rate & LOW32) < dense[np.uint64(dense_row(law, wordline, shape) + group)]
    )


@inlined
def law_of(number, bank_shift, partitions):
    """Partition of a row: the entry (bank or -1 for all, end row, partition) of the flat list that holds it; -1 if none does."""
    bank = np.int64(number >> np.uint64(bank_shift))
    row = np.int64(number & ((U1 << np.uint64(bank_shift)) - U1))
    i = partitions[np.uint64(bank)]
    while row >= partitions[np.uint64(i)]:
        i += 2
    return partitions[np.uint64(i + 1)]


@inlined
def cell_hash(cell, access):
    """The draw of a cell in an access: 32 bits."""
    return np.int64(mix((cell * GOLDEN) ^ access) >> U32)


@inlined
def bank_key(number, shape):
    """Key of the permutation of bitlines of a row's bank."""
    return mix(np.uint64(shape[SEED]) ^ (BANK + (number >> np.uint64(shape[BANK_SHIFT])) * GOLDEN))


@inlined
def line_label(x):
    """What decides a bitline's F: 8 bits that have nothing to do with its class."""
    return ((x * FIRST) >> U32) & BYTE


@entry(
    "u8[:]", "i8[:]", "i8[:]", "u8[:]", "u8[:]", "u1[:]", "u8[:]", "u8[:]", "u8[:]", "u1[:]", "i8[:]", "i4[:]",
)  # fmt: skip
def list_weak(
    rows, shape, partitions, limits, dense, guide, poisson, found, rates, mask, ends, positions
):
    """Weak cells of rows by number: ends[i] is where the positions of rows[i] end. Returns the rows done: those whose cells found room."""
    n = 0
    row_bits = np.uint64(shape[ROW_BITS])
    for i in range(rows.size):
        number = rows[np.uint64(i)]
        partition = law_of(number, shape[BANK_SHIFT], partitions)
        count = 0
        bitlines = 1
        if partition >= 0:
            bitlines = bitlines_of(partition, shape, guide)
            count, _ = weak_in_row(
                number,
                partition * shape[LINE_CLASSES],
                1,
                bitlines,
                shape,
                limits,
                dense,
                guide,
                poisson,
                found,
                rates,
            )
        if n + count > positions.size:
            return i
        key = bank_key(number, shape)
        begin = n
        for k in range(count):
            position = (
                permuted(found[np.uint64(k)], key, row_bits)
                if bitlines > 1
                else found[np.uint64(k)]
            )
            bit = np.uint8(1) << np.uint8(position & U7)
            if mask[position >> U3] & bit == 0:
                mask[position >> U3] |= bit
                positions[np.uint64(n)] = np.int32(position)
                n += 1
        for k in range(begin, n):
            mask[np.uint64(positions[np.uint64(k)]) >> U3] = 0
        ends[np.uint64(i)] = n
    return rows.size
