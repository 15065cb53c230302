"""Parse the lines of traces of programs: Pin's pinatrace, USIMM, SST Prospero and DRAMSim2's k6."""

from __future__ import annotations

from typing import Final

import numpy as np

from edensim.kernels.compile import entry
from edensim.kernels.parsing.text import (
    BAD,
    DIGIT,
    GAP_TOO_LARGE,
    LARGEST_GAP,
    blanks,
    byte,
    decimal,
    hexadecimal,
    inlined,
    number,
    scan,
    separated,
)
from edensim.kernels.parsing.trace_lines import accepted, refused

#: The commands of DRAMSim2's k6 traces: what it takes for reads, and what for writes.
READ: Final = np.frombuffer(b"P_MEM_RD", np.uint8)
FETCH: Final = np.frombuffer(b"P_FETCH", np.uint8)
LOCKED_READ: Final = np.frombuffer(b"P_LOCK_RD", np.uint8)
LOCKED_WRITE: Final = np.frombuffer(b"P_LOCK_WR", np.uint8)
WRITE: Final = np.frombuffer(b"P_MEM_WR", np.uint8)
BACK_OFF: Final = np.frombuffer(b"BOFF", np.uint8)


@inlined
def after_word(text, i, word):
    """Return the position after a word in capitals (in any case), -1 if it is not there."""
    for k in range(word.size):
        if byte(text, i + k) & 223 != word[k]:
            return -1
    return i + word.size


@inlined
def letter_of_access(text, i):
    """Return 0 for `R`, 1 for `W`, -1 for neither, in any case."""
    letter = byte(text, i) | 32
    return 0 if letter == 114 else (1 if letter == 119 else -1)


@inlined
def pinatrace_record(text, i, option, status):
    """Parse `PC: R|W ADDRESS [SIZE [VALUE]]`; what follows the size is not looked at."""
    counter, i = hexadecimal(text, i)
    i = blanks(text, i)
    if counter < 0 or byte(text, i) != 58:
        return refused(-counter if counter < 0 else BAD, i)
    i = blanks(text, i + 1)
    is_write = letter_of_access(text, i)
    at = separated(text, i + 1)
    if is_write < 0 or at < 0:
        return refused(BAD, i)
    address, i = number(text, at)
    if address < 0:
        return refused(-address, i)
    size = np.int64(1)
    at = separated(text, i)
    if at >= 0 and byte(text, at) != 10 and byte(text, at) != 13:
        size, i = decimal(text, at)
        if size < 0:
            return refused(-size, i)
        if separated(text, i) >= 0:
            while byte(text, i) != 10 and byte(text, i) != 13:
                i += 1
    return accepted(i, address, -1, 0, 0, is_write, size)


@inlined
def k6_record(text, i, option, status):
    """Parse `HEX_ADDRESS COMMAND CYCLE` with the commands of a K6 bus, as DRAMSim2 takes them."""
    address, i = hexadecimal(text, i)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at < 0:
        return refused(BAD, i)
    is_write = 0
    after = max(
        after_word(text, at, READ),
        after_word(text, at, FETCH),
        after_word(text, at, LOCKED_READ),
        after_word(text, at, LOCKED_WRITE),
    )
    if after < 0:
        is_write = 1
        after = max(after_word(text, at, WRITE), after_word(text, at, BACK_OFF))
    if after < 0:
        return refused(BAD, at)
    at = separated(text, after)
    if at < 0:
        return refused(BAD, after)
    clock, i = decimal(text, at)
    if clock < 0:
        return refused(-clock, i)
    return accepted(i, address, -1, clock, 0, is_write, 1)


@inlined
def usimm_record(text, i, option, status):
    """Parse `GAP R|W ADDRESS [PC]`; the address and the program counter are hexadecimal."""
    gap, i = decimal(text, i)
    if gap < 0:
        return refused(-gap, i)
    if gap > LARGEST_GAP:
        return refused(GAP_TOO_LARGE, i)
    at = separated(text, i)
    is_write = letter_of_access(text, max(at, i))
    after = separated(text, max(at, i) + 1)
    if at < 0 or is_write < 0 or after < 0:
        return refused(BAD, i)
    address, i = hexadecimal(text, after)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at >= 0 and DIGIT[byte(text, at)] >= 0:
        counter, i = hexadecimal(text, at)
        if counter < 0:
            return refused(-counter, i)
    return accepted(i, address, -1, 0, gap, is_write, 1)


@inlined
def prospero_record(text, i, option, status):
    """Parse `CYCLE R|W ADDRESS SIZE`."""
    clock, i = decimal(text, i)
    if clock < 0:
        return refused(-clock, i)
    at = separated(text, i)
    is_write = letter_of_access(text, max(at, i))
    after = separated(text, max(at, i) + 1)
    if at < 0 or is_write < 0 or after < 0:
        return refused(BAD, i)
    address, i = number(text, after)
    if address < 0:
        return refused(-address, i)
    at = separated(text, i)
    if at < 0:
        return refused(BAD, i)
    size, i = decimal(text, at)
    if size < 0:
        return refused(-size, i)
    return accepted(i, address, -1, clock, 0, is_write, size)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_pinatrace(option, text, records, lines, status):
    """Parse traces of Pin's example tool pinatrace."""
    return scan(pinatrace_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_k6(option, text, records, lines, status):
    """Parse DRAMSim2's k6 traces."""
    return scan(k6_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_usimm(option, text, records, lines, status):
    """Parse USIMM traces."""
    return scan(usimm_record, option, text, records, lines, status)


@entry("i8", "u1[:]", "REQUEST[:]", "i8[:]", "i8[:]")
def parse_prospero(option, text, records, lines, status):
    """Parse text traces of SST's Prospero."""
    return scan(prospero_record, option, text, records, lines, status)
