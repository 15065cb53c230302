"""The trace formats: names, what a line looks like, which source they feed; and which of them a file is in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edensim.exceptions import TraceError, nearest
from edensim.vocabulary import SourceKind

COMPRESSION_SUFFIXES: Final = (".gz", ".xz", ".zst")
#: Decompressed bytes, and data lines of them, that recognition looks at.
HEAD_BYTES: Final = 1 << 16
HEAD_LINES: Final = 50
#: First bytes of a Parquet file and of gem5's binary packet traces.
PARQUET_MAGIC: Final = b"PAR1"
GEM5_MAGIC: Final = b"gem5"


@dataclass(frozen=True)
class Format:
    """One trace format. `shape` is a loose pattern of its lines: a line with a bad number is still recognised, and then refused with its place."""

    name: str
    kind: SourceKind
    expected: str
    shape: re.Pattern[bytes] | None
    suffix: str | None = None  # of files in this format that convert writes


def _line(pattern: bytes) -> re.Pattern[bytes]:
    """Patterns of bytes: those of text take ten times as long to compile, because of all the letters that Unicode holds alike."""
    return re.compile(rb"\s*(?:%b)" % pattern, re.IGNORECASE)


FORMATS: Final = {
    form.name: form
    for form in (
        Format(
            "edensim", SourceKind.SATURATING, "Parquet columns of a request trace", None, ".parquet"
        ),
        Format(
            "ramulator-ls",
            SourceKind.SATURATING,
            "'LD ADDRESS' or 'ST ADDRESS'",
            _line(rb"(LD|ST)(\s|$)"),
            ".ls",
        ),
        Format(
            "ramulator1",
            SourceKind.SATURATING,
            "'ADDRESS R' or 'ADDRESS W'",
            _line(rb"[^\s,]+\s+[RW]\s*$"),
            ".ramulator1",
        ),
        Format(
            "ramulator-rw",
            SourceKind.SATURATING,
            "'R|W CHANNEL,RANK,[BANKGROUP,]BANK,ROW,COLUMN'",
            _line(rb"[RW]\s+\S*,"),
        ),
        Format(
            "ramulator-core",
            SourceKind.CORE,
            "'BUBBLES LOAD [WRITEBACK]'",
            _line(rb"[-+]?\d[\w.+-]*(\s+[-+]?\d[\w.+-]*){1,2}\s*$"),
            ".core",
        ),
        Format(
            "dramsim3",
            SourceKind.TIMED,
            "'HEX_ADDRESS READ|WRITE CYCLE'",
            _line(rb"[^\s,:]+\s+(READ|WRITE)\b"),
            ".ds3",
        ),
        Format(
            "dramsys-stl",
            SourceKind.TIMED,
            "'CYCLE: [(LENGTH)] read|write ADDRESS [DATA]'",
            _line(rb"[^\s,:]+\s*:\s*(\([^)]*\))?\s*(read|write)\b"),
            ".stl",
        ),
        Format(
            "dramsys-rstl",
            SourceKind.TIMED,
            "'CYCLES_SINCE_LAST: [(LENGTH)] read|write ADDRESS [DATA]'",
            None,
        ),
        Format(
            "scalesim",
            SourceKind.TIMED,
            "'CYCLE,WORD,WORD,...'",
            _line(rb"[-+]?[\d.][\d.e+-]*\s*(,\s*[-+]?[\d.][\d.e+-]*\s*)+,?\s*$"),
        ),
        Format(
            "gem5",
            SourceKind.SATURATING,
            "'[ID,]r|w,ADDRESS,SIZE[,FLAGS],TICK[,PC]' with 1 to 4096 bytes",
            _line(rb"(\w+,\s*)?[rwu],[^,]*,"),
        ),
        Format(
            "lackey",
            SourceKind.SATURATING,
            "'I  ADDRESS,SIZE' or ' L|S|M ADDRESS,SIZE' in hexadecimal, with 1 to 4096 bytes",
            _line(rb"[ILSM]\s+[^\s,]+,\d+\s*$"),
        ),
    )
}
COMMAND_TRACE: Final = re.compile(
    rb"\s*(\d+\s*,\s*(ACT|PRE|RD|WR|REF)|clock\s*,\s*command)", re.IGNORECASE
)


def named(name: str) -> Format:
    """The format of this name. Raises TraceError with the nearest name."""
    if name not in FORMATS:
        raise TraceError(
            f"unknown trace format {name!r}{nearest(name, FORMATS)}; known: {', '.join(FORMATS)}"
        )
    return FORMATS[name]


def bare_suffix(path: Path) -> str:
    """Suffix below a compression suffix: `.ls` of `a.ls.xz`."""
    name = Path(path.stem) if path.suffix.lower() in COMPRESSION_SUFFIXES else path
    return name.suffix.lower()


def recognise(path: Path, head: bytes, whole: bool) -> Format:
    """The format of a file that starts with these bytes (`whole`: and ends with them).

    The format that most of the first lines have the shape of, so that one bad line is named instead of the whole file refused.
    Raises TraceError if the file is empty, binary or in no known format."""
    if not head:
        raise TraceError(f"{path}: the file is empty; expected a trace")
    if head.startswith(PARQUET_MAGIC):
        return FORMATS["edensim"]
    if head.startswith(GEM5_MAGIC):
        raise TraceError(
            f"{path}: a binary gem5 packet trace; expected text: decode it with gem5's util/decode_packet_trace.py first"
        )
    lines = data_lines(head, whole)
    if not lines and not whole:
        raise TraceError(
            f"{path}: the first {len(head)} bytes hold no data line; name the format (known: {', '.join(FORMATS)})"
        )
    if not lines:
        raise TraceError(f"{path}: no request: the file holds only blank lines and comments")
    votes = {
        form.name: sum(bool(form.shape.match(line)) for line in lines)
        for form in FORMATS.values()
        if form.shape
    }
    best = max(votes.values())
    leaders = [name for name, count in votes.items() if count == best]
    if best == 0 or len(leaders) > 1:
        raise TraceError(
            f"{path}: format not recognised: {_why(lines[0], leaders if best else [])}known formats: {', '.join(FORMATS)}"
        )
    if leaders[0] == "dramsys-stl" and bare_suffix(path) == ".rstl":
        return FORMATS["dramsys-rstl"]
    return FORMATS[leaders[0]]


def _why(line: bytes, leaders: list[str]) -> str:
    if leaders:
        return f"it could be {' or '.join(leaders)}; name the format; "
    if COMMAND_TRACE.match(line):
        return f"{shown(line)} is a line of a command trace, which `edensim energy` and `edensim check` read; "
    return f"the first line is {shown(line)}; "


def data_lines(head: bytes, whole: bool) -> list[bytes]:
    """The first lines that are neither blank nor comments; the last one of a cut head is left out unless it is the only one."""
    lines = head.split(b"\n")
    if not whole and len(lines) > 1:
        lines.pop()
    kept = [
        line
        for line in lines
        if line.strip() and not line.lstrip().startswith((b"#", b"==", b"--"))
    ]
    return kept[:HEAD_LINES]


def shown(line: str | bytes) -> str:
    """A line quoted for a message: at most 60 characters, unprintable ones escaped."""
    text = line.decode("latin-1") if isinstance(line, bytes) else line
    text = text.rstrip("\r\n")
    quoted = ascii(text[:60])
    return f"{quoted}..." if len(text) > 60 else quoted
