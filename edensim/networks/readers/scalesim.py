"""SCALE-Sim's topologies: CSV, one convolution (or matrix product) a row, without padding and without a word on what reads what."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from edensim.exceptions import NetworkError
from edensim.networks.builder import NetworkBuilder
from edensim.networks.network import Network
from edensim.networks.readers.cfg import read_text

#: Columns behind the layer's name, of convolutions (one stride or two) and of matrix products.
CONVOLUTION = (
    "IFMAP height",
    "IFMAP width",
    "filter height",
    "filter width",
    "channels",
    "number of filters",
    "stride",
)
PRODUCT = ("M", "N", "K")

#: Depthwise layers are marked so in their names: every channel has filters of its own.
DEPTHWISE = "DP"


@dataclass(frozen=True)
class Row:
    """One layer's row, stripped of blanks; `extra` by name of column: what comes behind the columns that every topology has."""

    where: str
    name: str
    numbers: tuple[int, ...]
    extra: dict[str, str]


def read_topology(
    path: Path,
    *,
    batch: int = 1,
    height: int | None = None,
    width: int | None = None,
    channels: int | None = None,
) -> Network:
    """The layers of a topology, each with features of its own (`<layer>.ifm`, `<layer>`). Raises NetworkError with file and line.

    batch: inputs of one pass. Sizes cannot be set: every row states its own.
    """
    for what, value in (("height", height), ("width", width), ("channels", channels)):
        if value is not None:
            raise NetworkError(
                f"{path}: {what} = {value}: a topology states the size of each layer; it cannot be set"
            )
    product, rows = read_rows(path)
    builder: NetworkBuilder | None = None
    names: set[str] = set()
    for row in rows:
        name = unique(row.name, names)
        names.add(name)
        shape = product_shape(row, batch) if product else convolution_shape(row, batch)
        if builder is None:
            builder = NetworkBuilder(path.stem, shape, input_name=f"{name}.ifm")
            ifm = builder.input
        else:
            ifm = builder.further_input(f"{name}.ifm", shape)
        try:
            add_product(builder, name, ifm, row) if product else add_convolution(
                builder, name, ifm, row
            )
        except NetworkError as exception:
            raise NetworkError(
                f"{row.where}: {str(exception).removeprefix(f'{path.stem}: ')}"
            ) from None
    if builder is None:
        raise NetworkError(f"{path}: has a header and no layers")
    return builder.build()


def read_rows(path: Path) -> tuple[bool, list[Row]]:
    """Whether rows are matrix products, and the rows."""
    lines = read_text(path).splitlines()
    delimiter = "\t" if "\t" in lines[0] and "," not in lines[0] else ","
    try:
        table = [
            [field.strip() for field in fields]
            for fields in csv.reader(lines, delimiter=delimiter, strict=True)
        ]
    except csv.Error as exception:
        raise NetworkError(f"{path}: cannot be read as CSV: {exception}") from None
    header = table[0]
    if any(field.isdecimal() for field in header[1:]):
        raise NetworkError(
            f"{path}:1: found a layer ({', '.join(header)[:60]!r}); expected a header: Layer name, {', '.join(CONVOLUTION)}"
        )
    product = tuple(field.upper() for field in header[1:4]) == PRODUCT
    columns = PRODUCT if product else CONVOLUTION
    if len([field for field in header if field]) <= len(columns):
        expected = f"Layer name, {', '.join(CONVOLUTION)} (or Layer, {', '.join(PRODUCT)})"
        raise NetworkError(
            f"{path}:1: found {', '.join(header)[:80]!r}; expected the columns {expected}"
        )
    rows = []
    for line, fields in enumerate(table[1:], 2):
        if any(fields):
            rows.append(read_row(f"{path}:{line}", fields, columns, header))
    return product, rows


def read_row(where: str, fields: list[str], columns: tuple[str, ...], header: list[str]) -> Row:
    """One row, its numbers checked."""
    if len(fields) <= len(columns) or not all(fields[: len(columns) + 1]):
        found = sum(1 for field in fields if field)
        raise NetworkError(
            f"{where}: found {found} fields; expected {len(columns) + 1}: Layer name, {', '.join(columns)}"
        )
    numbers = []
    for column, text in zip(columns, fields[1:], strict=False):
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:12]) < 2**31:
            raise NetworkError(
                f"{where}: {column}: found {text[:40]!r}; expected a whole number from 1 to 2147483647"
            )
        numbers.append(int(text))
    extra = {
        column.lower(): text
        for column, text in zip(
            header[len(columns) + 1 :], fields[len(columns) + 1 :], strict=False
        )
        if column and text
    }
    ratio = extra.get("sparsity", "1:1")
    if ratio.replace(" ", "") != "1:1":
        raise NetworkError(
            f"{where}: sparsity: found {ratio!r}; expected 1:1 (sparse weights cannot be simulated)"
        )
    return Row(where, fields[0], tuple(numbers), extra)


def convolution_shape(row: Row, batch: int) -> tuple[int, ...]:
    """Shape of a convolution's ifm."""
    height, width, _, _, channels, *_ = row.numbers
    return (batch, channels, height, width)


def unique(name: str, taken: set[str]) -> str:
    """The name, or with a number behind it where it is taken."""
    return (
        name
        if name not in taken
        else next(each for number in count(2) if (each := f"{name}_{number}") not in taken)
    )


def product_shape(row: Row, batch: int) -> tuple[int, ...]:
    """Shape of a matrix product's ifm: rows of the product are positions of one input."""
    rows, _, depth = row.numbers
    return (batch, rows, depth)


def add_convolution(builder: NetworkBuilder, name: str, ifm: str, row: Row) -> None:
    """The row's convolution."""
    _, _, filter_height, filter_width, channels, filters, stride = row.numbers
    across = row.extra.get("stride width", str(stride))
    if not across.isdecimal() or int(across) < 1:
        raise NetworkError(f"stride width: found {across!r}; expected a whole number from 1 on")
    groups = channels if DEPTHWISE in row.name else 1
    builder.convolution(
        name,
        ifm,
        filters * groups,
        (filter_height, filter_width),
        stride=(stride, int(across)),
        groups=groups,
        bias=False,
    )


def add_product(builder: NetworkBuilder, name: str, ifm: str, row: Row) -> None:
    """The row's matrix product."""
    builder.linear(name, ifm, row.numbers[1], bias=False)
