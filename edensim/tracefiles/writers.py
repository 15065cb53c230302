"""Write records as trace lines, one function per text format, plain or compressed by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edensim.tracefiles.formats import Records


def load_store(records: Records) -> str:
    """Make lines such as `LD 0x40`."""
    rows = _rows(records, "address", "is_write")
    return "".join([f"{'ST' if write else 'LD'} 0x{address:x}\n" for address, write in rows])


def ramulator1(records: Records) -> str:
    """Make lines such as `0x40 R`."""
    rows = _rows(records, "address", "is_write")
    return "".join([f"0x{address:x} {'W' if write else 'R'}\n" for address, write in rows])


def core(records: Records) -> str:
    """Make lines such as `3 64` or, with a write-back, `3 64 128`."""
    rows = _rows(records, "gap", "address", "writeback")
    return "".join(
        [
            f"{gap} {address}\n" if writeback < 0 else f"{gap} {address} {writeback}\n"
            for gap, address, writeback in rows
        ]
    )


def dramsim3(records: Records) -> str:
    """Make lines such as `0x40 READ 160`."""
    rows = _rows(records, "address", "is_write", "clock")
    return "".join(
        [
            f"0x{address:X} {'WRITE' if write else 'READ'} {clock}\n"
            for address, write, clock in rows
        ]
    )


def stl(records: Records) -> str:
    """Make lines such as `160:<tab>read<tab>0x40`."""
    rows = _rows(records, "address", "is_write", "clock")
    return "".join(
        [
            f"{clock}:\t{'write' if write else 'read'}\t0x{address:x}\n"
            for address, write, clock in rows
        ]
    )


def _rows(records: Records, *names: str) -> Any:
    return zip(*(records[name].tolist() for name in names), strict=True)


#: The fields that each text format keeps of a record besides the address.
KEEPS: Final[dict[str, frozenset[str]]] = {
    "ramulator-ls": frozenset({"is_write"}),
    "ramulator1": frozenset({"is_write"}),
    "ramulator-core": frozenset({"gap", "writeback"}),
    "dramsim3": frozenset({"is_write", "clock"}),
    "dramsys-stl": frozenset({"is_write", "clock"}),
}
LINES: Final[dict[str, Callable[[Records], str]]] = {
    "ramulator-ls": load_store,
    "ramulator1": ramulator1,
    "ramulator-core": core,
    "dramsim3": dramsim3,
    "dramsys-stl": stl,
}


class TextWriter:
    """Write chunks of records as lines of one format into a file, compressed as `suffix` says."""

    def __init__(self, path: Path, form: str, suffix: str) -> None:
        self.lines = LINES[form]
        self.file = compressed(path, suffix)

    def write(self, records: Records) -> None:
        """Append the lines of these records."""
        self.file.write(self.lines(records).encode("ascii"))

    def close(self) -> None:
        """Complete the file."""
        self.file.close()


class GzipWriter:
    """Write a gzip file without name and time in its header, so that a trace has one form."""

    def __init__(self, path: Path) -> None:
        import gzip

        self.raw = open(path, "wb")
        self.packed = gzip.GzipFile(filename="", mode="wb", fileobj=self.raw, mtime=0)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self.packed.write(data)

    def close(self) -> None:
        """Complete the file."""
        self.packed.close()
        self.raw.close()


def compressed(path: Path, suffix: str) -> Any:
    """Open a file for writing bytes, which are compressed if the suffix is .gz, .xz or .zst."""
    if suffix == ".gz":
        return GzipWriter(path)
    if suffix == ".xz":
        import lzma

        return lzma.LZMAFile(path, "wb")
    if suffix == ".zst":
        import zstandard

        return zstandard.open(path, "wb")
    return open(path, "wb")
