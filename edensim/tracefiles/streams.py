"""Read the bytes of a trace file, plain or compressed.

The compression is recognised by the first bytes, never by the name.
"""

from __future__ import annotations

import io
import os
import stat
import zlib
from pathlib import Path
from typing import IO, Any, Final

from edensim.exceptions import TraceError

#: First bytes of each compression.
MAGIC: Final = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
#: Compressed bytes given to zstd at a time, at least and at most. Its output for one piece is kept
#: in memory: it is up to 40,000 times as long, so pieces only grow while the output is short.
LEAST_PIECE: Final = 64
LARGEST_PIECE: Final = 4096
SHORT_OUTPUT: Final = 1 << 19
#: First bytes of UTF-8 text from some editors, and of UTF-16 text.
UTF8_MARK: Final = b"\xef\xbb\xbf"
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


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
        self.piece = LEAST_PIECE

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
            self.pending = self.pending or self.file.read(self.piece)
            piece, self.pending = self.pending[: self.piece], self.pending[self.piece :]
            if not piece:
                if self.frame is not None:
                    raise EOFError
                return 0
            if self.frame is None:
                self.frame = self.context.decompressobj()
            self.output = memoryview(self.frame.decompress(piece))
            is_short = len(self.output) < SHORT_OUTPUT
            self.piece = min(2 * self.piece, LARGEST_PIECE) if is_short else LEAST_PIECE
            if self.frame.eof:
                self.pending = self.frame.unused_data + self.pending
                self.frame = None
        count = min(len(self.output), len(view))
        view[:count] = self.output[:count]
        self.output = self.output[count:]
        return count


class PrefixedReader(io.RawIOBase):
    """Read some first bytes and then the rest of a file that cannot go back, such as a pipe."""

    def __init__(self, first: bytes, file: IO[bytes]) -> None:
        self.first = first
        self.file: Any = file

    def readable(self) -> bool:
        """Tell that this stream can be read."""
        return True

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()

    def readinto(self, target: Any) -> int:
        """Fill a buffer in part or in whole; 0 bytes mean the end."""
        view = memoryview(target)
        if not self.first:
            return int(self.file.readinto(view) or 0)
        count = min(len(self.first), len(view))
        view[:count], self.first = self.first[:count], self.first[count:]
        return count


def opened(source: Path | Stream) -> Stream:
    """Open a file, or take the stream of a pipe that is open already.

    Raises TraceError as `Stream` does, and for a pipe that has been read before.
    """
    if isinstance(source, Path):
        return Stream(source)
    if source.is_taken:
        raise TraceError(
            f"{source.name}: a pipe can be read only once, but this run reads its trace again; "
            "expected a file"
        )
    source.is_taken = True
    return source


class Stream:
    """An open trace file as a context manager, whose method `fill` gives its decompressed bytes.

    A pipe can be read once, from its start; `unread` gives back what was read to recognise it.
    Memory use does not depend on how far the data are compressed. Raises TraceError for a file that
    is missing, no file, unreadable, damaged or cut off.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.delivered = 0
        self.problem: TraceError | None = None
        self.returned = b""
        self.is_taken = False
        try:
            self.raw: Any = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
            self.is_file = stat.S_ISREG(os.fstat(self.raw.fileno()).st_mode)
            magic = self.raw.read(8)
            while not self.is_file and 0 < len(magic) < 8 and (more := self.raw.read(1)):
                magic += more
            if self.is_file:
                self.raw.seek(0)
            else:
                self.raw = PrefixedReader(magic, self.raw)
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
        if self.returned:
            count = min(len(self.returned), len(view))
            view[:count], self.returned = self.returned[:count], self.returned[count:]
            return count + (0 if self.problem else self._read(view[count:]))
        self._raise_problem()
        is_start = not self.delivered
        count = self._read(view)
        if is_start and bytes(view[:2]) in UTF16_MARKS and count >= 2:
            raise TraceError(f"{self.name}: the text is UTF-16; expected ASCII or UTF-8")
        if is_start and count >= 3 and bytes(view[:3]) == UTF8_MARK:
            view[: count - 3] = bytes(view[3:count])
            count -= 3
            count += 0 if self.problem else self._read(view[count:])
        if not count:
            self._raise_problem()
        return count

    def _raise_problem(self) -> None:
        if self.problem is not None:
            raise self.problem

    def unread(self, head: bytes) -> None:
        """Give back what has been read, so that it is read again."""
        self.returned = head + self.returned

    def _read(self, view: memoryview) -> int:
        """Fill a buffer with decompressed bytes; the first problem is kept."""
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
        return count


def _damage(compression: str | None) -> tuple[type[Exception], ...]:
    """List what reading may raise besides EOFError; the module of the codec is imported by now."""
    if compression == "xz":
        import lzma

        return OSError, MemoryError, lzma.LZMAError
    if compression == "zstd":
        import zstandard

        return OSError, MemoryError, zstandard.ZstdError
    return OSError, MemoryError, zlib.error
