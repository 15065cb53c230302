"""Any trace into the native format or a text format that other simulators read."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from edensim.exceptions import InputError, nearest
from edensim.tracefiles.formats import COMPRESSION_SUFFIXES, FORMATS, bare_suffix
from edensim.tracefiles.lines import Records
from edensim.tracefiles.reader import Encode, Trace, open_trace
from edensim.tracefiles.writers import KEEPS, TextWriter

#: Records of a row group.
GROUP_RECORDS: Final = 1 << 17
NATIVE: Final = "edensim"
WRITABLE: Final = (NATIVE, *KEEPS)
#: Value of a field that carries nothing, and what is lost with any other.
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
    """Write the requests of one trace into another file; the number of records.

    format, encode, tck_ps: as open_trace. to: output format, else what the suffix says (.parquet, .ls, .core, .ds3, .stl, .ramulator1, and .gz,
    .xz or .zst after all but the first). progress: called with the records done so far. The output appears only when it is complete.
    Raises InputError for an input that cannot be read, an unknown output format, and, unless `lossy`, for records with something that the
    output format cannot hold; also if the output cannot be written."""
    target_path, place = Path(output), Path(os.path.realpath(output))
    target = output_format(target_path, to)
    if target_path.is_dir():
        raise InputError(f"{target_path}: is a directory; expected the name of the output file")
    if not target_path.parent.is_dir():
        raise InputError(f"{target_path}: no such folder: {target_path.parent}")
    if target_path.exists() and not target_path.is_file():
        raise InputError(
            f"{target_path}: is not a regular file; expected the name of the output file"
        )
    trace = open_trace(input, format=format, encode=encode, tck_ps=tck_ps)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        count = _write(
            trace,
            _writer(trace, part, target, target_path.suffix.lower()),
            target_path,
            target,
            lossy,
            progress,
        )
        os.replace(part, place)
    except OSError as error:
        raise InputError(
            f"{target_path}: cannot be written: {os.strerror(error.errno) if error.errno else error}"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()
    return count


def output_format(path: Path, to: str | None) -> str:
    """Name of the format to write. Raises InputError for a name or suffix that none has."""
    suffixes = {form.suffix: name for name, form in FORMATS.items() if form.suffix}
    if to is None:
        suffix = bare_suffix(path)
        if suffix not in suffixes:
            known = f"{nearest(suffix, suffixes)}; known: {', '.join(suffixes)}"
            raise InputError(
                f"{path}: no output format has the suffix {suffix!r}{known}; or name one of {', '.join(WRITABLE)}"
            )
        to = suffixes[suffix]
    if to not in WRITABLE:
        known = "can be read, not written" if to in FORMATS else "is not known"
        raise InputError(
            f"output format {to!r} {known}{nearest(to, WRITABLE)}; writable: {', '.join(WRITABLE)}"
        )
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


def _write(
    trace: Trace,
    writer: Any,
    output: Path,
    target: str,
    lossy: bool,
    progress: Callable[[int], None] | None,
) -> int:
    count = 0
    try:
        for records in trace.chunks(GROUP_RECORDS):
            if target != NATIVE and not lossy:
                _refuse_loss(trace, records, count, output, target)
            writer.write(records)
            count += len(records)
            if progress is not None:
                progress(count)
    finally:
        writer.close()
    return count


def _refuse_loss(trace: Trace, records: Records, start: int, output: Path, target: str) -> None:
    """Raise InputError if a field that the target does not keep says something."""
    lost = {
        name: np.flatnonzero(records[name] != empty)
        for name, (empty, _) in EMPTY.items()
        if name not in KEEPS[target]
    }
    found = {name: int(places[0]) for name, places in lost.items() if len(places)}
    if not found:
        return
    first = min(found.values())
    losses = ", ".join(EMPTY[name][1] for name in found)
    raise InputError(
        f"{output}: {target} cannot hold the {losses} of {trace.position(start + first)}; write .parquet, or ask for a lossy conversion"
    )
