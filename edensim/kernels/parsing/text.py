"""Read numbers, blanks and line ends of a text trace, and loop over its lines.

The formats are in trace_lines.py. Every line ends in a newline, so nothing here checks for the end
of the text: each helper stops at a byte that it does not expect, and none expects a newline.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.vocabulary import REQUEST

register("REQUEST", REQUEST)

# Small helpers are inlined by force: a call passes whole array descriptors, which costs more than
# most of them do.
inlined = jit(forceinline=True)
called = jit()

# Indices into the status array, which is zeroed before the first call and passed from call to call.
BYTES: Final = 0  # that this call consumed
LINES: Final = 1  # consumed since the start of the file
PROBLEM: Final = 2  # what is wrong with the next line; 0 if nothing is
GAP: Final = 3  # instructions since the last record (lackey)
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
NEEDS_PREFIX: Final = 9
SKIP: Final = -1  # a good line without a record

#: Largest address or clock that is accepted; the sum of two fits an int64.
LARGEST: Final = 1 << 62
HUGE: Final = LARGEST + 1
#: The bits of a decimal number to which the next digit is added. They cannot overflow, and numbers
#: of up to 18 digits lose nothing.
LOW_BITS: Final = (1 << 58) - 1
LARGEST_GAP: Final = (1 << 31) - 1
#: Largest size of one access in bytes (lackey, gem5, STL): at most 65 lines, or 130 records if it
#: reads and writes.
LARGEST_SIZE: Final = 4096
#: Logarithm of the bytes that one request moves; longer accesses are split at these boundaries.
LINE_SHIFT: Final = 6

#: Value of each byte as a hexadecimal digit, -1 if it is none. A branch between 0-9 and a-f would
#: be mispredicted on every other digit.
DIGIT: Final = np.array(
    [int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1 for byte in range(256)],
    np.int8,
)


class Access(NamedTuple):
    """What a line of a trace says."""

    address: Any
    writeback: Any
    clock: Any
    gap: Any
    is_write: Any
    """0 for a read, 1 for a write, 2 for a read and then a write."""
    size: Any
    """Bytes."""


@inlined
def byte(text, i):
    """Return byte i as a signed number; an unsigned index spares numba's test for negative ones."""
    return np.int64(text[np.uint64(i)])


@called
def saturated(text, first, i, base):
    """Return the digits from `first` to `i` as a number, HUGE if it is above LARGEST."""
    value = np.int64(0)
    for k in range(first, i):
        value = value * base + DIGIT[text[k]] if value <= LARGEST // base else np.int64(HUGE)
    return value


@inlined
def blanks(text, i):
    """Return the first position from i on that holds neither a space nor a tab."""
    while byte(text, i) == 32 or byte(text, i) == 9:
        i += 1
    return i


@inlined
def decimal(text, i):
    """Read a decimal number; return its value (-problem if there is none) and the next position."""
    first = i
    value = np.int64(0)
    digit = byte(text, i) - 48
    while 0 <= digit <= 9:
        value = (value & LOW_BITS) * 10 + digit
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
    """Read a hexadecimal number, with or without 0x, as `decimal` does."""
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
    """Read a number, hexadecimal after 0x, as `decimal` does."""
    if byte(text, i) == 48 and (byte(text, i + 1) | 32) == 120:
        return hexadecimal(text, i)
    value, i = decimal(text, i)
    if DIGIT[byte(text, i)] >= 0:
        return np.int64(-NEEDS_PREFIX), i
    return value, i


@inlined
def separated(text, i):
    """Return the position after the blanks at i, -1 if there are none."""
    at = blanks(text, i)
    return at if at > i else -1


@inlined
def whole(text, i):
    """Read a signed whole number, perhaps written `-37.0`; return (problem, position, value)."""
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
    """Return the position of the newline if only blanks and a CR precede it, else -1."""
    i = blanks(text, i)
    if byte(text, i) == 13:
        i += 1
    return i if byte(text, i) == 10 else -1


@inlined
def data_start(text, at):
    """Return the position of a line's data, twice; without data, -1 and the newline's position."""
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
def put(records, lines, n, line, access):
    """Write record n, which comes from a line."""
    record = records[n]
    record["address"] = access.address
    record["writeback"] = access.writeback
    record["clock"] = access.clock
    record["gap"] = access.gap
    record["tensor"] = -1
    record["is_write"] = access.is_write & 1
    if lines.size > 0:
        lines[n] = line


@inlined
def put_request(records, lines, n, line, address, is_write, clock):
    """Write record n, a request without gap and write-back."""
    put(records, lines, n, line, Access(address, np.int64(-1), clock, np.int64(0), is_write, 0))


@called
def put_rest(records, lines, n, line, access):
    """Write what follows the first record of an access; return the number of records then.

    That is one record for each further line that it touches, and then all lines as writes if it
    reads and writes.
    """
    address, is_write, clock = access.address, access.is_write, access.clock
    first = address >> LINE_SHIFT
    last = (address + access.size - 1) >> LINE_SHIFT
    for touched in range(first + 1, last + 1):
        put_request(records, lines, n, line, touched << LINE_SHIFT, is_write, clock)
        n += 1
    if is_write == 2:
        for touched in range(first, last + 1):
            start = address if touched == first else touched << LINE_SHIFT
            put_request(records, lines, n, line, start, 1, clock)
            n += 1
    return n


@inlined
def scan(parser, option, text, records, lines, status):
    """Run a line parser over whole lines; return the number of records written."""
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
        problem, i, access = parser(text, i, option, status)
        if problem <= 0:
            i = line_end(text, i)
            if i < 0:
                problem = BAD
            elif access.size < 1 or access.size > LARGEST_SIZE:
                problem = BAD_SIZE
        if problem > 0:
            status[PROBLEM] = problem
            break
        if problem == 0:
            first = access.address >> LINE_SHIFT
            last = (access.address + access.size - 1) >> LINE_SHIFT
            turns = 2 if access.is_write == 2 else 1
            if n + turns * (last - first + 1) > records.size:
                break
            put(records, lines, n, line + 1, access)
            n += 1
            if first != last or access.is_write == 2:
                n = put_rest(records, lines, n, line + 1, access)
            status[CLOCK] = access.clock
            status[GAP] = 0
        at = i + 1
        line += 1
    status[BYTES] = at
    status[LINES] = line
    return n
