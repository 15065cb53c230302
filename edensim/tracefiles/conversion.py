"""Convert any trace into the native format or a text format that other simulators read."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from edensim.config.plugins import TRACE_FORMATS
from edensim.exceptions import InputError, nearest
from edensim.files import replacing
from edensim.tracefiles.formats import COMPRESSION_SUFFIXES, Encode, Records, bare_suffix, named
from edensim.tracefiles.reader import Trace, open_trace
from edensim.tracefiles.writers import KEEPS, TextWriter

#: Records of a row group.
GROUP_RECORDS: Final = 1 << 17
NATIVE: Final = "edensim"
WRITABLE: Final = (NATIVE, *KEEPS)
#: The value of each field that carries no information, and what is lost with any other value.
EMPTY: Final = {
    "is_write": (0, "writes (they would become reads)"),
    "clock": (0, "arrival clocks"),
    "gap": (0, "instructions between records"),
    "writeback": (-1, "write-backs"),
    "tensor": (-1, "tensor identifiers"),
}


def convert(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    format: str | None = None,
    to: str | None = None,
    lossy: bool = False,
    encode: Encode | None = None,
    tck_ps: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write the requests of one trace into another file, which appears when it is complete.

    Parameters
    ----------
    input : path-like
        The trace to read.
    output : path-like
        The file to write. Text is compressed if the name ends in .gz, .xz or .zst.
    format : str, optional
        Format of the input; by default, it is recognised.
    to : str, optional
        Format of the output; by default, the suffix decides: .parquet, .ls, .core, .ds3, .stl or
        .ramulator1.
    lossy : bool
        Whether to drop what the output format cannot hold.
    encode, tck_ps : optional
        As for `open_trace`.
    progress : callable, optional
        Called with the number of records done so far.

    Returns
    -------
    int
        The number of records.

    Raises
    ------
    InputError
        If the input cannot be read, if the output format is unknown, if the output cannot be
        written, or, unless `lossy`, if a record has something that the output format cannot hold.
    """
    path = Path(output)
    target = output_format(path, to)
    trace = open_trace(input, format=format, encode=encode, tck_ps=tck_ps)
    count = 0
    with (
        replacing(path) as part,
        closing(_writer(trace, part, target, path.suffix.lower())) as writer,
    ):
        for records in trace.chunks(GROUP_RECORDS):
            if target != NATIVE and not lossy:
                _refuse_loss(trace, records, count, path, target)
            writer.write(records)
            count += len(records)
            if progress is not None:
                progress(count)
    return count


def output_format(path: Path, to: str | None) -> str:
    """Find the format to write: the named one, or else the one of the suffix of a file.

    Raises InputError if there is no such format, or if it cannot be written.
    """
    if to is None:
        suffixes = {form.suffix: form.name for form in map(named, WRITABLE)}
        suffix = bare_suffix(path)
        if suffix not in suffixes:
            hint = nearest(suffix, [known for known in suffixes if known])
            raise InputError(
                f"{path}: no output format has the suffix {suffix!r}{hint}; known: "
                f"{', '.join(map(str, suffixes))}; or name one of {', '.join(WRITABLE)}"
            )
        to = suffixes[suffix]
    if to not in WRITABLE:
        known = "can be read, not written" if to in TRACE_FORMATS.names() else "is not known"
        raise InputError(
            f"output format {to!r} {known}{nearest(to, WRITABLE)}; writable: {', '.join(WRITABLE)}"
        )
    if path.exists() and not path.is_file():
        what = "a directory" if path.is_dir() else "not a regular file"
        raise InputError(f"{path}: is {what}; expected the name of the output file")
    if to == NATIVE and path.suffix.lower() in COMPRESSION_SUFFIXES:
        raise InputError(
            f"{path}: Parquet is compressed inside; expected a name without {path.suffix}"
        )
    return to


def _writer(trace: Trace, part: Path, target: str, suffix: str) -> Any:
    if target == NATIVE:
        from edensim.tracefiles.native import NativeWriter

        return NativeWriter(part, trace.kind, f"{trace.path.name} ({trace.format})")
    return TextWriter(part, target, suffix)


def _refuse_loss(trace: Trace, records: Records, start: int, output: Path, target: str) -> None:
    """Refuse records with information in a field that the target format does not keep."""
    filled = {
        name: np.flatnonzero(records[name] != empty)
        for name, (empty, _) in EMPTY.items()
        if name not in KEEPS[target]
    }
    lost = {name: int(indices[0]) for name, indices in filled.items() if len(indices)}
    if lost:
        losses = ", ".join(EMPTY[name][1] for name in lost)
        place = trace.position(start + min(lost.values()))
        raise InputError(
            f"{output}: {target} cannot hold the {losses} of {place}; write .parquet, or ask for "
            "a lossy conversion"
        )
