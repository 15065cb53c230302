"""Open a trace of any format; its requests come in chunks, so memory use does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, SupportsInt

from edensim.exceptions import TraceError
from edensim.tracefiles import formats
from edensim.tracefiles.formats import Format
from edensim.tracefiles.lines import Lines, Records
from edensim.tracefiles.streams import Stream
from edensim.vocabulary import SourceKind

#: Records of a chunk: 1.3 MB, so that a chunk is still in the cache when the engine takes it.
CHUNK_RECORDS: Final = 1 << 15

#: encode(channel, rank, bankgroup, bank, row, column) -> byte address.
Encode = Callable[[int, int, int, int, int, int], SupportsInt]


@dataclass(frozen=True)
class Trace:
    """A trace file: what it is, and its requests. `kind` is the source the format describes; a run may choose another."""

    path: Path
    format: str
    kind: SourceKind
    option: int = field(default=0, repr=False)
    encode: Encode | None = field(default=None, repr=False)

    def chunks(self, records_per_chunk: int = CHUNK_RECORDS) -> Iterator[Records]:
        """Arrays of at most that many REQUEST records, from the start at each call. Raises TraceError at the first bad line."""
        for records, _ in self._parsed(records_per_chunk, with_lines=False):
            yield records

    def line_of(self, record: int) -> int:
        """Line (from 1) that record number `record` (from 0) came from; native traces have no lines: record + 1. Reads the file again."""
        if self.format == "edensim":
            return record + 1
        start = 0
        for records, lines in self._parsed(CHUNK_RECORDS, with_lines=True):
            if record < start + len(records):
                return int(lines[record - start])
            start += len(records)
        raise IndexError(f"{self.path} has {start} records, not {record + 1}")

    def position(self, record: int) -> str:
        """Where record number `record` (from 0) is, for messages: `FILE: line N`, or `FILE: record N` (from 1) in native traces."""
        return f"{self.path}: {'record' if self.format == 'edensim' else 'line'} {self.line_of(record)}"

    def _parsed(self, records_per_chunk: int, with_lines: bool) -> Iterator[tuple[Records, Lines]]:
        if records_per_chunk < 1:
            raise ValueError(f"records_per_chunk is {records_per_chunk}; expected at least 1")
        if self.format == "edensim":
            from edensim.tracefiles import native

            return native.read(self.path, records_per_chunk)
        form = formats.FORMATS[self.format]
        if self.encode is not None and self.format == "ramulator-rw":
            from edensim.tracefiles import vectors

            return vectors.parsed(self.path, form, self.encode, records_per_chunk)
        from edensim.tracefiles import lines

        return lines.parsed(self.path, form, self.option, records_per_chunk, with_lines)


def open_trace(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    encode: Encode | None = None,
    tck_ps: int | None = None,
) -> Trace:
    """Look at a trace file; its format is recognised by its first lines unless it is named.

    encode: turns an address vector into an address (AddressMap.encode); needed by `ramulator-rw`, whose lines hold no address.
    tck_ps: picoseconds of a memory clock; with it a gem5 trace (1 tick = 1 ps) is timed, without it only its order counts.
    Raises TraceError for a file that is missing, empty, unreadable, no trace, or of unknown format."""
    path = Path(path)
    form = formats.named(format) if format is not None else None
    with Stream(path) as stream:
        buffer = bytearray(formats.HEAD_BYTES)
        count = stream.fill(memoryview(buffer))
        head = bytes(buffer[:count])
        if stream.compression and head.startswith(formats.PARQUET_MAGIC):
            raise TraceError(
                f"{path}: a Parquet file inside {stream.compression} data; expected the Parquet file itself, which is compressed inside"
            )
    found = (
        formats.recognise(path, head, whole=count < len(buffer))
        if form is None
        else _checked(path, form, head)
    )
    if found.name == "ramulator-rw" and encode is None:
        raise TraceError(
            f"{path}: its lines are address vectors ({found.expected}); an address map is needed to make addresses of them"
        )
    kind, option = found.kind, 0
    if found.name == "dramsys-rstl":
        option = 1
    elif found.name == "scalesim":
        option = int("ofmap" in path.name.lower() or "write" in path.name.lower())
    elif found.name == "gem5" and tck_ps is not None:
        if tck_ps < 1:
            raise ValueError(f"tck_ps is {tck_ps}; expected at least 1")
        kind, option = SourceKind.TIMED, tck_ps
    elif found.name == "edensim":
        from edensim.tracefiles import native

        kind = native.kind_of(path)
    return Trace(path, found.name, kind, option, encode)


def _checked(path: Path, form: Format, head: bytes) -> Format:
    if not head:
        raise TraceError(f"{path}: the file is empty; expected a {form.name} trace")
    if (form.name == "edensim") != head.startswith(formats.PARQUET_MAGIC):
        found = "a Parquet file" if form.name != "edensim" else "something else"
        raise TraceError(f"{path}: expected {form.name} ({form.expected}), found {found}")
    return form
