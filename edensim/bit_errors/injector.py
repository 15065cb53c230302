"""Flip bits of arrays that lie at physical addresses.

Each weak cell under the data fails, or not, in each access. What is flipped is a pure function of
seed, physical place, access and stored bit, so chunks, threads and the order of calls make no
difference.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.cells import CellTables, Geometry, cell_tables, scratch, shape_of
from edensim.bit_errors.models import ErrorModel
from edensim.exceptions import InputError
from edensim.kernels.cells import bit_flips as bits
from edensim.kernels.cells import weak_cells as core
from edensim.kernels.compile import BOUNDSCHECK

Bytes = NDArray[np.uint8]

#: Number of ones in each byte.
ONES_IN_BYTE: Final = np.array([byte.bit_count() for byte in range(256)], np.int64)
#: Bytes below which starting another thread does not pay.
THREAD_BYTES: Final = 1 << 20

_thread = threading.local()


@dataclass(frozen=True)
class Injector:
    """Error models placed in a memory, ready to flip bits; `injector` makes one.

    Attributes
    ----------
    models
        Error models by partition and class of lines, which `line_classes` of `flip` refers to.
    seed
        Decides where the weak cells are.
    tables
        The models as the kernels read them.
    """

    geometry: Geometry
    models: tuple[tuple[ErrorModel, ...], ...]
    seed: int
    tables: CellTables = field(repr=False)

    def flip(
        self,
        array: NDArray[Any],
        address: int = 0,
        *,
        access: int = 0,
        line_classes: Bytes | None = None,
        threads: int = 1,
    ) -> int:
        """Flip, in place, the bits of an array that fail when it is read.

        Parameters
        ----------
        array
            A contiguous, writable array of any dtype and shape.
        address
            Address of its first byte.
        access
            How often it was read before.
        line_classes
            Class of each line (64-byte access of the memory) that the array touches, in the order
            of addresses.
        threads
            Number of threads to use.

        Returns
        -------
        int
            Number of bits flipped.

        Raises
        ------
        InputError
            If the array is not contiguous or writable, or does not fit the memory.
        """
        data = bytes_of(array)
        self._check(data.size, address, access)
        if data.size == 0:
            return 0
        classes = self._line_classes(line_classes, data.size, address)
        if threads <= 1 or data.size < 2 * THREAD_BYTES:
            return self._flip(data, classes, address, access)
        cuts = self._cuts(data.size, address, threads)
        shift = self.geometry.access_bits
        pieces = [
            (
                data[first:last],
                classes[((address + first) >> shift) - (address >> shift) :]
                if classes.size
                else classes,
                address + first,
                access,
            )
            for first, last in zip(cuts[:-1], cuts[1:], strict=True)
        ]
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(lambda piece: self._flip(*piece), pieces))

    def flipped(
        self, array: NDArray[Any], address: int = 0, **options: Any
    ) -> tuple[NDArray[Any], int]:
        """Return a copy of an array in which `flip` flipped bits, and how many."""
        copied = np.array(array, order="C")
        return copied, self.flip(copied, address, **options)

    def _flip(self, data: Bytes, classes: Bytes, address: int, access: int) -> int:
        shape = self._shape.copy()
        shape[core.BASE], shape[core.ACCESS] = address, access
        arrays, pointers = _scratch(self.geometry, classes.size > 0)
        native = getattr(bits.flip_bits, "native", None)
        if native is not None and not BOUNDSCHECK:
            # What does not change from call to call is checked once: the check costs as much time
            # as 100 kB of data.
            return int(native(*_flat(data, classes, shape), *self._known, *pointers))
        with np.errstate(over="ignore"):  # the hash wraps, which only uncompiled Python reports
            return bits.flip_bits(data, classes, shape, *self._arrays, *arrays)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the pointers, since copies and other processes have the arrays elsewhere."""
        return {name: value for name, value in self.__dict__.items() if name != "_known"}

    @cached_property
    def _shape(self) -> NDArray[np.int64]:
        return shape_of(self.geometry, self.tables, seed=self.seed)

    @property
    def _arrays(self) -> tuple[Any, ...]:
        """Arguments of `bits.flip_bits` from `columns` to `poisson`."""
        geometry, tables = self.geometry, self.tables
        return (
            geometry.columns,
            geometry.origins,
            geometry.numbers,
            geometry.contributions,
            tables.partitions,
            tables.limits,
            tables.dense,
            tables.guide,
            tables.failures,
            tables.poisson,
        )

    @cached_property
    def _known(self) -> list[int]:
        return _flat(*self._arrays)

    def _check(self, size: int, address: int, access: int) -> None:
        capacity = self.geometry.mapping.capacity_bytes
        if address < 0 or address + size > capacity:
            raise InputError(
                f"address {address:#x}: {size} bytes from there do not fit the memory of "
                f"{capacity} "
                f"bytes (last byte at {capacity - 1:#x})"
            )
        if not 0 <= access < 1 << 62:
            raise InputError(f"access: expected a whole number from 0, found {access}")

    def _line_classes(self, given: Bytes | None, size: int, address: int) -> Bytes:
        shift = self.geometry.access_bits
        lines = ((address + size - 1) >> shift) - (address >> shift) + 1
        if self.tables.line_classes == 1:
            return np.zeros(0, np.uint8)
        if given is None:
            return np.zeros(lines, np.uint8)
        if given.shape != (lines,) or int(given.max()) >= self.tables.line_classes:
            raise InputError(
                f"classes of lines: expected {lines} numbers below {self.tables.line_classes}, "
                f"found {given.shape} up to {int(given.max(initial=0))}"
            )
        return np.ascontiguousarray(given, dtype=np.uint8)

    def _cuts(self, size: int, address: int, threads: int) -> list[int]:
        """Return where the pieces of the threads begin and end, which are whole windows."""
        window = self.geometry.window_bits
        ends = [
            ((address + size * part // threads) >> window << window) - address
            for part in range(1, threads)
        ]
        return sorted({0, size, *(end for end in ends if 0 < end < size)})


def injector(
    geometry: Geometry,
    models: ErrorModel | Sequence[ErrorModel | Sequence[ErrorModel]],
    *,
    seed: int = 1,
    rows: Mapping[int, Sequence[tuple[int, int]]] | None = None,
) -> Injector:
    """Make an injector of one model, one per partition, or one per partition and class of lines.

    `rows` says which rows belong to which partition, as in `cells.cell_tables`; None means that
    all are partition 0. The seed belongs to the module and decides where its weak cells are.
    """
    if isinstance(models, ErrorModel):
        models = [models]
    nested = tuple((each,) if isinstance(each, ErrorModel) else tuple(each) for each in models)
    distributions = [[model.distribution for model in partition] for partition in nested]
    tables = cell_tables(geometry, distributions, rows)
    return Injector(geometry, nested, seed, tables)


def bytes_of(array: NDArray[Any]) -> Bytes:
    """Return a view of an array as bytes; raise InputError if there is none."""
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise InputError(f"array: expected a numpy array of numbers, found {type(array).__name__}")
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise InputError(
            "array: expected a contiguous, writable array; numpy.ascontiguousarray makes one"
        )
    return array.reshape(-1).view(np.uint8)


def _flat(*arrays: NDArray[Any]) -> list[int]:
    """Return pointers and lengths, as compiled code takes arrays."""
    return [number for array in arrays for number in (array.ctypes.data, array.shape[0])]


def _scratch(geometry: Geometry, by_line: bool) -> tuple[tuple[Any, ...], list[int]]:
    """Return this thread's working arrays, and the same as compiled code takes them.

    There is room for rates only if lines have classes.
    """
    cache = _thread.__dict__.setdefault("scratch", {})
    key = (geometry.row_bits, by_line)
    if key not in cache:
        arrays = scratch(geometry, by_line)
        cache[key] = arrays, _flat(*arrays)
    result: tuple[tuple[Any, ...], list[int]] = cache[key]
    return result
