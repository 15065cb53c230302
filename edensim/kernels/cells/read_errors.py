"""Bit errors of the reads of a run: which commands were reads, how soon after their row's ACT, and how many of their bits were wrong."""

from __future__ import annotations

from typing import Final

import numpy as np

from edensim.kernels.cells.weak_cells import (
    ACCESS_BITS,
    BANK_SHIFT,
    BY_BITLINE,
    BYTE,
    FAILURE,
    FAILURE_SIZE,
    GOLDEN,
    LINE_CLASSES,
    ROW_BITS,
    SEED,
    STEP,
    U0,
    U3,
    U7,
    U32,
    U56,
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
from edensim.kernels.compile import entry, jit, register
from edensim.vocabulary import COMMAND, Command

register("COMMAND", COMMAND)

called = jit()

ACT: Final = int(Command.ACT)
RD: Final = int(Command.RD)
RDA: Final = int(Command.RDA)
STORED: Final = np.uint64(0xC2B2AE3D27D4EB4F)

# Places in the `memory` argument.
RANKS: Final = 0
BANKGROUPS: Final = 1
BANKS: Final = 2  # per bank group
LONGEST: Final = 3  # longest interval told apart
MEMORY_SIZE: Final = 4


@entry("COMMAND[:]", "i8[:]", "i8[:]", "i8[:]", "u8[:]", "i4[:]", "u1[:]", "i8[:]")
def reads_of(commands, memory, shape, activated, numbers, columns, intervals, clocks):
    """Reads among commands: row number, column, ACT-to-RD interval in cycles (at most the longest), clock. Returns how many.

    activated: clock of each bank's last ACT (all channels), kept from call to call.
    """
    n = 0
    for i in range(commands.size):
        command = commands[np.uint64(i)]
        kind = np.int64(command["command"])
        if kind != ACT and kind != RD and kind != RDA:
            continue
        rank, group = (
            max(np.int64(command["rank"]), 0),
            max(np.int64(command["bankgroup"]), 0),
        )  # -1 where the standard has no such level
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
def by_column(n, number, bitlines, shape, found, heads, following, cells):
    """Lists of weak cells by column of the row; cells: their positions."""
    row_bits = np.uint64(shape[ROW_BITS])
    key = bank_key(number, shape)
    for column in range(heads.size):
        heads[np.uint64(column)] = -1
    for i in range(n):
        x = found[np.uint64(i)]
        position = permuted(x, key, row_bits) if bitlines > 1 else x
        cells[np.uint64(i)] = np.int64(position)
        column = position >> (np.uint64(shape[ACCESS_BITS]) + U3)
        following[np.uint64(i)] = heads[column]
        heads[column] = i
    return 0


@called
def wrong_bits(
    number,
    law,
    wordline_hash,
    first,
    access,
    ones,
    bitlines,
    shape,
    limits,
    dense,
    failures,
    found,
    rates,
    following,
    cells,
    mask,
):
    """Wrong bits of one read: the list of weak cells from `first` on, under a law. ones: chance that a cell holds 1, a 32-bit fraction."""
    cell = number << np.uint64(shape[ROW_BITS])
    draw = mix(np.uint64(shape[SEED]) ^ (FAILURE + np.uint64(access) * GOLDEN))
    at = np.uint64(law * FAILURE_SIZE)
    wrong = 0
    i = first
    while i >= 0:
        x, position = found[np.uint64(i)], np.uint64(cells[np.uint64(i)])
        rate = rates[np.uint64(i)] if rates.size > 0 else U0
        if rates.size == 0 or weak_under(
            law, np.int64(wordline_hash >> U56), x, rate, bitlines, shape, limits, dense
        ):
            stored = np.uint64((mix((cell | position) * GOLDEN ^ STORED) >> U32) < np.uint64(ones))
            line = (
                line_label(x)
                if failures[at + np.uint64(BY_BITLINE)] != U0
                else wordline_hash & BYTE
            )
            bit = np.uint8(1) << np.uint8(position & U7)
            fails = cell_hash(cell | position, draw) < np.int64(
                failures[at + stored] + failures[at + np.uint64(STEP)] * line
            )
            if fails and mask[position >> U3] & bit == 0:
                mask[position >> U3] |= bit
                wrong += 1
        i = following[np.uint64(i)]
    i = first
    while i >= 0:
        mask[np.uint64(cells[np.uint64(i)]) >> U3] = 0
        i = following[np.uint64(i)]
    return wrong


@entry(
    "u8[:]", "i4[:]", "u1[:]", "i8[:]", "i8", "i8[:]", "i8[:]", "u8[:]", "u8[:]", "u1[:]", "u8[:]", "u8[:]",
    "u8[:]", "u8[:]", "u1[:]", "i8[:]", "i8[:]", "i8[:]", "i4[:]",
)  # fmt: skip
def flip_reads(
    numbers, columns, intervals, accesses, ones, shape, partitions, limits, dense, guide, failures, poisson,
    found, rates, mask, heads, following, cells, wrong,
):  # fmt: skip
    """Wrong bits of each read, into `wrong`; reads of one row stand together. Returns their sum.

    intervals: class of lines of each read (all 0 where a partition has one law). accesses: number of the access of each read.
    """
    total = 0
    first = 0
    while first < numbers.size:
        number = numbers[np.uint64(first)]
        last = first + 1
        while last < numbers.size and numbers[np.uint64(last)] == number:
            last += 1
        partition = law_of(number, shape[BANK_SHIFT], partitions)
        n = 0
        h = U0
        law = partition * shape[LINE_CLASSES]
        bitlines = 1
        if partition >= 0:
            bitlines = bitlines_of(partition, shape, guide)
            n, h = weak_in_row(
                number,
                law,
                shape[LINE_CLASSES],
                bitlines,
                shape,
                limits,
                dense,
                guide,
                poisson,
                found,
                rates,
            )
        if n > 0:
            by_column(n, number, bitlines, shape, found, heads, following, cells)
        for read in range(first, last):
            count = 0
            if n > 0 and heads[np.uint64(columns[np.uint64(read)])] >= 0:
                own = law + np.int64(intervals[np.uint64(read)])
                start = heads[np.uint64(columns[np.uint64(read)])]
                access = accesses[np.uint64(read)]
                count = wrong_bits(
                    number,
                    own,
                    h,
                    start,
                    access,
                    ones,
                    bitlines,
                    shape,
                    limits,
                    dense,
                    failures,
                    found,
                    rates,
                    following,
                    cells,
                    mask,
                )
            wrong[np.uint64(read)] = count
            total += count
        first = last
    return total
