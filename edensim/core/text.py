"""Trace lines to REQUEST records: one pass over bytes, no object per line.

`parse_lines` is the only entry. It reads whole lines (every line of `text` ends in a newline, so no helper checks for the end of the text: each stops
at a byte it does not expect, and a newline is never expected) and stops at the end of the text, when the records are full, or at a bad line.
Blank lines and lines that start with `#` are passed over in every format; Windows line ends are accepted.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edensim.core.jit import entry, jit, register
from edensim.vocabulary import REQUEST

register("REQUEST", REQUEST)

# Line formats (argument `form` of parse_lines).
LOAD_STORE: Final = 0
RAMULATOR1: Final = 1
CORE: Final = 2
DRAMSIM3: Final = 3
STL: Final = 4
GEM5: Final = 5
LACKEY: Final = 6
SCALESIM: Final = 7

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
#: What of a number is kept before the next digit comes in: cannot overflow, and loses nothing of up to 18 decimal or 15 hexadecimal digits.
KEPT: Final = (1 << 58) - 1
LARGEST_GAP: Final = (1 << 31) - 1
#: Largest size of one access in bytes (lackey, gem5, STL lengths): 65 lines at most, 130 records for a modify.
LARGEST_SIZE: Final = 4096
#: Bytes that one request moves: longer accesses are split at these boundaries.
LINE_SHIFT: Final = 6

#: Value of each byte as a hexadecimal digit, -1 of others. A table, because a branch between 0-9 and a-f is mispredicted on every other digit.
DIGIT: Final = np.array([int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1 for byte in range(256)], np.int8)


@jit
def byte(text, i):
    """Byte i as a signed number. The unsigned index spares numba's test for negative ones."""
    return np.int64(text[np.uint64(i)])


@jit
def saturated(text, first, i, base):
    """The digits from first to i as a number, HUGE if it passes LARGEST."""
    value = np.int64(0)
    for k in range(first, i):
        value = value * base + DIGIT[text[k]] if value <= LARGEST // base else np.int64(HUGE)
    return value


@jit
def blanks(text, i):
    """First position from i on that holds neither a space nor a tab."""
    while byte(text, i) == 32 or byte(text, i) == 9:
        i += 1
    return i


@jit
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


@jit
def hexadecimal(text, i):
    """As decimal, base 16, with or without 0x."""
    if byte(text, i) == 48 and (byte(text, i + 1) | 32) == 120:
        i += 2
    first = i
    value = np.int64(0)
    digit = np.int64(DIGIT[text[np.uint64(i)]])
    while digit >= 0:
        value = (value & KEPT) * 16 + digit
        i += 1
        digit = np.int64(DIGIT[text[np.uint64(i)]])
    if i == first:
        return np.int64(-NEGATIVE) if byte(text, i) == 45 else np.int64(-BAD), i
    if i - first > 15:
        value = saturated(text, first, i, 16)
    if value > LARGEST:
        return np.int64(-TOO_LARGE), i
    return value, i


@jit
def number(text, i):
    """As decimal, base 16 after 0x."""
    if byte(text, i) == 48 and (byte(text, i + 1) | 32) == 120:
        return hexadecimal(text, i)
    return decimal(text, i)


@jit
def separated(text, i):
    """Position after the blanks at i; -1 if there are none."""
    at = blanks(text, i)
    return at if at > i else -1


@jit
def operation(text, i):
    """(0 for `read`, 1 for `write`, -1 for neither, position after it), in any case."""
    if (byte(text, i) | 32) == 114:
        if (byte(text, i + 1) | 32) == 101 and (byte(text, i + 2) | 32) == 97 and (byte(text, i + 3) | 32) == 100:
            return 0, i + 4
    elif (byte(text, i) | 32) == 119:
        if (byte(text, i + 1) | 32) == 114 and (byte(text, i + 2) | 32) == 105 and (byte(text, i + 3) | 32) == 116 and (byte(text, i + 4) | 32) == 101:
            return 1, i + 5
    return -1, i


@jit
def load_store(text, i):
    """`LD ADDRESS` or `ST ADDRESS`: (problem, position, address, is_write)."""
    first = byte(text, i) | 32
    second = byte(text, i + 1) | 32
    if first == 108 and second == 100:
        is_write = 0
    elif first == 115 and second == 116:
        is_write = 1
    else:
        return BAD, i, np.int64(0), 0
    at = separated(text, i + 2)
    if at < 0:
        return BAD, i, np.int64(0), 0
    address, at = number(text, at)
    return 0 if address >= 0 else -address, at, address, is_write


@jit
def address_first(text, i):
    """`ADDRESS R|W`: (problem, position, address, is_write)."""
    address, i = number(text, i)
    if address < 0:
        return -address, i, address, 0
    at = separated(text, i)
    if at < 0:
        return BAD, i, address, 0
    letter = byte(text, at) | 32
    if letter != 114 and letter != 119:
        return BAD, i, address, 0
    return 0, at + 1, address, 1 if letter == 119 else 0


@jit
def core_record(text, i):
    """`BUBBLES LOAD [WRITEBACK]`: (problem, position, gap, address, writeback)."""
    none = np.int64(-1)
    gap, i = number(text, i)
    if gap < 0:
        return -gap, i, none, none, none
    if gap > LARGEST_GAP:
        return GAP_TOO_LARGE, i, none, none, none
    at = separated(text, i)
    if at < 0:
        return BAD, i, none, none, none
    address, i = number(text, at)
    if address < 0:
        return -address, i, none, none, none
    at = separated(text, i)
    if at < 0 or byte(text, at) == 10 or byte(text, at) == 13:
        return 0, i, gap, address, none
    writeback, i = number(text, at)
    return 0 if writeback >= 0 else -writeback, i, gap, address, writeback


@jit
def dramsim3_record(text, i):
    """`ADDRESS READ|WRITE CLOCK`, the address always hexadecimal: (problem, position, address, is_write, clock)."""
    none = np.int64(0)
    address, i = hexadecimal(text, i)
    if address < 0:
        return -address, i, none, 0, none
    at = separated(text, i)
    if at < 0:
        return BAD, i, none, 0, none
    is_write, i = operation(text, at)
    if is_write < 0:
        return BAD, i, none, 0, none
    at = separated(text, i)
    if at < 0:
        return BAD, i, none, 0, none
    clock, i = decimal(text, at)
    return 0 if clock >= 0 else -clock, i, address, is_write, clock


@jit
def stl_record(text, i):
    """`CLOCK: [(LENGTH)] read|write ADDRESS [DATA]`: (problem, position, address, is_write, clock, size); size 1 without a length."""
    none = np.int64(0)
    size = np.int64(1)
    clock, i = decimal(text, i)
    if clock < 0:
        return -clock, i, none, 0, none, none
    i = blanks(text, i)
    if byte(text, i) != 58:
        return BAD, i, none, 0, none, none
    i = blanks(text, i + 1)
    if byte(text, i) == 40:
        size, i = decimal(text, blanks(text, i + 1))
        i = blanks(text, i)
        if size < 0 or byte(text, i) != 41:
            return -size if size < 0 else BAD, i, none, 0, none, none
        i = blanks(text, i + 1)
    is_write, i = operation(text, i)
    at = separated(text, i)
    if is_write < 0 or at < 0:
        return BAD, i, none, 0, none, none
    address, i = number(text, at)
    if address < 0:
        return -address, i, none, 0, none, none
    at = separated(text, i)
    if at >= 0 and byte(text, at) == 48 and (byte(text, at + 1) | 32) == 120:
        i = at + 2
        while 48 <= byte(text, i) <= 57 or 97 <= (byte(text, i) | 32) <= 102:
            i += 1
    return 0, i, address, is_write, clock, size


@jit
def gem5_record(text, i):
    """`[ID,]r|w,ADDRESS,SIZE[,FLAGS],TICK[,PC]`: (problem, position, address, is_write, tick, size).

    With two numbers after the size they are flags and tick: gem5 writes flags always, the program counter rarely."""
    none = np.int64(0)
    if 48 <= byte(text, i) <= 57:
        value, i = decimal(text, i)
        if value < 0 or byte(text, i) != 44:
            return BAD, i, none, 0, none, none
        i = blanks(text, i + 1)
    letter = byte(text, i) | 32
    if (letter != 114 and letter != 119 and letter != 117) or byte(text, i + 1) != 44:
        return BAD, i, none, 0, none, none
    if letter == 117:
        return UNKNOWN_COMMAND, i, none, 0, none, none
    address, i = number(text, blanks(text, i + 2))
    if address < 0 or byte(text, i) != 44:
        return -address if address < 0 else BAD, i, none, 0, none, none
    size, i = decimal(text, blanks(text, i + 1))
    if size < 0 or byte(text, i) != 44:
        return -size if size < 0 else BAD, i, none, 0, none, none
    tick, i = decimal(text, blanks(text, i + 1))
    if tick >= 0 and byte(text, i) == 44:
        tick, i = decimal(text, blanks(text, i + 1))
        if tick >= 0 and byte(text, i) == 44:
            value, i = number(text, blanks(text, i + 1))
            if value < 0:
                return BAD, i, none, 0, none, none
    return 0 if tick >= 0 else -tick, i, address, 1 if letter == 119 else 0, tick, size


@jit
def lackey_record(text, i):
    """`I  ADDRESS,SIZE` or ` L|S|M ADDRESS,SIZE`, hexadecimal: (problem or SKIP, position, letter, address, size)."""
    none = np.int64(0)
    if (byte(text, i) == 61 and byte(text, i + 1) == 61) or (byte(text, i) == 45 and byte(text, i + 1) == 45):
        while byte(text, i) != 10:  # a message of valgrind, ==PID== or --PID--
            i += 1
        return SKIP, i, np.int64(0), none, none
    letter = byte(text, i)
    if letter != 73 and letter != 76 and letter != 83 and letter != 77:
        return BAD, i, letter, none, none
    at = separated(text, i + 1)
    if at < 0:
        return BAD, i, letter, none, none
    address, i = hexadecimal(text, at)
    if address < 0 or byte(text, i) != 44:
        return -address if address < 0 else BAD, i, letter, none, none
    size, i = decimal(text, i + 1)
    if size < 0:
        return -size, i, letter, none, none
    return SKIP if letter == 73 else 0, i, letter, address, size


@jit
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


@jit
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


@jit
def scalesim_row(text, i, records, lines, n, is_write, status):
    """`CYCLE,WORD,WORD,...`: (problem, position, number of records after the row); that number is -1 if the records do not suffice.

    Words are bytes; each 64-byte line counts once a row. -1 is an empty place, and so is a 1 that only 1 and -1 follow, unless it comes first or after a 0:
    the tool pads rows with 1.0 too."""
    problem, i, clock = whole(text, i)
    if problem != 0 or byte(text, i) != 44:
        return problem if problem != 0 else BAD, i, n
    first_clock = status[CLOCK]
    if status[STARTED] == 0:
        first_clock = min(clock, 0)
        status[CLOCK] = first_clock
        status[STARTED] = 1
    clock -= first_clock
    if clock < 0:
        return EARLIER, i, n
    row = n
    previous = np.int64(-2)
    held = False  # a 1 that may be padding
    while byte(text, i) == 44:
        i = blanks(text, i + 1)
        if byte(text, i) == 10 or byte(text, i) == 13:
            break  # a comma at the end of the line
        problem, i, word = whole(text, i)
        if problem != 0 or word < -1:
            return problem if problem != 0 else NEGATIVE, i, n
        i = blanks(text, i)
        if word == -1:
            continue
        if word == 1 and previous != 0 and previous != -2:
            held = True
        else:
            if held:
                held = False
                n = put_line(records, lines, row, n, status[LINES] + 1, np.int64(0), is_write, clock)
            if n >= 0:
                n = put_line(records, lines, row, n, status[LINES] + 1, word >> LINE_SHIFT, is_write, clock)
            if n < 0:
                return 0, i, -1
        previous = word
    return 0, i, n


@jit
def put_line(records, lines, row, n, line, number_of_line, is_write, clock):
    """One 64-byte line of a row, once; the number of records after it, -1 if there is no room."""
    address = number_of_line << LINE_SHIFT
    for k in range(row, n):
        if records[k]["address"] == address:
            return n
    if n >= records.size:
        return -1
    put(records, lines, n, line, address, is_write, clock, 0, -1)
    return n + 1


@jit
def line_end(text, i):
    """Position of the newline if only blanks (and a carriage return) come before it, else -1."""
    i = blanks(text, i)
    if byte(text, i) == 13:
        i += 1
    return i if byte(text, i) == 10 else -1


@entry("i8", "i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_lines(form, option, text, records, lines, status):
    """Parse whole lines into records; the number of records written. `lines` takes the line number of each record, or is empty.

    option: relative clocks (STL: 1), picoseconds of a memory clock (gem5; 0: no clocks), is_write (SCALE-Sim)."""
    n = 0
    at = 0
    status[PROBLEM] = 0
    while at < text.size:
        i = blanks(text, at)
        line = status[LINES] + 1
        if byte(text, i) == 10 or byte(text, i) == 35 or (byte(text, i) == 13 and byte(text, i + 1) == 10):
            while byte(text, i) != 10:
                i += 1
            at = i + 1
            status[LINES] = line
            continue
        problem = 0
        address = writeback = np.int64(-1)
        clock = gap = np.int64(0)
        size = np.int64(1)
        is_write = 0
        passes = 1
        if form == LOAD_STORE:
            problem, i, address, is_write = load_store(text, i)
        elif form == RAMULATOR1:
            problem, i, address, is_write = address_first(text, i)
        elif form == CORE:
            problem, i, gap, address, writeback = core_record(text, i)
        elif form == DRAMSIM3:
            problem, i, address, is_write, clock = dramsim3_record(text, i)
        elif form == STL:
            problem, i, address, is_write, clock, size = stl_record(text, i)
            if option == 1:
                clock += status[CLOCK]
                if problem == 0 and clock > LARGEST:
                    problem = TOO_LARGE
        elif form == GEM5:
            problem, i, address, is_write, clock, size = gem5_record(text, i)
            clock = clock // option if option > 0 else np.int64(0)
        elif form == LACKEY:
            problem, i, letter, address, size = lackey_record(text, i)
            is_write = 1 if letter == 83 else 0
            passes = 2 if letter == 77 else 1
            gap = max(status[GAP] - 1, np.int64(0))  # the access's own instruction is the record
            if problem == 0 and gap > LARGEST_GAP:
                problem = GAP_TOO_LARGE
        else:
            problem, i, after = scalesim_row(text, i, records, lines, n, option, status)
            if problem == 0:
                i = line_end(text, i)
                if i < 0:
                    problem = BAD
                elif after < 0:
                    if n == 0:
                        problem = ROW_TOO_LONG
                    else:
                        break
                else:
                    n = after
                    problem = SKIP
        if problem <= 0 and form != SCALESIM:
            i = line_end(text, i)
            if i < 0:
                problem = BAD
            elif problem == 0 and (size < 1 or size > LARGEST_SIZE):
                problem = BAD_SIZE
        if problem > 0:
            status[PROBLEM] = problem
            break
        if problem == 0:
            first = address >> LINE_SHIFT
            last = (address + size - 1) >> LINE_SHIFT
            if n + passes * (last - first + 1) > records.size:
                break
            for turn in range(passes):
                for touched in range(first, last + 1):
                    put(records, lines, n, line, address if touched == first else touched << LINE_SHIFT, is_write or turn, clock, gap, writeback)
                    gap = np.int64(0)
                    n += 1
            if form == STL:
                status[CLOCK] = clock
            status[GAP] = 0
        elif form == LACKEY and letter == 73:
            status[GAP] += 1
        at = i + 1
        status[LINES] = line
    status[BYTES] = at
    return n
