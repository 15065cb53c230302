"""Trace formats: their names, what a line looks like, and how a file's format is recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, SupportsInt

import numpy as np
import numpy.typing as npt

from edensim.config.plugins import TRACE_FORMATS
from edensim.exceptions import ConfigError, TraceError
from edensim.vocabulary import SourceKind

Records = npt.NDArray[np.void]
Lines = npt.NDArray[np.int64]
#: encode(channel, rank, bankgroup, bank, row, column) returns a byte address.
Encode = Callable[[int, int, int, int, int, int], SupportsInt]
#: read(path, records_per_chunk) yields chunks of records with the line number of each record.
Read = Callable[[Path, int], Iterator[tuple[Records, Lines]]]

COMPRESSION_SUFFIXES: Final = (".gz", ".xz", ".zst")
#: How many decompressed bytes recognition looks at, and how many data lines of them.
HEAD_BYTES: Final = 1 << 16
HEAD_LINES: Final = 50
#: First bytes of a Parquet file and of gem5's binary packet traces.
PARQUET_MAGIC: Final = b"PAR1"
GEM5_MAGIC: Final = b"gem5"


@dataclass(frozen=True)
class Format:
    """A trace format.

    Another package adds a format by an entry point of the group `edensim.tracefiles` that names
    such an object; it must have the name of the entry point.

    Parameters
    ----------
    name : str
        The name that `trace_format` and `--format` take.
    kind : SourceKind
        The kind of source that such a trace feeds unless the user chooses another one.
    expected : str
        What a line looks like, for messages.
    shape : re.Pattern of bytes, optional
        A loose pattern of a line, by which files are recognised. A line with a bad number should
        still match, so that it is refused with its place in the file.
    suffix : str, optional
        The suffix by which `edensim convert` chooses the format of its output.
    read : callable, optional
        Reads a file of this format: `read(path, records_per_chunk)` yields pairs of at most that
        many REQUEST records ([n], `edensim.vocabulary.REQUEST`) and their line numbers ([n] int64,
        from 1). By default, the compiled line parsers read it, which know the built-in formats.
    has_gaps : bool
        Whether the records of a trace that is not of a core tell the instructions before them
        (`gap`), so that it can drive a core.
    """

    name: str
    kind: SourceKind
    expected: str
    shape: re.Pattern[bytes] | None = None
    suffix: str | None = None
    read: Read | None = None
    has_gaps: bool = False


def _line(pattern: bytes) -> re.Pattern[bytes]:
    # Patterns of text take ten times as long to compile: Unicode has many letters that are alike.
    return re.compile(rb"\s*(?:%b)" % pattern, re.IGNORECASE)


EDENSIM: Final = Format(
    "edensim", SourceKind.SATURATING, "Parquet columns of a request trace", suffix=".parquet"
)
RAMULATOR_LS: Final = Format(
    "ramulator-ls",
    SourceKind.SATURATING,
    "'LD ADDRESS' or 'ST ADDRESS'",
    _line(rb"(LD|ST)(\s|$)"),
    ".ls",
)
RAMULATOR1: Final = Format(
    "ramulator1",
    SourceKind.SATURATING,
    "'ADDRESS R' or 'ADDRESS W'",
    _line(rb"[^\s,]+\s+[RW]\s*$"),
    ".ramulator1",
)
RAMULATOR_RW: Final = Format(
    "ramulator-rw",
    SourceKind.SATURATING,
    "'R|W CHANNEL,RANK,[BANKGROUP,]BANK,ROW,COLUMN'",
    _line(rb"[RW]\s+\S*,"),
)
RAMULATOR_CORE: Final = Format(
    "ramulator-core",
    SourceKind.CORE,
    "'BUBBLES LOAD [WRITEBACK]'",
    _line(rb"[-+]?\d[\w.+-]*(\s+[-+]?\d[\w.+-]*){1,2}\s*$"),
    ".core",
)
DRAMSIM3: Final = Format(
    "dramsim3",
    SourceKind.TIMED,
    "'HEX_ADDRESS READ|WRITE|IFETCH CYCLE'",
    _line(rb"[^\s,:]+\s+(READ|WRITE|IFETCH)\b"),
    ".ds3",
)
DRAMSYS_STL: Final = Format(
    "dramsys-stl",
    SourceKind.TIMED,
    "'CYCLE: [(LENGTH)] read|write ADDRESS [DATA]'",
    _line(rb"[^\s,:]+\s*:\s*(\([^)]*\))?\s*(read|write)\b"),
    ".stl",
)
#: The lines are those of dramsys-stl; only the suffix of the file distinguishes the two.
DRAMSYS_RSTL: Final = Format(
    "dramsys-rstl",
    SourceKind.TIMED,
    "'CYCLES_SINCE_LAST: [(LENGTH)] read|write ADDRESS [DATA]'",
)
SCALESIM: Final = Format(
    "scalesim",
    SourceKind.TIMED,
    "'CYCLE,WORD,WORD,...'",
    _line(rb"[-+]?[\d.][\d.e+-]*\s*(,\s*[-+]?[\d.][\d.e+-]*\s*)+,?\s*$"),
)
GEM5: Final = Format(
    "gem5",
    SourceKind.SATURATING,
    "'[ID,]r|w,ADDRESS,SIZE[,FLAGS],TICK[,PC]' with 1 to 4096 bytes",
    _line(rb"(\w+,\s*)?[rwu],[^,]*,"),
)
LACKEY: Final = Format(
    "lackey",
    SourceKind.SATURATING,
    "'I  ADDRESS,SIZE' or ' L|S|M ADDRESS,SIZE' in hexadecimal, with 1 to 4096 bytes",
    _line(rb"[ILSM]\s+[^\s,]+,\d+\s*$"),
    has_gaps=True,
)
PINATRACE: Final = Format(
    "pinatrace",
    SourceKind.SATURATING,
    "'PC: R|W ADDRESS [SIZE [VALUE]]' with 1 to 4096 bytes",
    _line(rb"[^\s,:]+\s*:\s*[RW](\s|$)"),
)
DRAMSIM2_K6: Final = Format(
    "dramsim2-k6",
    SourceKind.TIMED,
    "'HEX_ADDRESS P_MEM_RD|P_MEM_WR|P_FETCH|P_LOCK_RD|P_LOCK_WR|BOFF CYCLE'",
    _line(rb"[^\s,:]+\s+(P_\w+|BOFF)\b"),
)
USIMM: Final = Format(
    "usimm",
    SourceKind.SATURATING,
    "'INSTRUCTIONS R|W HEX_ADDRESS [PC]'",
    _line(rb"[-+]?\d+\s+[RW]\s+([^\s,]+|0x[^\s,]*\s+[^\s,]+)\s*$"),
    has_gaps=True,
)
#: Its cycles are taken as clock cycles of the memory.
PROSPERO: Final = Format(
    "prospero",
    SourceKind.TIMED,
    "'CYCLE R|W ADDRESS SIZE' with 1 to 4096 bytes",
    _line(rb"[-+]?\d+\s+[RW]\s+(?!0x)[^\s,]+\s+[^\s,]+\s*$"),
)
#: The columns are named in the first line, which `edensim.tracefiles.tables` reads.
CSV: Final = Format(
    "csv", SourceKind.SATURATING, "a header with a column 'address', then one request per line"
)
#: A line of at least two names, one of them of addresses, by which tables are recognised.
HEADER: Final = _line(rb'(?=.*addr)"?[a-z_][\w /]*"?(\s*[,;\t]\s*"?[a-z_][\w /]*"?)+\s*$')
COMMAND_TRACE: Final = re.compile(
    rb"\s*(\d+\s*,\s*(ACT|PRE|RD|WR|REF)|clock\s*,\s*command)", re.IGNORECASE
)


def named(name: str) -> Format:
    """Find the format of a name.

    Raises TraceError with the nearest name if there is no such format, ConfigError if a package
    that brings it is faulty.
    """
    try:
        member = TRACE_FORMATS.find(name)
    except ConfigError as problem:
        raise TraceError(str(problem)) from None
    form = TRACE_FORMATS.load(name, Format)
    if form.name != name:
        raise TRACE_FORMATS.refuse(member, f"expected a format of that name, found {form.name!r}")
    return form


def bare_suffix(path: Path) -> str:
    """Return the suffix below a compression suffix: `.ls` of `a.ls.xz`."""
    name = Path(path.stem) if path.suffix.lower() in COMPRESSION_SUFFIXES else path
    return name.suffix.lower()


def recognise(path: Path, head: bytes, whole: bool) -> Format:
    """Find the format of a file by its first lines.

    The format whose shape most of the lines have wins, so that one bad line is named later instead
    of the whole file being refused now. Formats of other packages are only tried if no built-in
    format fits.

    Parameters
    ----------
    path : Path
        The file, for messages and for its suffix.
    head : bytes
        The first (decompressed) bytes of the file.
    whole : bool
        Whether these are all of its bytes.

    Raises
    ------
    TraceError
        If the file is empty, binary, or in no known format.
    """
    if not head:
        raise TraceError(f"{path}: the file is empty; expected a trace")
    if head.startswith(PARQUET_MAGIC):
        return EDENSIM
    if head.startswith(GEM5_MAGIC):
        raise TraceError(
            f"{path}: a binary gem5 packet trace; expected text: decode it with gem5's "
            "util/decode_packet_trace.py first"
        )
    lines = data_lines(head, whole)
    if not lines and not whole:
        known = ", ".join(TRACE_FORMATS.names())
        raise TraceError(
            f"{path}: the first {len(head)} bytes hold no data line; name the format "
            f"(known: {known})"
        )
    if not lines:
        raise TraceError(f"{path}: no request: the file holds only blank lines and comments")
    if HEADER.match(lines[0]) and not COMMAND_TRACE.match(lines[0]):
        return CSV
    leaders = _leaders(TRACE_FORMATS.builtin, lines) or _leaders(TRACE_FORMATS.plugins, lines)
    if len(leaders) != 1:
        raise TraceError(
            f"{path}: format not recognised: {_why(lines[0], leaders)}"
            f"known formats: {', '.join(TRACE_FORMATS.names())}"
        )
    if leaders == ["dramsys-stl"] and bare_suffix(path) == ".rstl":
        return DRAMSYS_RSTL
    return named(leaders[0])


def _leaders(names: Iterable[str], lines: list[bytes]) -> list[str]:
    """List the formats whose shape the most lines have; none if no line has any of the shapes."""
    shapes = {name: named(name).shape for name in names}
    votes = {
        name: sum(bool(shape.match(line)) for line in lines)
        for name, shape in shapes.items()
        if shape is not None
    }
    best = max(votes.values(), default=0)
    return [name for name, count in votes.items() if count == best and best]


def _why(line: bytes, leaders: list[str]) -> str:
    if leaders:
        return f"it could be {' or '.join(leaders)}; name the format; "
    if COMMAND_TRACE.match(line):
        return (
            f"{shown(line)} is a line of a command trace, which `edensim energy` and "
            "`edensim check` read; "
        )
    return f"the first line is {shown(line)}; "


def data_lines(head: bytes, whole: bool) -> list[bytes]:
    """List the first lines that are neither blank nor comments.

    The last line of a head that is not the whole file may be cut off. It is left out unless it is
    the only one.
    """
    lines = head.split(b"\n")
    if not whole and len(lines) > 1:
        lines.pop()
    filled = [line for line in lines if line.strip()]
    return [line for line in filled if not line.lstrip().startswith((b"#", b"==", b"--"))][
        :HEAD_LINES
    ]


def shown(line: str | bytes) -> str:
    """Quote a line for a message: at most 60 characters, with unprintable ones escaped."""
    text = line.decode("latin-1") if isinstance(line, bytes) else line
    text = text.rstrip("\r\n")
    quoted = ascii(text[:60])
    return f"{quoted}..." if len(text) > 60 else quoted
