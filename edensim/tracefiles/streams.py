"""Read the bytes of a trace file, plain or compressed.

The compression is recognised by the first bytes, never by the name.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import IO, Any, Final

from edensim.exceptions import TraceError

#: First bytes of each compression.
MAGIC: Final = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
#: Compressed bytes given to zstd at a time. Its output for one piece is kept in memory.
PIECE: Final = 4096


class CutOffError(TraceError):
    """Compressed data end before their end mark."""


class ZstdReader(io.RawIOBase):
    """Decompress a zstd file, frame after frame.

    The reader of the package zstandard takes a file that is cut off for a complete one.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self.file = file
        self.context = zstandard.ZstdDecompressor()
        self.frame: Any = None
        self.output = memoryview(b"")
        self.pending = b""

    def readable(self) -> bool:
        """Tell that this stream can be read."""
        return True

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()

    def readinto(self, target: Any) -> int:
        """Fill a buffer in part or in whole; 0 bytes mean the end. Raises EOFError for a cut."""
        view = memoryview(target)
        while not self.output:
            piece = self.pending or self.file.read(PIECE)
            self.pending = b""
            if not piece:
                if self.frame is not None:
                    raise EOFError
                return 0
            if self.frame is None:
                self.frame = self.context.decompressobj()
            self.output = memoryview(self.frame.decompress(piece))
            if self.frame.eof:
                self.pending = self.frame.unused_data
                self.frame = None
        count = min(len(self.output), len(view))
        view[:count] = self.output[:count]
        self.output = self.output[count:]
        return count


class Stream:
    """An open trace file as a context manager, whose method `fill` gives its decompressed bytes.

    Raises TraceError for a file that is missing, no file, unreadable, damaged or cut off.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.delivered = 0
        self.problem: TraceError | None = None
        try:
            self.raw: IO[bytes] = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
            magic = self.raw.read(8)
            self.raw.seek(0)
        except FileNotFoundError:
            raise TraceError(f"{path}: no such file") from None
        except IsADirectoryError:
            raise TraceError(f"{path}: is a directory; expected a trace file") from None
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
        self.compression = next(
            (name for name, start in MAGIC.items() if magic.startswith(start)), None
        )
        self.bytes: Any = self._decompressed()

    def _decompressed(self) -> Any:
        if self.compression == "gzip":
            import gzip

            return gzip.GzipFile(fileobj=self.raw)
        if self.compression == "xz":
            import lzma

            return lzma.LZMAFile(self.raw)
        if self.compression == "zstd":
            return ZstdReader(self.raw)
        return self.raw

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes.close()
        self.raw.close()

    def fill(self, view: memoryview) -> int:
        """Fill a buffer and return the number of bytes.

        There are fewer bytes than the buffer holds only at the end of the file, or before damage,
        which is then raised by the next call.
        """
        if self.problem is not None:
            raise self.problem
        count = 0
        # The decompressor takes one step at a time, so that what comes before a cut is delivered.
        step = self.bytes.read1 if self.compression in ("gzip", "xz") else None
        try:
            while count < len(view):
                if step is None:
                    size = self.bytes.readinto(view[count:])
                else:
                    piece = step(len(view) - count)
                    size = len(piece)
                    view[count : count + size] = piece
                if not size:
                    break
                count += size
                self.delivered += size
        except EOFError:
            self.problem = CutOffError(
                f"{self.name}: cut off: the {self.compression} data end early, after "
                f"{self.delivered} bytes of text"
            )
        except _damage(self.compression) as error:
            codec = f" of text (damaged {self.compression} data)" if self.compression else ""
            self.problem = TraceError(
                f"{self.name}: cannot be read after {self.delivered} bytes{codec}: {error}"
            )
        if self.problem is not None and not count:
            raise self.problem
        return count


def _damage(compression: str | None) -> tuple[type[Exception], ...]:
    """List what reading may raise besides EOFError; the module of the codec is imported by now."""
    if compression == "xz":
        import lzma

        return OSError, lzma.LZMAError
    if compression == "zstd":
        import zstandard

        return OSError, zstandard.ZstdError
    return OSError, zlib.error
