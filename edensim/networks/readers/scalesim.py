"""Read SCALE-Sim's topologies: CSV with a convolution or a matrix product in each row.

Columns go by their names; columns that are not known are refused. A topology does not say which
layer reads what another wrote.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from edensim.exceptions import NetworkError, nearest
from edensim.networks.builder import NetworkBuilder
from edensim.networks.network import Network
from edensim.networks.readers.cfg import read_text

#: The columns of a convolution and of a matrix product that every layer needs.
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

_IFM, _FILTER = "ifmap ifm input in if i".split(), "filter kernel weight f k".split()
_HEIGHT, _WIDTH = "height h y rows".split(), "width w x columns cols".split()

#: Spellings of each column, in small letters and without anything between words.
SPELLINGS = {
    "IFMAP height": [thing + extent for thing in _IFM for extent in _HEIGHT],
    "IFMAP width": [thing + extent for thing in _IFM for extent in _WIDTH],
    "filter height": [thing + extent for thing in _FILTER for extent in _HEIGHT],
    "filter width": [thing + extent for thing in _FILTER for extent in _WIDTH],
    "channels": "channels channel numchannels numchannel numberofchannels inputchannels "
    "inchannels ifmapchannels cin c".split(),
    "number of filters": "numfilter numfilters numberoffilters numoffilters nooffilters filters "
    "filter outputchannels outchannels ofmapchannels cout".split(),
    "stride": ["stride", "strides"],
    "stride height": [word + extent for word in ("stride", "strides", "s") for extent in _HEIGHT],
    "stride width": [word + extent for word in ("stride", "strides", "s") for extent in _WIDTH],
    "padding": ["padding", "paddings", "pad", "pads"],
    "padding height": [word + extent for word in ("padding", "pad", "p") for extent in _HEIGHT],
    "padding width": [word + extent for word in ("padding", "pad", "p") for extent in _WIDTH],
    "dilation": ["dilation", "dilations", "dilationrate"],
    "groups": ["groups", "group", "numgroups", "numberofgroups"],
    "batch size": ["batchsize", "batch", "batches", "numbatch", "numbatches"],
    "sparsity": ["sparsity", "sparsityratio", "sparsityn:m"],
    "M": ["m"],
    "N": ["n"],
    "K": ["k"],
}
COLUMNS = {spelling: column for column, spellings in SPELLINGS.items() for spelling in spellings}

#: Columns of a convolution that may be missing, and the least number that each may have.
OPTIONAL = {
    "stride height": 1,
    "stride width": 1,
    "padding": 0,
    "padding height": 0,
    "padding width": 0,
    "dilation": 1,
    "groups": 1,
    "batch size": 1,
}

#: The mark in the name of a depthwise layer, each of whose channels has filters of its own.
DEPTHWISE = "DP"


@dataclass(frozen=True)
class Row:
    """The row of a layer: its numbers by their column."""

    where: str
    name: str
    numbers: dict[str, int]

    def pair(self, what: str, default: int) -> tuple[int, int]:
        """Return the (vertical, horizontal) numbers that one column or two give."""
        both = self.numbers.get(what, self.numbers.get(f"{what} height", default))
        return (
            self.numbers.get(f"{what} height", both),
            self.numbers.get(f"{what} width", both),
        )


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
                builder.linear(name, ifm, row.numbers["N"], bias=False)
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
    (line, header), *rest = read_table(path)
    where = f"{path}:{line}"
    expected = f"Layer name, {', '.join(CONVOLUTION)} (or Layer, {', '.join(PRODUCT)})"
    if any(field.isdecimal() for field in header[1:]):
        raise NetworkError(
            f"{where}: found a layer ({', '.join(header)[:60]!r}); expected a header: {expected}"
        )
    if any("intraline" in field.lower() for field in header):
        raise NetworkError(
            f"{where}: is a layout file of SCALE-Sim, which says where elements lie; "
            "expected a topology"
        )
    columns = [COLUMNS.get(spelling(field)) for field in header]
    known = {column for column in columns[1:] if column}
    if "stride" not in known and "stride height" in known:
        known.add("stride")
    product = known >= set(PRODUCT)
    if columns[0] or not (product or known >= set(CONVOLUTION)):
        raise NetworkError(
            f"{where}: found {', '.join(header)[:80]!r}; expected the columns {expected}"
        )
    allowed = {*PRODUCT, "batch size", "sparsity"} if product else {*known} - {*PRODUCT}
    for field, column in zip(header[1:], columns[1:], strict=True):
        if column and columns.count(column) > 1:
            raise NetworkError(f"{where}: has two columns for {column}; expected one")
        if field and column not in allowed:
            raise NetworkError(
                f"{where}: column {field!r} is not known{nearest(field, SPELLINGS)}; "
                f"expected {', '.join(SPELLINGS)}"
            )
    return product, [read_row(f"{path}:{number}", fields, columns) for number, fields in rest]


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Read the fields of each line that has some, without comments, and the line's number."""
    lines = [
        "" if line.lstrip().startswith(("#", "//")) else line
        for line in read_text(path).splitlines()
    ]
    heading = next(filter(str.strip, lines), "")
    delimiter = next((mark for mark in ",;\t" if mark in heading), ",")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        table = [
            (reader.line_num, [field.strip() for field in fields])
            for fields in reader
            if any(map(str.strip, fields))
        ]
    except csv.Error as exception:
        raise NetworkError(
            f"{path}:{reader.line_num}: cannot be read as CSV: {exception}"
        ) from None
    for _, fields in table[1:]:
        comment = next((at for at, field in enumerate(fields) if field.startswith("#")), None)
        del fields[len(fields) if comment is None else comment :]
    if not table:
        raise NetworkError(f"{path}: has no lines but comments; expected a header and layers")
    return table


def spelling(field: str) -> str:
    """Write the heading of a column in small letters, without anything between words."""
    return "".join(letter for letter in field.lower() if letter.isalnum() or letter == ":")


def read_row(where: str, fields: list[str], columns: list[str | None]) -> Row:
    """Read a row and check its numbers."""
    texts = {
        column: text
        for column, text in zip(columns[1:], fields[1:], strict=False)
        if column and text
    }
    needed = [column for column in columns[1:] if column and column != "sparsity"]
    surplus = [text for text in fields[len(columns) :] if text]
    surplus += [
        text
        for column, text in zip(columns[1:], fields[1:], strict=False)
        if column is None and text
    ]
    if not fields[0] or surplus or any(column not in texts for column in needed):
        filled = sum(1 for field in fields if field)
        expected = [column for column in columns if column]
        raise NetworkError(
            f"{where}: found {filled} fields; "
            f"expected {len(expected) + 1}: Layer name, {', '.join(expected)}"
        )
    ratio = texts.pop("sparsity", "1:1")
    if ratio.replace(" ", "") != "1:1":
        raise NetworkError(
            f"{where}: sparsity: found {ratio!r}; expected 1:1 (sparse weights cannot be simulated)"
        )
    return Row(
        where, fields[0], {column: number(where, column, text) for column, text in texts.items()}
    )


def number(where: str, column: str, text: str) -> int:
    """Read the number of a column."""
    least = OPTIONAL.get(column, 1)
    if not text.isascii() or not text.isdecimal() or not least <= int(text[:12]) < 2**31:
        raise NetworkError(
            f"{where}: {column}: found {text[:40]!r}; "
            f"expected a whole number from {least} to 2147483647"
        )
    return int(text)


def ifm_shape(row: Row, batch: int, product: bool) -> tuple[int, ...]:
    """Return the shape of a layer's ifm; rows of a product are positions of one input."""
    numbers = row.numbers
    batch *= numbers.get("batch size", 1)
    if product:
        return (batch, numbers["M"], numbers["K"])
    return (batch, numbers["channels"], numbers["IFMAP height"], numbers["IFMAP width"])


def unique(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it if it is taken."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(candidate for candidate in chain((name,), numbered) if candidate not in taken)


def add_convolution(builder: NetworkBuilder, name: str, ifm: str, row: Row) -> None:
    """Add the convolution of a row."""
    numbers = row.numbers
    filters, groups = numbers["number of filters"], numbers.get("groups", 1)
    if DEPTHWISE in row.name and groups == 1:
        groups = numbers["channels"]
        filters *= groups
    builder.convolution(
        name,
        ifm,
        filters,
        (numbers["filter height"], numbers["filter width"]),
        stride=row.pair("stride", 1),
        padding=row.pair("padding", 0),
        dilation=numbers.get("dilation", 1),
        groups=groups,
        bias=False,
    )
