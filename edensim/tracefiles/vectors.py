"""Read Ramulator 2's read-write traces: `R 0,1,2,100,32`.

A line names the place of a burst in the memory, not its address, so an address map is needed. This
reader is plain Python and reads about 0.4 million lines a second, to which the time of the map is
added: such traces are short, since they are written by hand to provoke one pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from edensim.exceptions import InputError, TraceError
from edensim.tracefiles.formats import Encode, Format, Lines, Records, shown
from edensim.tracefiles.lines import text_blocks
from edensim.tracefiles.streams import CutOffError, Stream, opened
from edensim.vocabulary import REQUEST

LINE: Final = re.compile(rb"\s*([RrWw])[ \t]+(\d{1,18}(?:,\d{1,18}){4,5})\s*$")


def parsed(
    source: Path | Stream, form: Format, encode: Encode, records_per_chunk: int
) -> Iterator[tuple[Records, Lines]]:
    """Yield chunks of records and their line numbers.

    Raises TraceError at the first line that is no address vector or lies outside the memory.
    """
    records: list[tuple[int, int, int, int, int, int]] = []
    numbers: list[int] = []
    total = 0
    line = 0
    path = source if isinstance(source, Path) else source.name
    with opened(source) as stream:
        try:
            for view in text_blocks(stream):
                for text in bytes(view).splitlines():
                    line += 1
                    if not text.strip() or text.lstrip().startswith(b"#"):
                        continue
                    records.append(_record(f"{path}: line {line}", form, text, encode))
                    numbers.append(line)
                    if len(records) == records_per_chunk:
                        yield np.array(records, REQUEST), np.array(numbers, np.int64)
                        total += len(records)
                        records, numbers = [], []
        except CutOffError as error:
            raise TraceError(f"{error} (record {total + len(records)})") from None
    if records:
        yield np.array(records, REQUEST), np.array(numbers, np.int64)
    elif not total:
        raise TraceError(f"{path}: no request: the file holds only blank lines and comments")


def _record(
    place: str, form: Format, text: bytes, encode: Encode
) -> tuple[int, int, int, int, int, int]:
    match = LINE.match(text)
    if match is None:
        raise TraceError(f"{place}: expected {form.expected}, found {shown(text)}")
    vector = [int(number) for number in match[2].split(b",")]
    if len(vector) == 5:  # a standard without bank groups
        vector.insert(2, 0)
    try:
        address = int(encode(*vector))
    except (InputError, ValueError, OverflowError, IndexError) as error:
        raise TraceError(f"{place}: {shown(text)} is not in the memory: {error}") from None
    return address, -1, 0, 0, -1, int(match[1] in b"Ww")
