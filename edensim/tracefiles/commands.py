"""Read and write command traces as CSV: `clock,command,channel,rank,bankgroup,bank,row,column`.

There is one command per line, and a level that it does not address is -1. The columns `channel` and
`bankgroup` may be missing (one channel, no bank groups). Files may be compressed: gzip, xz, zstd.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import TraceError, nearest
from edensim.files import replacing
from edensim.tracefiles.writers import compressed
from edensim.vocabulary import COMMAND, RANK_COMMANDS, Command

if TYPE_CHECKING:
    import pyarrow as pa

FIELDS: Final = ("clock", "command", "channel", "rank", "bankgroup", "bank", "row", "column")
#: The value of each field whose column may be missing.
OPTIONAL: Final = {"channel": 0, "bankgroup": -1}
#: The columns of DRAMPower's command traces, and the values of those that they do not have.
DRAMPOWER_FIELDS: Final = ["clock", "command", "bank"]
DEFAULTS: Final = OPTIONAL | {"rank": 0, "row": 0, "column": -1}
#: Bytes of text in memory at a time while a command trace is streamed.
STREAM_BLOCK: Final = 1 << 22
#: Command names that other tools use.
ALIASES: Final = {
    "PRE": Command.PREpb,
    "PREA": Command.PREab,
    "REF": Command.REFab,
    "REFA": Command.REFab,
    "REFB": Command.REFpb,
}
CODES: Final = {command.name.upper(): command for command in Command} | ALIASES


def command_code(name: str) -> Command | None:
    """Find a command by its name, or another tool's name for it; None if there is no such command.

    Upper and lower case are the same.
    """
    return CODES.get(name.strip().upper())


def read_commands_csv(path: str | Path) -> NDArray[Any]:
    """Read a command trace.

    Parameters
    ----------
    path : path-like
        The CSV file, plain or compressed.

    Returns
    -------
    ndarray of COMMAND, [commands]

    Raises
    ------
    TraceError
        If the file is no command trace; the message names file and line.
    """
    return np.concatenate([np.zeros(0, COMMAND), *stream_commands_csv(path)])


def stream_commands_csv(
    path: str | Path, block_bytes: int = STREAM_BLOCK
) -> Iterator[NDArray[Any]]:
    """Read a command trace in blocks, with about `block_bytes` of text in memory at a time.

    A trace without a header has all eight columns, or the three of DRAMPower: clock, command and
    bank, which counts through all bank groups.

    Raises TraceError, which names file and line, when the bad line is reached.
    """
    from edensim.tracefiles.lines import text_blocks
    from edensim.tracefiles.streams import Stream

    source = Path("/dev/stdin" if str(path) == "-" else path)
    header, head, line = [""], b"", 1
    with Stream(source) as stream:
        for block in text_blocks(stream, block_bytes):
            data = bytes(block)
            if not head:
                header = _headerless(source, data) or _check_header(source, data)
                head = ",".join(header).encode() + b"\n"
                if not data[:1].isdigit():
                    line, data = 2, data[data.index(b"\n") + 1 :]
            records = _parse(source, head + data, header, line)
            line += data.count(b"\n")
            if header == DRAMPOWER_FIELDS:
                _clear_unaddressed(records)
            if len(records):
                yield records
    if not head:
        _check_header(source, b"")


@contextlib.contextmanager
def command_writer(path: str | Path) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Open a command trace for writing; what is yielded appends COMMAND records to it.

    The file is compressed if its name ends in .gz, .xz or .zst. It appears when the block is done,
    and not at all if the block raises an exception. Raises InputError if it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv as pacsv

    names = np.array([command.name for command in Command])
    options = pacsv.WriteOptions(include_header=False, quoting_style="none")
    with (
        replacing(path) as part,
        contextlib.closing(compressed(part, Path(path).suffix)) as file,
    ):
        file.write((",".join(FIELDS) + "\n").encode())

        def write(commands: NDArray[Any]) -> None:
            columns = {name: np.ascontiguousarray(commands[name]) for name in FIELDS}
            columns["command"] = names[columns["command"]]
            buffer = io.BytesIO()
            pacsv.write_csv(pa.table(columns), buffer, options)
            file.write(buffer.getvalue())

        yield write


def write_commands_csv(path: str | Path, commands: NDArray[Any]) -> None:
    """Write COMMAND records; the file is compressed if its name ends in .gz, .xz or .zst."""
    with command_writer(path) as write:
        write(commands)


def _headerless(source: Path, data: bytes) -> list[str] | None:
    """Find the columns of a trace whose first line is a command; None if it is a header."""
    if not data[:1].isdigit():
        return None
    first = data.partition(b"\n")[0]
    count = first.count(b",") + 1
    if count == len(DRAMPOWER_FIELDS):
        return DRAMPOWER_FIELDS
    if count != len(FIELDS):
        raise TraceError(
            f"{source}:1: found no header, and {count} columns; expected the header "
            f"{','.join(FIELDS)!r}, or without one all {len(FIELDS)} columns, or DRAMPower's "
            f"{','.join(DRAMPOWER_FIELDS)!r}"
        )
    return list(FIELDS)


def _clear_unaddressed(commands: NDArray[Any]) -> None:
    """Set what DRAMPower's commands do not address to -1; it writes bank 0 for whole ranks."""
    of_rank = np.isin(commands["command"], sorted(RANK_COMMANDS))
    commands["bank"][of_rank] = -1
    commands["row"][commands["command"] != Command.ACT] = -1


def with_bank_groups(commands: NDArray[Any], bankgroups: int, banks: int) -> NDArray[Any]:
    """Return commands whose bank groups are known.

    Banks without a bank group count through all groups of the rank.

    Parameters
    ----------
    commands : ndarray of COMMAND, [commands]
        The commands.
    bankgroups, banks : int
        Bank groups of a rank, and banks of a bank group.
    """
    flat = (commands["bankgroup"] < 0) & (commands["bank"] >= 0)
    if not flat.any():
        return commands
    changed = commands.copy()
    changed["bankgroup"][flat] = np.minimum(commands["bank"][flat] // banks, bankgroups)
    changed["bank"][flat] = commands["bank"][flat] % banks
    return changed


def _check_header(source: Path, data: bytes) -> list[str]:
    """Read the names of the columns from the first line."""
    header = f"the header {','.join(FIELDS)!r}"
    try:
        names = [
            name.strip().lower() for name in data.partition(b"\n")[0].decode("utf-8-sig").split(",")
        ]
    except UnicodeDecodeError:
        raise TraceError(f"{source}:1: expected {header}, found binary data") from None
    for name in names:
        if name not in FIELDS:
            raise TraceError(
                f"{source}:1: expected {header}, found column {name!r}{nearest(name, FIELDS)}"
            )
        if names.count(name) > 1:
            raise TraceError(f"{source}:1: column {name!r} appears twice")
    missing = [name for name in FIELDS if name not in names and name not in OPTIONAL]
    if missing:
        raise TraceError(f"{source}:1: column {missing[0]!r} is missing; expected {header}")
    return names


def _parse(source: Path, data: bytes, header: list[str], first_line: int = 2) -> NDArray[Any]:
    """Parse a text whose first line is the header; the next line has the number `first_line`."""
    import pyarrow as pa

    try:
        return _parse_fast(data, header)
    except (pa.ArrowException, ValueError, KeyError, OverflowError):
        return _parse_by_line(source, data, header, first_line)


def _parse_fast(data: bytes, header: list[str]) -> NDArray[Any]:
    """Parse the whole text at once; any exception means that it must be parsed line by line."""
    import pyarrow as pa
    import pyarrow.csv as pacsv

    types = {name: pa.string() if name == "command" else pa.int64() for name in header}
    table: pa.Table = pacsv.read_csv(
        io.BytesIO(data),
        read_options=pacsv.ReadOptions(column_names=header, skip_rows=1, use_threads=False),
        convert_options=pacsv.ConvertOptions(
            column_types=types, null_values=[], strings_can_be_null=False
        ),
    )
    commands = np.zeros(table.num_rows, dtype=COMMAND)
    for name in FIELDS:
        if name not in header:
            commands[name] = DEFAULTS[name]
        elif name != "command":
            values = table.column(name).to_numpy()
            if len(values) and (
                values.min() < (0 if name == "clock" else -1)
                or values.max() > np.iinfo(COMMAND[name]).max
            ):
                raise ValueError(name)
            commands[name] = values
    encoded = table.column("command").combine_chunks().dictionary_encode()
    codes = np.array(
        [CODES[name.strip().upper()] for name in encoded.dictionary.to_pylist()], dtype=np.int16
    )
    if len(commands):
        commands["command"] = codes[encoded.indices.to_numpy()]
    return commands


def _parse_by_line(source: Path, data: bytes, header: list[str], first_line: int) -> NDArray[Any]:
    """Parse the text slowly, to find out which line is wrong and why."""
    rows = []
    for number, line in enumerate(
        data.decode("utf-8", errors="replace").split("\n")[1:], start=first_line
    ):
        text = line.strip("\r")
        if not text.strip():
            continue
        cells = text.split(",")
        if len(cells) != len(header):
            raise TraceError(
                f"{source}:{number}: expected {len(header)} fields ({','.join(header)}), "
                f"found {len(cells)}: {text[:80]!r}"
            )
        record: dict[str, int] = dict(DEFAULTS)
        for name, cell in zip(header, cells, strict=True):
            record[name] = _cell(f"{source}:{number}", name, cell.strip())
        rows.append(tuple(record[name] for name in COMMAND.names or ()))
    return np.array(rows, dtype=COMMAND)


def _cell(place: str, name: str, cell: str) -> int:
    if name == "command":
        code = command_code(cell)
        if code is None:
            hint = nearest(cell, Command.__members__)
            raise TraceError(f"{place}: unknown command {cell[:40]!r}{hint}")
        return int(code)
    low, high = (0 if name == "clock" else -1), int(np.iinfo(COMMAND[name]).max)
    try:
        value = int(cell)
    except ValueError:
        raise TraceError(f"{place}: {name}: expected a whole number, found {cell[:40]!r}") from None
    if not low <= value <= high:
        raise TraceError(f"{place}: {name}: expected {low}..{high}, found {cell[:40]}")
    return value
