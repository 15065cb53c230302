"""Read the text formats whose lines the compiled kernels parse, from bytes to chunks of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from edensim.exceptions import TraceError
from edensim.kernels.parsing import program_lines, trace_lines
from edensim.kernels.parsing import text as scanner
from edensim.tracefiles.formats import LACKEY, Format, Lines, Records, shown
from edensim.tracefiles.streams import CutOffError, Stream, opened
from edensim.vocabulary import REQUEST

#: Bytes of text in memory at a time; a line cannot be longer.
BLOCK: Final = 4 << 20
#: Smallest record buffer. The records of one line (an access of 4 KiB, a SCALE-Sim row) must fit.
LEAST_RECORDS: Final = 8192

PARSERS: Final[dict[str, Callable[..., int]]] = {
    "ramulator-ls": trace_lines.parse_ramulator_ls,
    "ramulator1": trace_lines.parse_ramulator1,
    "ramulator-core": trace_lines.parse_ramulator_core,
    "dramsim3": trace_lines.parse_dramsim3,
    "dramsys-stl": trace_lines.parse_stl,
    "dramsys-rstl": trace_lines.parse_stl,
    "gem5": trace_lines.parse_gem5,
    "lackey": trace_lines.parse_lackey,
    "scalesim": trace_lines.parse_scalesim,
    "pinatrace": program_lines.parse_pinatrace,
    "dramsim2-k6": program_lines.parse_k6,
    "usimm": program_lines.parse_usimm,
    "prospero": program_lines.parse_prospero,
}

REASONS: Final = {
    scanner.NEGATIVE: "a number is negative",
    scanner.TOO_LARGE: "a number is above 2^62",
    scanner.GAP_TOO_LARGE: "more than 2^31 - 1 instructions before one record",
    scanner.BAD_SIZE: f"the size is not between 1 and {scanner.LARGEST_SIZE} bytes",
    scanner.UNKNOWN_COMMAND: "'u' is neither a read nor a write: gem5's decoder prints it for "
    "other packets; drop these lines if they move no data",
    scanner.EARLIER: "the cycle lies before the first row's",
    scanner.NEEDS_PREFIX: "a hexadecimal number needs 0x before it",
    scanner.ROW_TOO_LONG: f"the row touches more than {LEAST_RECORDS} lines of 64 bytes",
}


def text_blocks(stream: Stream, block: int = BLOCK) -> Iterator[memoryview]:
    """Yield whole lines, up to `block` bytes at a time, each ended by a newline.

    A newline is added to the last line of the file if it has none. A view is valid until the next
    one is asked for. Raises TraceError for a damaged file and for a line longer than the block.
    """
    buffer = bytearray(block + 1)
    filled = 0
    ended = False
    while not ended:
        count = stream.fill(memoryview(buffer)[filled:block])
        ended = count == 0
        filled += count
        if ended and filled:
            buffer[filled] = 10
            filled += 1
        end = buffer.rfind(b"\n", 0, filled) + 1
        if not end and filled == block:
            raise TraceError(
                f"{stream.name}: a line is longer than {block} bytes; expected a text trace, it "
                f"starts with {shown(bytes(buffer[:61]))}"
            )
        if end:
            yield memoryview(buffer)[:end]
            buffer[: filled - end] = buffer[end:filled]
            filled -= end


def parsed(
    source: Path | Stream,
    form: Format,
    option: int,
    records_per_chunk: int,
    with_lines: bool = False,
    block: int = BLOCK,
) -> Iterator[tuple[Records, Lines]]:
    """Yield chunks of records of a text trace and, if asked for, the line number of each record.

    Raises TraceError at the first bad line.
    """
    path = source if isinstance(source, Path) else source.name
    parse = PARSERS[form.name]
    size = max(records_per_chunk, LEAST_RECORDS)
    status = np.zeros(scanner.STATUS_SIZE, np.int64)
    total = 0
    filled = 0
    records, lines = _empty(size, with_lines)
    with opened(source) as stream:
        try:
            for view in text_blocks(stream, block):
                text = np.frombuffer(view, np.uint8)
                at = 0
                while at < text.size:
                    filled += parse(option, text[at:], records[filled:], lines[filled:], status)
                    at += int(status[scanner.BYTES])
                    # A row too long for the rest of the buffer may still fit into an empty one.
                    problem = int(status[scanner.PROBLEM])
                    if problem and not (problem == scanner.ROW_TOO_LONG and filled):
                        line = int(status[scanner.LINES]) + 1
                        raise TraceError(_message(path, form, problem, line, bytes(view[at:])))
                    if at < text.size:
                        total += filled
                        yield from _slices(records[:filled], lines[:filled], records_per_chunk)
                        filled = 0
                        records, lines = _empty(size, with_lines)
        except CutOffError as error:
            raise TraceError(f"{error} (record {total + filled})") from None
    if not total + filled:
        rest = "instructions and " if form is LACKEY else ""
        raise TraceError(f"{path}: no request: the file holds only {rest}blank lines and comments")
    yield from _slices(records[:filled], lines[:filled], records_per_chunk)


def _empty(size: int, with_lines: bool) -> tuple[Records, Lines]:
    return np.empty(size, REQUEST), np.empty(size if with_lines else 0, np.int64)


def _slices(records: Records, lines: Lines, size: int) -> Iterator[tuple[Records, Lines]]:
    for start in range(0, len(records), size):
        yield records[start : start + size], lines[start : start + size]


def _message(path: Path | str, form: Format, problem: int, line: int, rest: bytes) -> str:
    found = rest.split(b"\n", 1)[0]
    reason = f" ({REASONS[problem]})" if problem in REASONS else ""
    return f"{path}: line {line}: expected {form.expected}, found {shown(found)}{reason}"
