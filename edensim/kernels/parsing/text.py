"""Bytes of a text trace: numbers, blanks, line ends, and the loop over whole lines. The formats are in trace_lines.py.

Every line ends in a newline, so nothing here checks for the end of the text: each helper stops at a byte it does not expect, and a newline is never
expected.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.vocabulary import REQUEST

register("REQUEST", REQUEST)

# Small helpers are inlined by force: a call hands over whole array descriptors, which costs more than most of them do.
inlined = jit(forceinline=True)
called = jit()

# Places in the status array; it is zeroed before the first call and handed on from call to call.
BYTES: Final = 0  # consumed by this call
LINES: Final = 1  # consumed since the start of the file
PROBLEM: Final = 2  # what is wrong with the next line, 0: nothing
GAP: Final = 3  # instructions seen since the last record (lackey)
CLOCK: Final = 4  # clock of the last record (relative STL), first cycle (SCALE-Sim)
STARTED: Final = 5  # 1 after the first row (SCALE-Sim)
STATUS_SIZE: Final = 6

# What can be wrong with a line.
BAD: Final = 1
NEGATIVE: Final = 2
TOO_LARGE: Final = 3
GAP_TOO_LARGE: Final = 4
BAD_SIZE: Final = 5
UNKNOWN_COMMAND: Final = 6
EARLIER: Final = 7
ROW_TOO_LONG: Final = 8
SKIP: Final = -1  # a good line without a record

#: Largest address or clock accepted: sums of two stay inside an int64.
LARGEST: Final = 1 << 62
HUGE: Final = LARGEST + 1
#: What of a decimal number is kept before the next digit comes in: cannot overflow, and loses nothing of up to 18 digits.
KEPT: Final = (1 << 58) - 1
LARGEST_GAP: Final = (1 << 31) - 1
#: Largest size of one access in bytes (lackey, gem5, STL lengths): 65 lines at most, 130 records for a modify.
LARGEST_SIZE: Final = 4096
#: Bytes that one request moves: longer accesses are split at these boundaries.
LINE_SHIFT: Final = 6

#: Value of each byte as a hexadecimal digit, -1 of others. A table, because a branch between 0-9 and a-f is mispredicted on every other digit.
DIGIT: Final = np.array(
    [int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1 for byte in range(256)],
    np.int8,
)


@inlined
def byte(text, i):
    """Byte i as a signed number. The unsigned index spares numba's test for negative ones."""
    return np.int64(text[np.uint64(i)])


@called
def saturated(text, first, i, base):
    """The digits from first to i as a number, HUGE if it passes LARGEST."""
    value = np.int64(0)
    for k in range(first, i):
        value = value * base + DIGIT[text[k]] if value <= LARGEST // base else np.int64(HUGE)
    return value


@inlined
def blanks(text, i):
    """First position from i on that holds neither a space nor a tab."""
    while byte(text, i) == 32 or byte(text, i) == 9:
        i += 1
    return i


@inlined
def decimal(text, i):
    """(value, position after it); the value is -problem if there is none."""
    first = i
    value = np.int64(0)
    digit = byte(text, i) - 48
    while 0 <= digit <= 9:
        value = (value & KEPT) * 10 + digit
        i += 1
        digit = byte(text, i) - 48
    if i == first:
        return np.int64(-NEGATIVE) if digit == -3 else np.int64(-BAD), i
    if i - first > 18:
        value = saturated(text, first, i, 10)
    if value > LARGEST:
        return np.int64(-TOO_LARGE), i
    return value, i


@inlined
def hexadecimal(text, i):
    """As decimal, base 16, with or without 0x."""
    if byte(text, i) == 48 and (byte(text, i + 1) | 32) == 120:
        i += 2
    first = i
    value = np.int64(0)
    digit = np.int64(DIGIT[text[np.uint64(i)]])
    while digit >= 0:
        value = (value << 4) | digit
        i += 1
        digit = np.int64(DIGIT[text[np.uint64(i)]])
    if i == first:
        return np.int64(-NEGATIVE) if byte(text, i) == 45 else np.int64(-BAD), i
    if i - first > 15:
        value = saturated(text, first, i, 16)
    if value > LARGEST:
        return np.int64(-TOO_LARGE), i
    return value, i


@inlined
def number(text, i):
    """As decimal, base 16 after 0x."""
    if byte(text, i) == 48 and (byte(text, i + 1) | 32) == 120:
        return hexadecimal(text, i)
    return decimal(text, i)


@inlined
def separated(text, i):
    """Position after the blanks at i; -1 if there are none."""
    at = blanks(text, i)
    return at if at > i else -1


@inlined
def whole(text, i):
    """A signed whole number that may be written `-37.0`: (problem, position, value)."""
    negative = byte(text, i) == 45
    if negative:
        i += 1
    value, i = decimal(text, i)
    if value < 0:
        return -value, i, np.int64(0)
    if byte(text, i) == 46:
        i += 1
        while byte(text, i) == 48:
            i += 1
    return 0, i, -value if negative else value


@inlined
def line_end(text, i):
    """Position of the newline if only blanks (and a carriage return) come before it, else -1."""
    i = blanks(text, i)
    if byte(text, i) == 13:
        i += 1
    return i if byte(text, i) == 10 else -1


@inlined
def data_start(text, at):
    """First byte of a line's data, or -1 and the position of its newline: (start, newline)."""
    i = blanks(text, at)
    first = byte(text, i)
    if first > 35:
        return i, i
    if first == 10 or first == 35 or (first == 13 and byte(text, i + 1) == 10):
        while byte(text, i) != 10:
            i += 1
        return -1, i
    return i, i


@inlined
def put(records, lines, n, line, address, is_write, clock, gap, writeback):
    """Write record n."""
    record = records[n]
    record["address"] = address
    record["writeback"] = writeback
    record["clock"] = clock
    record["gap"] = gap
    record["tensor"] = -1
    record["is_write"] = is_write
    if lines.size > 0:
        lines[n] = line


@called
def put_rest(records, lines, n, line, address, first, last, is_write, clock):
    """An access beyond its first request: its other lines, then all of them as writes if it is a modify; the number of records after it."""
    for touched in range(first + 1, last + 1):
        put(records, lines, n, line, touched << LINE_SHIFT, is_write & 1, clock, 0, -1)
        n += 1
    if is_write == 2:
        for touched in range(first, last + 1):
            put(
                records,
                lines,
                n,
                line,
                address if touched == first else touched << LINE_SHIFT,
                1,
                clock,
                0,
                -1,
            )
            n += 1
    return n


@inlined
def scan(parser, option, text, records, lines, status):
    """Run a line parser over whole lines."""
    n = 0
    at = 0
    line = status[LINES]
    status[PROBLEM] = 0
    while at < text.size:
        i, after = data_start(text, at)
        if i < 0:
            at = after + 1
            line += 1
            continue
        problem, i, address, writeback, clock, gap, is_write, size = parser(text, i, option, status)
        if problem <= 0:
            i = line_end(text, i)
            if i < 0:
                problem = BAD
            elif size < 1 or size > LARGEST_SIZE:
                problem = BAD_SIZE
        if problem > 0:
            status[PROBLEM] = problem
            break
        if problem == 0:
            first = address >> LINE_SHIFT
            last = (address + size - 1) >> LINE_SHIFT
            turns = 2 if is_write == 2 else 1
            if n + turns * (last - first + 1) > records.size:
                break
            put(records, lines, n, line + 1, address, is_write & 1, clock, gap, writeback)
            n += 1
            if first != last or is_write == 2:
                n = put_rest(records, lines, n, line + 1, address, first, last, is_write, clock)
            status[CLOCK] = clock
            status[GAP] = 0
        at = i + 1
        line += 1
    status[BYTES] = at
    status[LINES] = line
    return n
