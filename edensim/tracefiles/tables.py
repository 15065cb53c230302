"""Read request traces that are CSV with a header: `address,type,cycle` and the like.

The columns may come in any order and be separated by commas, semicolons or tabs. This reader is
plain Python, and reads about 0.3 million lines a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from edensim.exceptions import TraceError, nearest
from edensim.tracefiles.formats import Format, Lines, Records, shown
from edensim.tracefiles.lines import text_blocks
from edensim.tracefiles.streams import CutOffError, Stream, opened
from edensim.vocabulary import REQUEST, SourceKind

#: The names of columns, in small letters without blanks, and what they hold.
COLUMNS: Final = {
    **dict.fromkeys(("address", "addr", "address_hex", "physical_address", "paddr"), "address"),
    **dict.fromkeys(("virtual_address", "vaddr", "mem_addr", "memory_address"), "address"),
    **dict.fromkeys(("is_write", "write", "rw", "r/w", "op", "operation", "type"), "is_write"),
    **dict.fromkeys(("access", "access_type", "request", "request_type", "kind"), "is_write"),
    **dict.fromkeys(("clock", "cycle", "cycles", "clk"), "clock"),
    **dict.fromkeys(("size", "bytes", "size_bytes", "length"), "size"),
    **dict.fromkeys(("gap", "bubbles"), "gap"),
    "writeback": "writeback",
    "tensor": "tensor",
}
#: Columns that say nothing about the memory.
IGNORED: Final = frozenset({"pc", "ip", "thread", "thread_id", "tid", "core", "id", "index"})
ACCESSES: Final = {
    **dict.fromkeys(("r", "read", "rd", "ld", "load", "0", "false"), 0),
    **dict.fromkeys(("w", "write", "wr", "st", "store", "1", "true"), 1),
}
#: The least and the largest value of each column.
LIMITS: Final = {
    "address": (0, 1 << 62),
    "clock": (0, 1 << 62),
    "size": (1, 4096),
    "gap": (0, (1 << 31) - 1),
    "writeback": (-1, 1 << 62),
    "tensor": (-1, (1 << 31) - 1),
}
NUMBER: Final = re.compile(r"-?\d{1,20}|0[xX][0-9a-fA-F]{1,16}")
LINE_BYTES: Final = 64


def columns_of(path: Path | str, line: bytes) -> tuple[str, list[str | None]]:
    """Return the separator and what each column holds, None for what is ignored.

    Raises TraceError for columns that are unknown or missing, or that occur twice.
    """
    text = line.decode("utf-8", "replace").strip()
    separator = next((mark for mark in ",;\t" if mark in text), ",")
    names = [name.strip().strip('"').strip().lower() for name in text.split(separator)]
    columns: list[str | None] = []
    for name in names:
        column = COLUMNS.get(name.replace(" ", "_"))
        if column is None and name.replace(" ", "_") not in IGNORED:
            raise TraceError(
                f"{path}: unknown column {name[:40]!r}{nearest(name, COLUMNS)}; expected some of "
                f"{', '.join(LIMITS)}, is_write (and {', '.join(sorted(IGNORED))}, which are "
                "ignored)"
            )
        if column is not None and column in columns:
            raise TraceError(f"{path}: column {name!r}: a second column of {column}")
        columns.append(column)
    if "address" not in columns:
        raise TraceError(f"{path}: no column 'address'; found {', '.join(names)}")
    return separator, columns


def source_of(path: Path, header: bytes) -> tuple[SourceKind, bool]:
    """Find the kind of source that a table feeds, and whether it can drive a core."""
    _, columns = columns_of(path, header)
    kind = SourceKind.TIMED if "clock" in columns else SourceKind.SATURATING
    return kind, "gap" in columns


def parsed(
    source: Path | Stream, form: Format, records_per_chunk: int
) -> Iterator[tuple[Records, Lines]]:
    """Yield chunks of records and their line numbers. Raises TraceError at the first bad line."""
    path = source if isinstance(source, Path) else source.name
    records: list[tuple[int, ...]] = []
    numbers: list[int] = []
    columns: tuple[str, list[str | None]] | None = None
    total, line = 0, 0
    with opened(source) as stream:
        try:
            for view in text_blocks(stream):
                for text in bytes(view).splitlines():
                    line += 1
                    if not text.strip() or text.lstrip().startswith(b"#"):
                        continue
                    if columns is None:
                        columns = columns_of(path, text)
                        continue
                    lines = list(_records(f"{path}: line {line}", text, *columns))
                    records += lines
                    numbers += [line] * len(lines)
                    while len(records) >= records_per_chunk:
                        yield _chunk(records[:records_per_chunk], numbers[:records_per_chunk])
                        total += records_per_chunk
                        del records[:records_per_chunk], numbers[:records_per_chunk]
        except CutOffError as error:
            raise TraceError(f"{error} (record {total + len(records)})") from None
    if records:
        yield _chunk(records, numbers)
    elif not total:
        raise TraceError(f"{path}: no request: the file holds only {form.expected.split(',')[0]}")


def _chunk(records: list[tuple[int, ...]], numbers: list[int]) -> tuple[Records, Lines]:
    return np.array(records, REQUEST), np.array(numbers, np.int64)


def _records(
    place: str, text: bytes, separator: str, columns: list[str | None]
) -> Iterator[tuple[int, ...]]:
    """Yield a record for each line of 64 bytes that a request touches."""
    cells = [cell.strip().strip('"') for cell in text.decode("utf-8", "replace").split(separator)]
    if len(cells) != len(columns):
        raise TraceError(
            f"{place}: expected {len(columns)} columns, found {len(cells)}: {shown(text)}"
        )
    values = {"writeback": -1, "clock": 0, "gap": 0, "tensor": -1, "is_write": 0, "size": 1}
    for column, cell in zip(columns, cells, strict=True):
        if column == "is_write":
            if cell.lower() not in ACCESSES:
                raise TraceError(f"{place}: expected read or write, found {shown(cell)}")
            values[column] = ACCESSES[cell.lower()]
        elif column is not None:
            values[column] = _number(place, column, cell)
    size = values.pop("size")
    end = values["address"] + size
    names = REQUEST.names or ()
    while values["address"] < end:
        yield tuple(values[name] for name in names)
        values["address"] = (values["address"] // LINE_BYTES + 1) * LINE_BYTES
        values |= {"writeback": -1, "gap": 0}


def _number(place: str, column: str, cell: str) -> int:
    low, high = LIMITS[column]
    if not NUMBER.fullmatch(cell):
        raise TraceError(
            f"{place}: {column}: expected a whole number from {low} to {high}, hexadecimal after "
            f"0x, found {shown(cell)}"
        )
    value = int(cell, 16 if cell[:2] in ("0x", "0X") else 10)
    if not low <= value <= high:
        raise TraceError(f"{place}: {column}: expected {low} to {high}, found {value}")
    return value
