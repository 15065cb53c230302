"""Find the weak cells of a row of DRAM from hashes of counters.

Nothing is stored, and the same cell gives the same answer in any order, chunk or thread.

The bits of a row of a rank, all devices together, are positions 0 to 2^row_bits - 1. A row has a
number, whose bit fields are channel, rank, bank group, bank and row. The weak cells of a row are
the points of a Poisson process over position x rate: a cell is weak at rate r if one of its points
lies below r. So a cell is weak with probability 1 - exp(-r), independently of all others, and it
stays weak at any larger r.

The rate axis is cut into strips. A strip of a row holds a Poisson number of points, which a table
gives for the hash of row and strip. The hash of (row, strip, point) gives the position of a point
and its rate within the strip. Only strips below r are visited, so the work is proportional to the
number of weak cells. Beyond SPARSE_END each cell has one more hash, which is compared with
1 - exp(-(r - SPARSE_END)): that is the same distribution, and cheaper for so many cells.

If bitlines differ, a point first draws one of 256 classes of bitlines through a guide table and
then a bitline of that class. The two make a label, which a permutation that belongs to the bank
turns into a position. If wordlines differ, the class of the row's wordline scales its rate.

The hash is the finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) on counters. All
arithmetic is on 64-bit integers.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from edensim.kernels.compile import entry, jit

inlined = jit(forceinline=True)
called = jit()

#: Rates are in units of 2^-RATE_BITS.
RATE_BITS: Final = 48
#: Number of classes of wordlines, and of bitlines.
CLASSES: Final = 256
#: Entries of a partition's guide; each class has as many as its share of the points.
GUIDE: Final = 1 << 13
#: The first strip ends at 2^-16. Each of the next ones doubles the rate, up to 2^-10. All others,
#: up to SPARSE_END, are 2^-10 wide.
DOUBLINGS: Final = 6
SPARSE_END_BITS: Final = 45  # 2^-3
STRIPS: Final = 1 + DOUBLINGS + (1 << 7) - 1

# Indices into the `shape` array.
BASE: Final = 0  # byte address of data[0]
ROW_BITS: Final = 1  # logarithm of the bits of a row
ACCESS_BITS: Final = 2  # logarithm of the bytes of an access
WINDOW_BITS: Final = 3  # logarithm of the bytes of a window
BANK_SHIFT: Final = 4  # a row's number >> this is its bank's number
SEED: Final = 5
ACCESS: Final = 6
BITLINES: Final = 7  # 256 if bitlines differ under any distribution, else 1
LINE_CLASSES: Final = 8  # distributions per partition, one for each class of lines
RUN_BITS: Final = 9  # logarithm of the bytes of a row that are also neighbours by address
WORDLINES: Final = 10  # 256 if wordlines differ under any distribution, else 1
SHAPE_SIZE: Final = 11

# Indices into a distribution's row of `failures`.
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


class Tables(NamedTuple):
    """What the weak cells of a memory are drawn from; all are one-dimensional arrays."""

    shape: Any
    """Numbers by the indices above."""
    partitions: Any
    """Where each bank's list begins, then the lists: (end row, partition) in order of rows."""
    limits: Any
    """Rate below which a point is a weak cell, by distribution and class of wordlines."""
    dense: Any
    """Chance of being weak beyond SPARSE_END as a 32-bit fraction, by distribution and classes."""
    guide: Any
    """Classes of bitlines, by partition and hash."""
    poisson: Any
    """Where each strip's table begins, then the tables; see `points_in`."""


class Points(NamedTuple):
    """Room for the weak cells of a row."""

    places: Any
    """Positions, or labels if bitlines differ."""
    rates: Any
    """Rate of each; empty if a row has one distribution, so that no cell is in question."""


class Row(NamedTuple):
    """A row and what its cells are drawn from."""

    number: Any
    key: Any
    """What the row's hashes start from."""
    distribution: Any
    """Number of the first distribution of the row's partition."""
    bitlines: Any
    """256 if the bitlines of the partition differ, else 1."""
    wordline_hash: Any
    """Decides the class of the wordline, in its top 8 bits, and what it adds to the chance F."""


@inlined
def mix(x):
    """Mix the bits of a 64-bit number; different numbers stay different."""
    x = (x ^ (x >> U30)) * FIRST
    x = (x ^ (x >> U27)) * SECOND
    return x ^ (x >> U31)


@inlined
def strip_start(strip):
    """Return where a strip begins on the rate axis."""
    if strip == 0:
        return U0
    if strip <= DOUBLINGS:
        return U1 << np.uint64(RATE_BITS - 17 + strip)
    return np.uint64(strip - DOUBLINGS) << np.uint64(RATE_BITS - 10)


@inlined
def strip_bits(strip):
    """Return the logarithm of a strip's width."""
    if strip == 0:
        return np.uint64(RATE_BITS - 16)
    if strip <= DOUBLINGS:
        return np.uint64(RATE_BITS - 17 + strip)
    return np.uint64(RATE_BITS - 10)


@inlined
def points_in(strip, strip_hash, poisson):
    """Return the number of points in a strip, by the inverse of the Poisson distribution.

    The first entries of `poisson` say where the table of each strip up to the first of full width
    begins. A table is a guide by the top 8 bits of the hash, then the cumulative probabilities as
    64-bit fractions.
    """
    table = poisson[np.uint64(min(strip, DOUBLINGS + 1))]
    count = poisson[table + (strip_hash >> U56)]
    cumulative = table + np.uint64(CLASSES)
    while strip_hash >= poisson[cumulative + count]:
        count += U1
    return np.int64(count)


@inlined
def permuted(x, key, row_bits):
    """Apply a permutation of the positions of a row, one for each key."""
    mask = (U1 << row_bits) - U1
    x = (x * (key | U1) + (key >> U32)) & mask
    x ^= x >> (row_bits >> U1)
    return (x * ((key >> U16) | U1)) & mask


@inlined
def label(point_hash, guide, first, class_bits):
    """Return the label of a point's bitline.

    The guide that starts at `first` gives the class, in the top 8 of the row's bits; any bitline
    of the class is equally likely.
    """
    return (np.uint64(guide[first + (point_hash & GUIDE_MASK)]) << class_bits) | (
        (point_hash >> U13) & ((U1 << class_bits) - U1)
    )


@called
def sparse_points(key, limit, tables, first, points):
    """Fill in the points of a row below a limit; return how many there are.

    The row's guide starts at `first`, which is negative if bitlines do not differ. If rates are
    wanted, all points of the strips that begin below the limit are filled in.
    """
    row_bits = np.uint64(tables.shape[ROW_BITS])
    places, rates, guide = points.places, points.rates, tables.guide
    mask = (U1 << row_bits) - U1
    class_bits = row_bits - U8
    n = 0
    strip = 0
    while strip < STRIPS and strip_start(strip) < limit:
        start, bits = strip_start(strip), strip_bits(strip)
        count = points_in(strip, mix(key + np.uint64(strip + 1) * COUNT), tables.poisson)
        counter = key + (np.uint64(strip) << U20) * GOLDEN
        shift = bits - U31
        whole = rates.size > 0 or start + (U1 << bits) <= limit
        for i in range(np.int64(rates.size > 0) * count):
            rates[np.uint64(n + i)] = start + (
                (mix(counter + np.uint64(i) * GOLDEN) >> U33) << shift
            )
        if first >= 0 and whole:
            for i in range(count):
                places[np.uint64(n + i)] = mix(counter + np.uint64(i) * GOLDEN)
            n += count
        elif first >= 0:
            for i in range(count):
                h = mix(counter + np.uint64(i) * GOLDEN)
                places[np.uint64(n)] = h
                n += np.int64(start + ((h >> U33) << shift) < limit)
        elif whole:
            for i in range(count):
                places[np.uint64(n + i)] = mix(counter + np.uint64(i) * GOLDEN) & mask
            n += count
        else:
            for i in range(count):
                h = mix(counter + np.uint64(i) * GOLDEN)
                places[np.uint64(n)] = h & mask
                n += np.int64(start + ((h >> U33) << shift) < limit)
        strip += 1
    # Labels are made apart from the hashes, so that the compiler makes vector code of these.
    for i in range(np.int64(first >= 0) * n):
        places[np.uint64(i)] = label(places[np.uint64(i)], guide, np.uint64(first), class_bits)
    return n


@called
def dense_points(key, tables, first, classes, n, points):
    """Append the cells that are weak beyond SPARSE_END; return the number of points then.

    The chances of the classes of bitlines start at `first`. If rates are wanted, all cells are
    appended, and the rate is their hash.
    """
    row_bits = np.uint64(tables.shape[ROW_BITS])
    places, rates, dense = points.places, points.rates, tables.dense
    shift = row_bits - U8 if classes > 1 else row_bits
    for pair in range(1 << (np.int64(row_bits) - 1)):
        x = np.uint64(pair) << U1
        h = mix((key ^ DENSE) + np.uint64(pair) * GOLDEN)
        chance = dense[np.uint64(first) + (x >> shift)]
        if rates.size > 0:
            rates[np.uint64(n)] = DENSE_MARK | (h & LOW32)
            rates[np.uint64(n + 1)] = DENSE_MARK | (h >> U32)
        places[np.uint64(n)] = x
        n += np.int64(rates.size > 0 or (h & LOW32) < chance)
        places[np.uint64(n)] = x | U1
        n += np.int64(rates.size > 0 or (h >> U32) < chance)
    return n


@inlined
def dense_row(distribution, wordline, shape):
    """Return where the chances of a class of wordlines begin in `dense`."""
    wordlines = shape[WORDLINES]
    return (distribution * wordlines + min(wordline, wordlines - 1)) * shape[BITLINES]


@inlined
def row_of(number, partition, tables):
    """Make the record of a row of a partition, which is -1 if the row has no weak cells."""
    shape = tables.shape
    bitlines = np.int64(1)
    # A partition whose bitlines do not differ has a guide of zeros.
    if (
        partition >= 0
        and shape[BITLINES] > 1
        and tables.guide[np.uint64((partition + 1) * GUIDE - 1)] > 0
    ):
        bitlines = shape[BITLINES]
    key = mix(np.uint64(shape[SEED]) + number * GOLDEN)
    return Row(number, key, partition * shape[LINE_CLASSES], bitlines, mix(key ^ WORDLINE))


@called
def weak_in_row(row, distributions, tables, points):
    """Fill in the points of a row that are weak under any of its distributions; return how many.

    The row's first `distributions` distributions count. A cell may come more than once.
    """
    shape = tables.shape
    wordline = np.int64(row.wordline_hash >> U56)
    limit = U0
    for i in range(row.distribution, row.distribution + distributions):
        limit = max(limit, tables.limits[np.uint64(i * CLASSES + wordline)])
    if limit == U0:
        return 0
    first = row.distribution // shape[LINE_CLASSES] * GUIDE if row.bitlines > 1 else -1
    n = sparse_points(row.key, limit, tables, first, points)
    if limit > U1 << np.uint64(SPARSE_END_BITS):
        first_chance = dense_row(row.distribution, wordline, shape)
        n = dense_points(row.key, tables, first_chance, row.bitlines, n, points)
    return n


@inlined
def weak_under(distribution, row, place, rate, tables):
    """Return whether a point of a row is a weak cell under one of the row's distributions."""
    wordline = np.int64(row.wordline_hash >> U56)
    bound = tables.limits[np.uint64(distribution * CLASSES + wordline)]
    if rate & DENSE_MARK == U0:
        return rate < bound
    shape = tables.shape
    group = np.int64(place >> (np.uint64(shape[ROW_BITS]) - U8)) if row.bitlines > 1 else 0
    chance = tables.dense[np.uint64(dense_row(distribution, wordline, shape) + group)]
    return bound > U1 << np.uint64(SPARSE_END_BITS) and (rate & LOW32) < chance


@inlined
def partition_of(number, tables):
    """Return the partition of a row, -1 if it belongs to none."""
    bank_shift = np.uint64(tables.shape[BANK_SHIFT])
    bank = np.int64(number >> bank_shift)
    row = np.int64(number & ((U1 << bank_shift) - U1))
    i = tables.partitions[np.uint64(bank)]
    while row >= tables.partitions[np.uint64(i)]:
        i += 2
    return tables.partitions[np.uint64(i + 1)]


@inlined
def cell_hash(cell, access):
    """Return the 32 bits that a cell draws in an access."""
    return np.int64(mix((cell * GOLDEN) ^ access) >> U32)


@inlined
def access_key(access, shape):
    """Return the key that the draws of an access start from."""
    return mix(np.uint64(shape[SEED]) ^ (FAILURE + np.uint64(access) * GOLDEN))


@inlined
def bank_key(number, shape):
    """Return the key of the permutation of bitlines of a row's bank."""
    return mix(np.uint64(shape[SEED]) ^ (BANK + (number >> np.uint64(shape[BANK_SHIFT])) * GOLDEN))


@inlined
def position_of(place, row, key, row_bits):
    """Return the position of a point of a row, whose bank has a key."""
    return permuted(place, key, row_bits) if row.bitlines > 1 else place


@inlined
def line_label(place):
    """Return the 8 bits that decide a bitline's F; they do not depend on the bitline's class."""
    return ((place * FIRST) >> U32) & BYTE


@inlined
def line_of(place, row, distribution, failures):
    """Return the 8 bits of the line, bitline or wordline, that adds to F under a distribution."""
    by_bitline = failures[np.uint64(distribution * FAILURE_SIZE + BY_BITLINE)] != U0
    return line_label(place) if by_bitline else row.wordline_hash & BYTE


@entry(
    "u8[:]", "i8[:]", "i8[:]", "u8[:]", "u8[:]", "u1[:]", "u8[:]", "u8[:]", "u8[:]", "u1[:]",
    "i8[:]", "i4[:]",
)  # fmt: skip
def list_weak(  # noqa: PLR0913  (called from Python, which passes arrays one by one)
    rows, shape, partitions, limits, dense, guide, poisson, places, rates, mask, ends, positions
):
    """List the weak cells of rows by number; return how many rows are done.

    The positions of rows[i] end at ends[i]. The last rows are not done if their cells find no room.
    """
    tables = Tables(shape, partitions, limits, dense, guide, poisson)
    points = Points(places, rates)
    n = 0
    row_bits = np.uint64(shape[ROW_BITS])
    for i in range(rows.size):
        number = rows[np.uint64(i)]
        partition = partition_of(number, tables)
        row = row_of(number, partition, tables)
        count = weak_in_row(row, 1, tables, points) if partition >= 0 else 0
        if n + count > positions.size:
            return i
        key = bank_key(number, shape)
        begin = n
        for k in range(count):
            position = position_of(places[np.uint64(k)], row, key, row_bits)
            bit = np.uint8(1) << np.uint8(position & U7)
            if mask[position >> U3] & bit == 0:
                mask[position >> U3] |= bit
                positions[np.uint64(n)] = np.int32(position)
                n += 1
        for k in range(begin, n):
            mask[np.uint64(positions[np.uint64(k)]) >> U3] = 0
        ends[np.uint64(i)] = n
    return rows.size
