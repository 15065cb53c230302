"""Read SCALE-Sim's topologies: CSV with a convolution or a matrix product in each row.

A topology knows no padding, and does not say which layer reads what another wrote.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from edensim.exceptions import NetworkError
from edensim.networks.builder import NetworkBuilder
from edensim.networks.network import Network
from edensim.networks.readers.cfg import read_text

#: The columns behind the name of a layer.
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

#: The mark in the name of a depthwise layer, each of whose channels has filters of its own.
DEPTHWISE = "DP"


@dataclass(frozen=True)
class Row:
    """The row of a layer; `extra` are the columns that not every topology has, by their names."""

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
    """Read the layers of a topology, each with features of its own (`<layer>.ifm`, `<layer>`).

    Raises
    ------
    NetworkError
        If a row cannot be read, with its line; or if a size is given, since every row has its own.
    """
    for what, value in (("height", height), ("width", width), ("channels", channels)):
        if value is not None:
            raise NetworkError(
                f"{path}: {what} = {value}: a topology states the size of each layer; "
                "it cannot be set"
            )
    product, rows = read_rows(path)
    builder: NetworkBuilder | None = None
    names: set[str] = set()
    for row in rows:
        name = unique(row.name, names)
        names.add(name)
        shape = ifm_shape(row, batch, product)
        if builder is None:
            builder = NetworkBuilder(path.stem, shape, input_name=f"{name}.ifm")
            ifm = builder.input
        else:
            ifm = builder.further_input(f"{name}.ifm", shape)
        try:
            if product:
                builder.linear(name, ifm, row.numbers[1], bias=False)
            else:
                add_convolution(builder, name, ifm, row)
        except NetworkError as exception:
            raise NetworkError(
                f"{row.where}: {str(exception).removeprefix(f'{path.stem}: ')}"
            ) from None
    if builder is None:
        raise NetworkError(f"{path}: has a header and no layers")
    return builder.build()


def read_rows(path: Path) -> tuple[bool, list[Row]]:
    """Read the rows, and whether they are matrix products."""
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
            f"{path}:1: found a layer ({', '.join(header)[:60]!r}); "
            f"expected a header: Layer name, {', '.join(CONVOLUTION)}"
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
    """Read a row and check its numbers."""
    if len(fields) <= len(columns) or not all(fields[: len(columns) + 1]):
        filled = sum(1 for field in fields if field)
        raise NetworkError(
            f"{where}: found {filled} fields; "
            f"expected {len(columns) + 1}: Layer name, {', '.join(columns)}"
        )
    numbers = []
    for column, text in zip(columns, fields[1:], strict=False):
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:12]) < 2**31:
            raise NetworkError(
                f"{where}: {column}: found {text[:40]!r}; "
                "expected a whole number from 1 to 2147483647"
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


def ifm_shape(row: Row, batch: int, product: bool) -> tuple[int, ...]:
    """Return the shape of a layer's ifm; rows of a product are positions of one input."""
    if product:
        rows, _, depth = row.numbers
        return (batch, rows, depth)
    height, width, _, _, channels, *_ = row.numbers
    return (batch, channels, height, width)


def unique(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it if it is taken."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(candidate for candidate in chain((name,), numbered) if candidate not in taken)


def add_convolution(builder: NetworkBuilder, name: str, ifm: str, row: Row) -> None:
    """Add the convolution of a row."""
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
