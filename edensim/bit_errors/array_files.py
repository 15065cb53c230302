"""Read arrays of .npy and .npz files, whose headers are checked before memory is allocated."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import EdensimError
from edensim.files import reading

#: Largest array that is read whole, in bytes (8 GiB).
ARRAY_BYTES: Final = 1 << 33
#: Bytes of an array that are read at once from an archive.
BLOCK_BYTES: Final = 1 << 24
_HEADERS: Final = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Header:
    """What the header of a .npy file says."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> Header:
    """Read the header of a .npy file; raise ValueError, or whatever numpy does, for a wrong one."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"expected version 1.0 or 2.0 of the .npy format, found {version}")
    shape, is_fortran, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("holds Python objects, which are not read; expected numbers")
    if any(not 0 <= extent < 1 << 62 for extent in shape) or len(shape) > 32:
        raise ValueError(f"expected at most 32 dimensions from 0, found the shape {shape}")
    return Header(shape, is_fortran, dtype)


def read_npy(
    path: Path, what: str, error: type[EdensimError], limit: int = ARRAY_BYTES
) -> NDArray[Any]:
    """Read the array of a .npy file, in C order.

    Raises `error` for what is no such file, and, before memory is allocated, for an array of more
    than `limit` bytes or of another size than its header says.
    """
    with reading(path, what, error), path.open("rb") as file:
        header = read_header(file)
        rest = path.stat().st_size - file.tell()
        if rest != header.size and path.is_file():
            raise error(
                f"{path}: {rest:,} bytes of values; its header says {header.shape} of "
                f"{header.dtype}, which are {header.size:,}"
            )
        if header.size > limit:
            raise error(f"{path}: {header.size:,} bytes; expected {what} of at most {limit:,}")
        values = np.empty(math.prod(header.shape), header.dtype)
        if header.size and file.readinto(values.view(np.uint8).data) != header.size:
            raise error(f"{path}: is cut short; expected {header.size:,} bytes of values")
    array = _shaped(values, header)
    return np.ascontiguousarray(array).reshape(array.shape)


def _shaped(values: NDArray[Any], header: Header) -> NDArray[Any]:
    if header.is_fortran:
        return values.reshape(header.shape[::-1]).T
    return values.reshape(header.shape)


class NpzFile:
    """An open .npz archive, whose arrays are read whole or in blocks; a context manager.

    Its methods raise `error`, which names the file, for what is damaged.
    """

    def __init__(self, path: Path, what: str, error: type[EdensimError]) -> None:
        self.path, self.what, self.error = path, what, error
        with reading(path, what, error):
            self._archive = zipfile.ZipFile(path)
        self.names = [
            name.removesuffix(".npy") for name in self._archive.namelist() if name.endswith(".npy")
        ]
        self._read: set[str] = set()
        size = sum(member.file_size for member in self._archive.infolist())
        if size > ARRAY_BYTES:
            self._archive.close()
            raise error(f"{path}: unpacks to {size:,} bytes; expected at most {ARRAY_BYTES:,}")

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def header(self, name: str) -> Header:
        """Return the header of an array, which the archive's directory agrees with."""
        with reading(self.path, self.what, self.error), self._archive.open(f"{name}.npy") as file:
            header = read_header(file)
            size = self._archive.getinfo(f"{name}.npy").file_size - file.tell()
        if size != header.size:
            raise self.error(
                f"{self.path}: {name}: {size:,} bytes of values; its header says {header.shape} of "
                f"{header.dtype}, which are {header.size:,}"
            )
        return header

    def array(self, name: str, limit: int) -> NDArray[Any]:
        """Read an array of at most `limit` bytes."""
        header = self.header(name)
        if header.size > limit:
            raise self.error(
                f"{self.path}: {name}: {header.size:,} bytes; expected at most {limit:,}"
            )
        values = np.concatenate([np.empty(0, header.dtype), *self._blocks(name, BLOCK_BYTES)])
        return _shaped(values, header)

    def blocks(self, name: str, width: int, limit: int) -> Iterator[NDArray[Any]]:
        """Yield the values of an array in C order, block by block, one-dimensional.

        Each block but the last has a multiple of `width` values, unless so many are more than
        BLOCK_BYTES. An array in Fortran order is read whole, and has at most `limit` bytes.
        """
        header = self.header(name)
        if header.is_fortran:
            yield self.array(name, limit).reshape(-1)
            return
        width *= header.dtype.itemsize
        yield from self._blocks(name, max(1, BLOCK_BYTES // width) * width)

    def check_rest(self) -> None:
        """Raise `error` if an array that was not read is damaged."""
        for name in set(self.names) - self._read:
            for _ in self._blocks(name, BLOCK_BYTES):
                pass

    def _blocks(self, name: str, size: int) -> Iterator[NDArray[Any]]:
        with reading(self.path, self.what, self.error), self._archive.open(f"{name}.npy") as file:
            header = read_header(file)
            self._read.add(name)
            item = max(1, header.dtype.itemsize)
            size = max(1, min(size, BLOCK_BYTES) // item) * item
            remaining = header.size
            while remaining:
                content = file.read(min(size, remaining))
                if len(content) < min(size, remaining):
                    raise self.error(f"{self.path}: {name}: is cut short")
                remaining -= len(content)
                yield np.frombuffer(content, header.dtype)
