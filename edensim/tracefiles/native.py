"""Read and write the native trace format: Parquet with the columns of REQUEST.

The metadata of the schema hold the version, the source kind and the origin. A Parquet file of
another tool is read too if its columns have these names: `address` must be there, and the other
columns default to a read without clock, gap, write-back and tensor.

pyarrow is imported inside the functions because that takes 0.2 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edensim.exceptions import TraceError, nearest
from edensim.tracefiles.formats import Lines, Records
from edensim.vocabulary import REQUEST, SourceKind

VERSION: Final = 1
VERSION_KEY: Final = b"edensim.trace.version"
KIND_KEY: Final = b"edensim.trace.kind"
ORIGIN_KEY: Final = b"edensim.trace.origin"
NAMES: Final[tuple[str, ...]] = REQUEST.names or ()
#: Least value, largest value and default of each column; a column without default must be there.
LIMITS: Final[dict[str, tuple[int, int, int | None]]] = {
    "address": (0, 1 << 62, None),
    "writeback": (-1, 1 << 62, -1),
    "clock": (0, 1 << 62, 0),
    "gap": (0, (1 << 31) - 1, 0),
    "tensor": (-1, (1 << 31) - 1, -1),
    "is_write": (0, 1, 0),
}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a ParquetFile, and turn what Arrow raises while it is open into a TraceError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TraceError(f"{path}: damaged or cut-off Parquet file: {reason}") from None


def kind_of(path: Path) -> SourceKind:
    """Read the source kind that a native trace names; it is saturating if the trace names none.

    Raises TraceError for a file that is no request trace.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        rows = file.metadata.num_rows
    _check_columns(path, schema)
    if not rows:
        raise TraceError(f"{path}: no request: the table has no rows")
    metadata = schema.metadata or {}
    version = metadata.get(VERSION_KEY, b"1").decode("latin-1")
    if version != str(VERSION):
        raise TraceError(
            f"{path}: found version {version!r} of the native trace format; expected version "
            f"{VERSION}, which this edensim reads"
        )
    kind = metadata.get(KIND_KEY, b"saturating").decode("latin-1")
    if kind.upper() not in SourceKind.__members__:
        names = [member.name.lower() for member in SourceKind]
        raise TraceError(
            f"{path}: unknown source kind {kind!r} in the metadata{nearest(kind, names)}; "
            f"expected one of {', '.join(names)}"
        )
    return SourceKind[kind.upper()]


def _check_columns(path: Path, schema: Any) -> None:
    import pyarrow as pa

    for name in schema.names:
        if name not in LIMITS:
            known = ", ".join(LIMITS)
            raise TraceError(
                f"{path}: unknown column {name!r}{nearest(name, LIMITS)}; expected {known}"
            )
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or (name == "is_write" and pa.types.is_boolean(kind))):
            raise TraceError(f"{path}: column {name!r} holds {kind}; expected integers")
    if "address" not in schema.names:
        raise TraceError(f"{path}: no column 'address'; found {', '.join(schema.names) or 'none'}")
    if len(set(schema.names)) < len(schema.names):
        raise TraceError(f"{path}: a column name occurs twice: {', '.join(schema.names)}")


def read(path: Path, records_per_chunk: int) -> Iterator[tuple[Records, Lines]]:
    """Yield the records of a native trace in batches; the arrays of line numbers are empty.

    Raises TraceError for damage, missing values and values out of range.
    """
    start = 0
    with _opened(path) as file:
        _check_columns(path, file.schema_arrow)
        for batch in file.iter_batches(batch_size=records_per_chunk, use_threads=False):
            records = np.empty(batch.num_rows, REQUEST)
            for name, (least, largest, default) in LIMITS.items():
                if name in batch.schema.names:
                    records[name] = _column(path, name, batch.column(name), start, least, largest)
                else:
                    records[name] = default
            start += len(records)
            yield records, np.empty(0, np.int64)


def _column(
    path: Path, name: str, column: Any, start: int, least: int, largest: int
) -> npt.NDArray[Any]:
    if column.null_count:
        record = start + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]) + 1
        raise TraceError(f"{path}: record {record}: column {name!r} is empty")
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    bad = (values < least) | (values > largest)
    if bad.any():
        index = int(np.argmax(bad))
        raise TraceError(
            f"{path}: record {start + index + 1}: {name} is {values[index]}; "
            f"expected {least} to {largest}"
        )
    return values


class NativeWriter:
    """Write chunks of records as row groups.

    Columns are stored as differences, compressed with zstd: neighbours in a trace are near each
    other.
    """

    def __init__(self, path: Path, kind: SourceKind, origin: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        metadata = {VERSION_KEY: str(VERSION), KIND_KEY: kind.name.lower(), ORIGIN_KEY: origin}
        fields = [
            pa.field(name, pa.from_numpy_dtype(REQUEST[name]), nullable=False) for name in NAMES
        ]
        self.schema = pa.schema(fields, metadata=metadata)
        encodings = dict.fromkeys(NAMES, "DELTA_BINARY_PACKED")
        self.writer = pq.ParquetWriter(
            path, self.schema, compression="zstd", use_dictionary=False, column_encoding=encodings
        )

    def write(self, records: Records) -> None:
        """Append one row group."""
        import pyarrow as pa

        columns = [pa.array(np.ascontiguousarray(records[name])) for name in NAMES]
        self.writer.write_table(
            pa.Table.from_arrays(columns, schema=self.schema), row_group_size=max(len(records), 1)
        )

    def close(self) -> None:
        """Complete the file."""
        self.writer.close()
