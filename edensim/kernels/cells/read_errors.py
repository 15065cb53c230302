"""Count the wrong bits of the reads of a run.

One entry picks the reads out of the commands, with the time since the ACT of their row; another
counts their wrong bits.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from edensim.kernels.cells.weak_cells import (
    ACCESS_BITS,
    BANK_SHIFT,
    FAILURE_SIZE,
    GOLDEN,
    LINE_CLASSES,
    ROW_BITS,
    STEP,
    U0,
    U3,
    U7,
    U32,
    Points,
    Tables,
    access_key,
    bank_key,
    cell_hash,
    line_of,
    mix,
    partition_of,
    position_of,
    row_of,
    weak_in_row,
    weak_under,
)
from edensim.kernels.compile import entry, jit, register
from edensim.vocabulary import COMMAND, Command

register("COMMAND", COMMAND)

called = jit()

ACT: Final = int(Command.ACT)
RD: Final = int(Command.RD)
RDA: Final = int(Command.RDA)
STORED: Final = np.uint64(0xC2B2AE3D27D4EB4F)

# Indices into the `memory` argument.
RANKS: Final = 0
BANKGROUPS: Final = 1
BANKS: Final = 2  # per bank group
LONGEST: Final = 3  # longest interval that is distinguished
MEMORY_SIZE: Final = 4


class Lists(NamedTuple):
    """Linked lists of the weak cells of a row, one for each of its columns."""

    heads: Any
    """First cell of each column, -1 if it has none."""
    following: Any
    """Next cell of each, -1 after the last."""
    positions: Any


@entry("COMMAND[:]", "i8[:]", "i8[:]", "i8[:]", "u8[:]", "i4[:]", "u1[:]", "i8[:]")
def reads_of(commands, memory, shape, activated, numbers, columns, intervals, clocks):
    """Pick the reads out of commands; return how many there are.

    Each read gets its row number, column, ACT-to-RD interval in cycles (at most the longest) and
    clock. The clock of each bank's last ACT, of all channels, stays in `activated` from call to
    call.
    """
    n = 0
    for i in range(commands.size):
        command = commands[np.uint64(i)]
        kind = np.int64(command["command"])
        if kind != ACT and kind != RD and kind != RDA:
            continue
        # Rank and bank group are -1 if the standard has no such level.
        rank = max(np.int64(command["rank"]), 0)
        group = max(np.int64(command["bankgroup"]), 0)
        bank = (np.int64(command["channel"]) * memory[RANKS] + rank) * memory[BANKGROUPS] + group
        bank = bank * memory[BANKS] + np.int64(command["bank"])
        clock = np.int64(command["clock"])
        if kind == ACT:
            activated[np.uint64(bank)] = clock
            continue
        numbers[np.uint64(n)] = (np.uint64(bank) << np.uint64(shape[BANK_SHIFT])) | np.uint64(
            command["row"]
        )
        columns[np.uint64(n)] = command["column"]
        intervals[np.uint64(n)] = np.uint8(min(clock - activated[np.uint64(bank)], memory[LONGEST]))
        clocks[np.uint64(n)] = clock
        n += 1
    return n


@called
def list_by_column(n, row, shape, places, lists):
    """Link the n weak cells of a row into lists by column."""
    row_bits = np.uint64(shape[ROW_BITS])
    key = bank_key(row.number, shape)
    for column in range(lists.heads.size):
        lists.heads[np.uint64(column)] = -1
    for i in range(n):
        position = position_of(places[np.uint64(i)], row, key, row_bits)
        lists.positions[np.uint64(i)] = np.int64(position)
        column = position >> (np.uint64(shape[ACCESS_BITS]) + U3)
        lists.following[np.uint64(i)] = lists.heads[column]
        lists.heads[column] = i


@called
def count_wrong(read, row, ones, tables, failures, points, lists, mask):
    """Count the wrong bits of a read, which is (first weak cell, distribution, access).

    A cell holds 1 with the chance `ones`, a 32-bit fraction.
    """
    first, distribution, access = read
    shape = tables.shape
    cell = row.number << np.uint64(shape[ROW_BITS])
    draw = access_key(access, shape)
    at = np.uint64(distribution * FAILURE_SIZE)
    wrong = 0
    i = first
    while i >= 0:
        place, position = points.places[np.uint64(i)], np.uint64(lists.positions[np.uint64(i)])
        rate = points.rates[np.uint64(i)] if points.rates.size > 0 else U0
        if points.rates.size == 0 or weak_under(distribution, row, place, rate, tables):
            stored = np.uint64((mix((cell | position) * GOLDEN ^ STORED) >> U32) < np.uint64(ones))
            line = line_of(place, row, distribution, failures)
            bit = np.uint8(1) << np.uint8(position & U7)
            fails = cell_hash(cell | position, draw) < np.int64(
                failures[at + stored] + failures[at + np.uint64(STEP)] * line
            )
            if fails and mask[position >> U3] & bit == 0:
                mask[position >> U3] |= bit
                wrong += 1
        i = lists.following[np.uint64(i)]
    i = first
    while i >= 0:
        mask[np.uint64(lists.positions[np.uint64(i)]) >> U3] = 0
        i = lists.following[np.uint64(i)]
    return wrong


@entry(
    "u8[:]", "i4[:]", "u1[:]", "i8[:]", "i8", "i8[:]", "i8[:]", "u8[:]", "u8[:]", "u1[:]",
    "u8[:]", "u8[:]", "u8[:]", "u8[:]", "u1[:]", "i8[:]", "i8[:]", "i8[:]", "i4[:]",
)  # fmt: skip
def flip_reads(  # noqa: PLR0913  (called from Python, which passes arrays one by one)
    numbers, columns, intervals, accesses, ones, shape, partitions, limits, dense, guide,
    failures, poisson, places, rates, mask, heads, following, positions, wrong,
):  # fmt: skip
    """Count the wrong bits of each read, into `wrong`; return their sum.

    Reads of one row stand together. `intervals` gives the class of lines of each read (all 0 if a
    partition has one distribution), `accesses` the number of the access.
    """
    tables = Tables(shape, partitions, limits, dense, guide, poisson)
    points = Points(places, rates)
    lists = Lists(heads, following, positions)
    total = 0
    first = 0
    while first < numbers.size:
        number = numbers[np.uint64(first)]
        last = first + 1
        while last < numbers.size and numbers[np.uint64(last)] == number:
            last += 1
        partition = partition_of(number, tables)
        row = row_of(number, partition, tables)
        n = weak_in_row(row, shape[LINE_CLASSES], tables, points) if partition >= 0 else 0
        if n > 0:
            list_by_column(n, row, shape, places, lists)
        for i in range(first, last):
            count = 0
            if n > 0 and heads[np.uint64(columns[np.uint64(i)])] >= 0:
                distribution = row.distribution + np.int64(intervals[np.uint64(i)])
                head = heads[np.uint64(columns[np.uint64(i)])]
                read = (head, distribution, accesses[np.uint64(i)])
                count = count_wrong(read, row, ones, tables, failures, points, lists, mask)
            wrong[np.uint64(i)] = count
            total += count
        first = last
    return total
