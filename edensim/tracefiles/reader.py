"""Open a trace of any format; its requests come in chunks, so memory use does not grow with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edensim.exceptions import TraceError
from edensim.tracefiles import formats
from edensim.tracefiles.adaptation import Adaptation
from edensim.tracefiles.formats import EDENSIM, PARQUET_MAGIC, Encode, Format, Lines, Records
from edensim.tracefiles.streams import Stream
from edensim.vocabulary import SourceKind

#: Records of a chunk: 1.3 MB, so that a chunk is still in the cache when the engine takes it.
CHUNK_RECORDS: Final = 1 << 15


@dataclass(frozen=True)
class Trace:
    """A trace file and its requests.

    Parameters
    ----------
    path : Path
        The file.
    format : str
        Name of its format.
    kind : SourceKind
        The kind of source that the format describes; a run may choose another one.
    option : int
        What the parser of the format needs to know besides the text.
    encode : callable, optional
        Turns address vectors into addresses, for `ramulator-rw`.
    adaptation : Adaptation, optional
        How iteration adapts the requests to a run. `chunks` yields them as the file has them.
    pipe : Stream, optional
        The open stream, if the path is no file but a pipe. It can be read once.
    """

    path: Path
    format: str
    kind: SourceKind
    option: int = field(default=0, repr=False)
    encode: Encode | None = field(default=None, repr=False)
    adaptation: Adaptation | None = field(default=None, repr=False)
    pipe: Stream | None = field(default=None, repr=False)

    def __iter__(self) -> Iterator[Records]:
        """Yield the requests in chunks, from the start at each iteration."""
        if self.adaptation is None:
            return self.chunks()
        return self.adaptation.applied(self.chunks, self.position)

    def chunks(self, records_per_chunk: int = CHUNK_RECORDS) -> Iterator[Records]:
        """Yield the requests of the trace, from its start at each call.

        Parameters
        ----------
        records_per_chunk : int
            The largest number of records in a chunk.

        Yields
        ------
        ndarray of REQUEST, [n]

        Raises
        ------
        TraceError
            At the first bad line, or if the file is damaged.
        """
        for records, _ in self._parsed(records_per_chunk, with_lines=False):
            yield records

    def line_of(self, record: int) -> int:
        """Find the line (from 1) of a record (from 0), for which the file is read again.

        A native trace has no lines; its record number, from 1, is returned.
        """
        if self.format == EDENSIM.name:
            return record + 1
        start = 0
        for records, lines in self._parsed(CHUNK_RECORDS, with_lines=True):
            if record < start + len(records):
                return int(lines[record - start])
            start += len(records)
        raise IndexError(f"{self.path} has {start} records, not {record + 1}")

    def position(self, record: int) -> str:
        """Name the place of a record (from 0), for messages.

        It is `FILE: line N`, or `FILE: record N` (from 1) in a native trace and in a pipe, which
        cannot be read again.
        """
        if self.pipe is not None:
            return f"{self.path}: record {record + 1}"
        unit = "record" if self.format == EDENSIM.name else "line"
        return f"{self.path}: {unit} {self.line_of(record)}"

    def _parsed(self, records_per_chunk: int, with_lines: bool) -> Iterator[tuple[Records, Lines]]:
        # The parsers are imported here because only one of them is needed: native ones need
        # pyarrow, others the compiled kernels.
        if records_per_chunk < 1:
            raise ValueError(f"records_per_chunk is {records_per_chunk}; expected at least 1")
        form = formats.named(self.format)
        if form.read is not None:
            return form.read(self.path, records_per_chunk)
        if form is EDENSIM:
            from edensim.tracefiles import native

            return native.read(self.path, records_per_chunk)
        if self.encode is not None and form is formats.RAMULATOR_RW:
            from edensim.tracefiles import vectors

            return vectors.parsed(self.pipe or self.path, form, self.encode, records_per_chunk)
        if form is formats.CSV:
            from edensim.tracefiles import tables

            return tables.parsed(self.pipe or self.path, form, records_per_chunk)
        from edensim.tracefiles import lines

        return lines.parsed(
            self.pipe or self.path, form, self.option, records_per_chunk, with_lines
        )


def open_trace(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    encode: Encode | None = None,
    tck_ps: int | None = None,
    as_core: bool = False,
) -> Trace:
    """Open a trace file of any format.

    Parameters
    ----------
    path : path-like
        The file, plain or compressed (gzip, xz, zstd). `-` is standard input. A pipe is streamed:
        its requests can be read once.
    format : str, optional
        The name of its format; by default, the format is recognised by the first lines.
    encode : callable, optional
        Turns an address vector into a byte address (`AddressMap.encode`). The format
        `ramulator-rw`, whose lines hold no address, needs it.
    tck_ps : int, optional
        Duration of a memory clock cycle in picoseconds. With it, a gem5 trace (whose ticks are
        picoseconds) is a timed one; without it, only the order of its requests counts.
    as_core : bool
        Whether the trace is to drive a core. It can if its lines tell the instructions between
        accesses.

    Raises
    ------
    TraceError
        If the file is missing, empty, unreadable, no trace, or of an unknown format.
    """
    path = Path("/dev/stdin" if os.fspath(path) == "-" else path)
    form = None if format is None else formats.named(format)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(Stream(path))
        buffer = bytearray(formats.HEAD_BYTES)
        count = stream.fill(memoryview(buffer))
        head = bytes(buffer[:count])
        if stream.compression and head.startswith(PARQUET_MAGIC):
            raise TraceError(
                f"{path}: found a Parquet file inside {stream.compression} data; expected the file"
            )
        if form is None:
            form = formats.recognise(path, head, whole=count < len(buffer))
        else:
            _check_head(path, form, head)
        pipe = None if stream.is_file else _pipe(path, form, stream, head)
        kind, option = _kind_and_option(path, form, encode, tck_ps)
        has_gaps = form.has_gaps
        if form is formats.CSV:
            from edensim.tracefiles import tables

            header = [*formats.data_lines(head, whole=False), head][0]
            kind, has_gaps = tables.source_of(path, header)
        if as_core and has_gaps:
            kind, option = SourceKind.CORE, 1
        if pipe is not None:
            stack.pop_all()  # the pipe stays open until the requests have been read
        return Trace(path, form.name, kind, option, encode, pipe=pipe)


def _pipe(path: Path, form: Format, stream: Stream, head: bytes) -> Stream:
    """Return the stream of a pipe as if nothing had been read from it."""
    if form is EDENSIM or form.read is not None:
        raise TraceError(f"{path}: a pipe; expected a file, which the format {form.name} needs")
    stream.unread(head)
    return stream


def _kind_and_option(
    path: Path, form: Format, encode: Encode | None, tck_ps: int | None
) -> tuple[SourceKind, int]:
    """Find the source kind of a trace, and what its parser needs to know besides the text."""
    kind, option = form.kind, 0
    if form is EDENSIM:
        from edensim.tracefiles import native

        kind = native.kind_of(path)
    elif form is formats.RAMULATOR_RW and encode is None:
        raise TraceError(
            f"{path}: its lines are address vectors ({form.expected}); an address map is needed "
            "to make addresses of them"
        )
    elif form is formats.DRAMSYS_RSTL:
        option = 1
    elif form is formats.SCALESIM:
        option = int("ofmap" in path.name.lower() or "write" in path.name.lower())
    elif form is formats.GEM5 and tck_ps is not None:
        if tck_ps < 1:
            raise ValueError(f"tck_ps is {tck_ps}; expected at least 1")
        kind, option = SourceKind.TIMED, tck_ps
    return kind, option


def _check_head(path: Path, form: Format, head: bytes) -> None:
    """Refuse a file that cannot be of the format that the user named."""
    if not head:
        raise TraceError(f"{path}: the file is empty; expected a {form.name} trace")
    if form.read is None and (form is EDENSIM) != head.startswith(PARQUET_MAGIC):
        found = "something else" if form is EDENSIM else "a Parquet file"
        raise TraceError(f"{path}: expected {form.name} ({form.expected}), found {found}")
