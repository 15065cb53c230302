"""Parse the lines of traces into REQUEST records, in one pass over bytes.

Each format has an entry of its own, so that only the formats in use are compiled. An entry parses
whole lines into `records` and returns how many it wrote; `lines` gets the line number of each
record, or is empty. It stops at the end of the text, if the records are full, or at a bad line;
`status` says where and why. Every format allows blank lines, lines that start with `#`, and Windows
line ends.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry
from edensim.kernels.parsing.text import (
    BAD,
    BYTES,
    CLOCK,
    DIGIT,
    EARLIER,
    GAP,
    GAP_TOO_LARGE,
    LARGEST,
    LARGEST_GAP,
    LINE_SHIFT,
    LINES,
    NEGATIVE,
    PROBLEM,
    ROW_TOO_LONG,
    SKIP,
    STARTED,
    TOO_LARGE,
    UNKNOWN_COMMAND,
    Access,
    blanks,
    byte,
    data_start,
    decimal,
    hexadecimal,
    inlined,
    line_end,
    number,
    put_request,
    scan,
    separated,
    whole,
)


@inlined
def operation(text, i):
    """Return the kind of an operation (in any case) and the next position.

    It is 0 for `read` and `ifetch`, 1 for `write`, -1 for anything else.
    """
    if (byte(text, i) | 32) == 114:
        if (
            (byte(text, i + 1) | 32) == 101
            and (byte(text, i + 2) | 32) == 97
            and (byte(text, i + 3) | 32) == 100
        ):
            return 0, i + 4
    elif (byte(text, i) | 32) == 119 and (byte(text, i + 1) | 32) == 114:
        if (
            (byte(text, i + 2) | 32) == 105
            and (byte(text, i + 3) | 32) == 116
            and (byte(text, i + 4) | 32) == 101
        ):
            return 1, i + 5
    elif (byte(text, i) | 32) == 105 and (byte(text, i + 1) | 32) == 102:
        if (
            (byte(text, i + 2) | 32) == 101
            and (byte(text, i + 3) | 32) == 116
            and (byte(text, i + 4) | 32) == 99
            and (byte(text, i + 5) | 32) == 104
        ):
            return 0, i + 6
    return -1, i


# A line parser takes (text, position of the first byte, option, status) and returns (problem,
# position after, access).


@inlined
def refused(problem, i):
    """Return what a parser returns for a bad line."""
    nothing = Access(np.int64(0), np.int64(-1), np.int64(0), np.int64(0), 0, np.int64(1))
    return problem, i, nothing


@inlined
def accepted(i, address, writeback, clock, gap, is_write, size):
    """Return what a parser returns for a good line."""
    access = Access(
        np.int64(address),
        np.int64(writeback),
        np.int64(clock),
        np.int64(gap),
        is_write,
        np.int64(size),
    )
    return 0, i, access


@inlined
def load_store(text, i, option, status):
    """Parse `LD ADDRESS` or `ST ADDRESS`."""
    first = byte(text, i) | 32
    second = byte(text, i + 1) | 32
    is_write = 0
    if first == 115 and second == 116:
        is_write = 1
    elif first != 108 or second != 100:
        return refused(BAD, i)
    at = separated(text, i + 2)
    if at < 0:
        return refused(BAD, i)
    address, at = number(text, at)
    if address < 0:
        return refused(-address, i)
    return accepted(at, address, -1, 0, 0, is_write, 1)


@inlined
def address_first(text, i, option, status):
    """Parse `ADDRESS R|W`."""
    address, i = number(text, i)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at < 0:
        return refused(BAD, i)
    letter = byte(text, at) | 32
    if letter != 114 and letter != 119:
        return refused(BAD, i)
    return accepted(at + 1, address, -1, 0, 0, 1 if letter == 119 else 0, 1)


@inlined
def core_record(text, i, option, status):
    """Parse `BUBBLES LOAD [WRITEBACK]`."""
    gap, i = number(text, i)
    if gap < 0:
        return refused(-gap, i)
    if gap > LARGEST_GAP:
        return refused(GAP_TOO_LARGE, i)
    at = separated(text, i)
    if at < 0:
        return refused(BAD, i)
    address, i = number(text, at)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at < 0 or byte(text, at) == 10 or byte(text, at) == 13:
        return accepted(i, address, -1, 0, gap, 0, 1)
    writeback, i = number(text, at)
    if writeback < 0:
        return refused(-writeback, i)
    return accepted(i, address, writeback, 0, gap, 0, 1)


@inlined
def dramsim3_record(text, i, option, status):
    """Parse `ADDRESS READ|WRITE|IFETCH CLOCK`; the address is always hexadecimal."""
    address, i = hexadecimal(text, i)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at < 0:
        return refused(BAD, i)
    is_write, i = operation(text, at)
    at = separated(text, i)
    if is_write < 0 or at < 0:
        return refused(BAD, i)
    clock, i = decimal(text, at)
    if clock < 0:
        return refused(-clock, i)
    return accepted(i, address, -1, clock, 0, is_write, 1)


@inlined
def stl_record(text, i, option, status):
    """Parse `CLOCK: [(LENGTH)] read|write ADDRESS [DATA]`.

    With option 1 the clock counts from the last record.
    """
    size = np.int64(1)
    clock, i = decimal(text, i)
    if clock < 0:
        return refused(-clock, i)
    i = blanks(text, i)
    if byte(text, i) != 58:
        return refused(BAD, i)
    i = blanks(text, i + 1)
    if byte(text, i) == 40:
        size, i = decimal(text, blanks(text, i + 1))
        i = blanks(text, i)
        if size < 0 or byte(text, i) != 41:
            return refused(-size if size < 0 else BAD, i)
        i = blanks(text, i + 1)
    is_write, i = operation(text, i)
    at = separated(text, i)
    if is_write < 0 or at < 0:
        return refused(BAD, i)
    address, i = number(text, at)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at >= 0 and byte(text, at) == 48 and (byte(text, at + 1) | 32) == 120:
        i = at + 2
        while DIGIT[byte(text, i)] >= 0:
            i += 1
    if option == 1:
        clock += status[CLOCK]
        if clock > LARGEST:
            return refused(TOO_LARGE, i)
    return accepted(i, address, -1, clock, 0, is_write, size)


@inlined
def gem5_record(text, i, option, status):
    """Parse `[ID,]r|w,ADDRESS,SIZE[,FLAGS],TICK[,PC]`.

    The option is a memory clock in picoseconds, 0 if there are no clocks. Two numbers after the
    size are flags and tick: gem5 always writes flags and rarely the program counter.
    """
    if 48 <= byte(text, i) <= 57:
        value, i = decimal(text, i)
        if value < 0 or byte(text, i) != 44:
            return refused(BAD, i)
        i = blanks(text, i + 1)
    letter = byte(text, i) | 32
    if (letter != 114 and letter != 119 and letter != 117) or byte(text, i + 1) != 44:
        return refused(BAD, i)
    if letter == 117:
        return refused(UNKNOWN_COMMAND, i)
    address, i = number(text, blanks(text, i + 2))
    if address < 0 or byte(text, i) != 44:
        return refused(-address if address < 0 else BAD, i)
    size, i = decimal(text, blanks(text, i + 1))
    if size < 0 or byte(text, i) != 44:
        return refused(-size if size < 0 else BAD, i)
    tick, i = number(text, blanks(text, i + 1))
    if tick >= 0 and byte(text, i) == 44:
        tick, i = decimal(text, blanks(text, i + 1))
        if tick >= 0 and byte(text, i) == 44:
            value, i = number(text, blanks(text, i + 1))
            if value < 0:
                return refused(BAD, i)
    if tick < 0:
        return refused(-tick, i)
    return accepted(
        i,
        address,
        -1,
        tick // option if option > 0 else np.int64(0),
        0,
        1 if letter == 119 else 0,
        size,
    )


@inlined
def lackey_record(text, i, option, status):
    """Parse `I  ADDRESS,SIZE` or ` L|S|M ADDRESS,SIZE`, in hexadecimal.

    The gap leaves out the instruction of the access itself, for which the record stands. With
    option 1, for a core, a modification of one line is a load with its write-back.
    """
    if (byte(text, i) == 61 and byte(text, i + 1) == 61) or (
        byte(text, i) == 45 and byte(text, i + 1) == 45
    ):
        while byte(text, i) != 10:  # a message of valgrind, ==PID== or --PID--
            i += 1
        return refused(SKIP, i)
    letter = byte(text, i)
    if letter != 73 and letter != 76 and letter != 83 and letter != 77:
        return refused(BAD, i)
    at = separated(text, i + 1)
    if at < 0:
        return refused(BAD, i)
    address, i = hexadecimal(text, at)
    if address < 0 or byte(text, i) != 44:
        return refused(-address if address < 0 else BAD, i)
    size, i = decimal(text, i + 1)
    if size < 0:
        return refused(-size, i)
    if letter == 73:
        status[GAP] += 1
        return refused(SKIP, i)
    gap = max(status[GAP] - 1, np.int64(0))
    if gap > LARGEST_GAP:
        return refused(GAP_TOO_LARGE, i)
    is_write = 0
    writeback = np.int64(-1)
    if letter == 83:
        is_write = 1
    elif letter == 77:
        is_write = 2
        if option == 1 and (address >> LINE_SHIFT) == ((address + size - 1) >> LINE_SHIFT):
            is_write = 0
            writeback = address
    return accepted(i, address, writeback, 0, gap, is_write, size)


@inlined
def scalesim_row(text, i, records, lines, n, line, is_write, status):
    """Parse a row `CYCLE,WORD,WORD,...`; return (problem, position, number of records then).

    That number is -1 if the records do not suffice. Words are bytes, and each 64-byte line counts
    once in a row. An empty place is -1; it is also 1 if only 1 and -1 follow, unless the 1 comes
    first or after a 0, because the tool pads rows with 1.0 too.
    """
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
    pending = False  # a 1 that may be padding
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
            pending = True
        else:
            if pending:
                pending = False
                n = put_line(records, lines, row, n, line, np.int64(0), is_write, clock)
            if n >= 0:
                n = put_line(records, lines, row, n, line, word >> LINE_SHIFT, is_write, clock)
            if n < 0:
                return 0, i, -1
        previous = word
    return 0, i, n


@inlined
def put_line(records, lines, row, n, line, number_of_line, is_write, clock):
    """Write a 64-byte line of a row, once; return the number of records then, -1 without room."""
    address = number_of_line << LINE_SHIFT
    for k in range(row, n):
        if records[k]["address"] == address:
            return n
    if n >= records.size:
        return -1
    put_request(records, lines, n, line, address, is_write, clock)
    return n + 1


@inlined
def scan_rows(option, text, records, lines, status):
    """Run over the rows of SCALE-Sim as `scan` does over lines; the option is `is_write` of all."""
    n = 0
    at = 0
    line = status[LINES]
    status[PROBLEM] = 0
    while at < text.size:
        i, newline = data_start(text, at)
        if i >= 0:
            problem, i, after = scalesim_row(text, i, records, lines, n, line + 1, option, status)
            if problem == 0 and after < 0:
                if n > 0:
                    break
                problem = ROW_TOO_LONG
            newline = line_end(text, i)
            if problem == 0 and newline < 0:
                problem = BAD
            if problem > 0:
                status[PROBLEM] = problem
                break
            n = after
        at = newline + 1
        line += 1
    status[BYTES] = at
    status[LINES] = line
    return n


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_ramulator_ls(option, text, records, lines, status):
    """Parse Ramulator 2.0 load-store traces."""
    return scan(load_store, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_ramulator1(option, text, records, lines, status):
    """Parse Ramulator 1.0 DRAM traces."""
    return scan(address_first, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_ramulator_core(option, text, records, lines, status):
    """Parse Ramulator processor traces."""
    return scan(core_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_dramsim3(option, text, records, lines, status):
    """Parse DRAMsim3 traces."""
    return scan(dramsim3_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_stl(option, text, records, lines, status):
    """Parse STL traces of DRAMSys."""
    return scan(stl_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_gem5(option, text, records, lines, status):
    """Parse gem5 packet traces."""
    return scan(gem5_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_lackey(option, text, records, lines, status):
    """Parse traces of valgrind's lackey."""
    return scan(lackey_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_scalesim(option, text, records, lines, status):
    """Parse SCALE-Sim traces."""
    return scan_rows(option, text, records, lines, status)
