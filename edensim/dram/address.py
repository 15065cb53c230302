"""Which channel, rank, bank group, bank, row and column a byte address lies in, and back.

A mapping is a list of slices, each of which says which bits of the address are which bits of a
field. MOP4CLXOR also XORs fields with bits of the column. If the number of channels is no power of
two, its odd factor comes first: successive blocks of 256 bytes go to that many ways in turn, as on
GPUs with 6 or 12 channels, and the bits address what each way holds. Columns count accesses (64
bytes on a 64-bit bus with bursts of 8), so the lowest bits of an address lie inside one access and
address nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edensim.exceptions import ConfigError, InputError, nearest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edensim.dram.standard import Organization

#: Fields of an address in the order of the hierarchy.
FIELDS = ("channel", "rank", "bankgroup", "bank", "row", "column")

#: Letters of a bit string.
LETTERS: Mapping[str, str] = {
    "R": "row",
    "B": "bank",
    "G": "bankgroup",
    "K": "rank",
    "C": "column",
    "H": "channel",
}

#: Named mappings as pairs of field and number of bits, from the least significant bit above the
#: access upwards. None stands for all bits of the field that are left.
NAMED: Mapping[str, tuple[tuple[str, int | None], ...]] = {
    name: tuple(
        (field, int(bits) if bits else None)
        for field, _, bits in (part.partition(":") for part in order)
    )
    for name, order in {
        "RoBaRaCoCh": ("channel", "column", "rank", "bankgroup", "bank", "row"),
        "RoBaRaCoBgCh": ("channel", "bankgroup", "column", "rank", "bank", "row"),
        "RoBaRaCoBgChCo": ("column:3", "channel", "bankgroup", "column", "rank", "bank", "row"),
        "ChRaBaRoCo": ("column", "row", "bank", "bankgroup", "rank", "channel"),
        "MOP4CLXOR": ("channel", "column:2", "rank", "bankgroup", "bank", "column", "row"),
    }.items()
}

#: Fields that are XORed, in this order, with successive bits of the column from its lowest.
XORED: Mapping[str, tuple[str, ...]] = {"MOP4CLXOR": ("rank", "bankgroup", "bank", "row")}


#: Address bits within a block that stays in one way.
WAY_BITS = 8


@dataclass(frozen=True, slots=True)
class Slice:
    """`width` bits of the address from `address_bit` on: a field's bits from `field_bit` on."""

    field: str
    address_bit: int
    width: int
    field_bit: int


@dataclass(frozen=True, slots=True)
class Xor:
    """The lowest `width` bits of a field, XORed with those of the column from `source_bit` on."""

    field: str
    source_bit: int
    width: int


@dataclass(frozen=True, slots=True)
class AddressMap:
    """An address mapping for one organization and number of channels.

    Attributes
    ----------
    capacity_bytes
        Capacity of all channels.
    slices, xors
        What the bits of an address within one way mean.
    ways
        The odd factor of the number of channels.
    """

    mapping: str
    access_bytes: int
    capacity_bytes: int
    slices: tuple[Slice, ...]
    xors: tuple[Xor, ...]
    ways: int = 1

    @property
    def offset_bits(self) -> int:
        """Number of the lowest address bits, which lie inside one access."""
        return self.access_bytes.bit_length() - 1

    def decode(self, addresses: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
        """Return the fields of byte addresses, by the names in FIELDS.

        Raises InputError for an address outside the memory.
        """
        import numpy as np

        addresses = np.asarray(addresses, dtype=np.int64)
        outside = (addresses < 0) | (addresses >= self.capacity_bytes)
        if outside.any():
            worst = int(addresses[outside].flat[0])
            raise InputError(
                f"address {worst:#x} is outside the memory of {self.capacity_bytes} bytes "
                f"(last byte at {self.capacity_bytes - 1:#x})"
            )
        fields = {field: np.zeros(addresses.shape, dtype=np.int64) for field in FIELDS}
        blocks, way = np.divmod(addresses >> WAY_BITS, self.ways)
        addresses = (blocks << WAY_BITS) | (addresses & ((1 << WAY_BITS) - 1))
        for part in self.slices:
            fields[part.field] |= (
                (addresses >> part.address_bit) & ((1 << part.width) - 1)
            ) << part.field_bit
        fields = self._exclusive_or(fields)
        fields["channel"] = fields["channel"] * self.ways + way
        return fields

    def encode(
        self,
        channel: npt.ArrayLike,
        rank: npt.ArrayLike,
        bankgroup: npt.ArrayLike,
        bank: npt.ArrayLike,
        row: npt.ArrayLike,
        column: npt.ArrayLike,
    ) -> npt.NDArray[np.int64]:
        """Return the address of the first byte of an access; this undoes `decode`.

        Raises InputError for a field that is out of range.
        """
        import numpy as np

        values = dict(
            zip(
                FIELDS,
                np.broadcast_arrays(channel, rank, bankgroup, bank, row, column),
                strict=True,
            )
        )
        fields = {field: np.array(value, dtype=np.int64) for field, value in values.items()}
        for field, value in fields.items():
            size = 1 << sum(part.width for part in self.slices if part.field == field)
            size *= self.ways if field == "channel" else 1
            outside = value[(value < 0) | (value >= size)]
            if outside.size:
                raise InputError(
                    f"{field} {int(outside.flat[0])} is out of range; expected 0 to {size - 1}"
                )
        fields["channel"], way = np.divmod(fields["channel"], self.ways)
        fields = self._exclusive_or(fields)
        addresses = np.zeros(fields["row"].shape, dtype=np.int64)
        for part in self.slices:
            addresses |= (
                (fields[part.field] >> part.field_bit) & ((1 << part.width) - 1)
            ) << part.address_bit
        return (((addresses >> WAY_BITS) * self.ways + way) << WAY_BITS) | (
            addresses & ((1 << WAY_BITS) - 1)
        )

    def _exclusive_or(
        self, fields: dict[str, npt.NDArray[np.int64]]
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Apply the XORs; doing so twice changes nothing, since the column stays as it is."""
        for xor in self.xors:
            fields[xor.field] ^= (fields["column"] >> xor.source_bit) & ((1 << xor.width) - 1)
        return fields


def address_map(mapping: str, organization: Organization, channels: int) -> AddressMap:
    """Return the address map of a named mapping or a bit string.

    A bit string has one letter per bit, most significant first: R row, B bank, G bank group, K
    rank, C column, H channel. A count may follow a letter (`R16B2G2C7`); spaces and underscores are
    ignored.

    Raises ConfigError for an unknown mapping, for a bit string that does not give every field
    exactly its bits, and for sizes that are no powers of two. The number of channels may be any,
    unless the mapping addresses channels by the highest bits.
    """
    ways = channels // (channels & -channels) if channels > 0 else 1
    if ways > 1 and mapping == "ChRaBaRoCo":
        raise ConfigError(
            f"controller.address_mapping: with {mapping}, channels must be a power of two to be "
            f"addressed by bits, found {channels}"
        )
    bits = _field_bits(organization, channels // ways)
    known = NAMED.get(mapping)
    order = _bit_string(mapping, bits) if known is None else list(known)
    access_bytes = organization.access_bytes
    address_bit = _bits_of("access size in bytes", access_bytes)
    slices: list[Slice] = []
    used = dict.fromkeys(FIELDS, 0)
    for field, wanted in order:
        left = bits[field] - used[field]
        width = left if wanted is None else min(wanted, left)
        if width == 0:
            continue
        slices.append(Slice(field, address_bit, width, used[field]))
        used[field] += width
        address_bit += width
    return AddressMap(
        mapping=mapping,
        access_bytes=access_bytes,
        capacity_bytes=ways << address_bit,
        slices=tuple(slices),
        xors=_xors(XORED.get(mapping, ()), bits),
        ways=ways,
    )


def _xors(fields: tuple[str, ...], bits: Mapping[str, int]) -> tuple[Xor, ...]:
    xors = []
    source_bit = 0
    for field in fields:
        width = min(
            bits[field], bits["column"] - source_bit
        )  # above the column there is nothing to XOR with
        if width > 0:
            xors.append(Xor(field, source_bit, width))
        source_bit += bits[field]
    return tuple(xors)


def _field_bits(organization: Organization, channels: int) -> dict[str, int]:
    sizes = {
        "channel": ("channels", channels),
        "rank": ("ranks", organization.ranks),
        "bankgroup": ("bank groups", organization.bankgroups),
        "bank": ("banks per bank group", organization.banks),
        "row": ("rows", organization.rows),
        "column": ("accesses per row", organization.bursts_per_row),
    }
    return {field: _bits_of(words, size) for field, (words, size) in sizes.items()}


def _bits_of(words: str, size: int) -> int:
    if size < 1 or size & (size - 1):
        raise ConfigError(
            f"controller.address_mapping: {words} must be a power of two to be addressed by bits, "
            f"found {size}"
        )
    return size.bit_length() - 1


def _bit_string(mapping: str, bits: Mapping[str, int]) -> list[tuple[str, int | None]]:
    """Return pairs of field and number of bits, from the least significant bit upwards."""
    compact = re.sub(r"[\s_]", "", mapping)
    if not re.fullmatch(r"([RBGKCH][0-9]*)+", compact):
        letters = ", ".join(f"{letter} ({field})" for letter, field in LETTERS.items())
        raise ConfigError(
            f"controller.address_mapping: unknown mapping {mapping!r}{nearest(mapping, NAMED)}; "
            f"known: {', '.join(NAMED)}, or a bit string of {letters} such as {_example(bits)}"
        )
    runs = [
        (LETTERS[letter], int(count or 1))
        for letter, count in re.findall(r"([RBGKCH])([0-9]*)", compact)
    ]
    given = {field: sum(count for name, count in runs if name == field) for field in FIELDS}
    wrong = [
        f"{field} has {given[field]} bits, needs {bits[field]}"
        for field in FIELDS
        if given[field] != bits[field]
    ]
    if wrong:
        raise ConfigError(
            f"controller.address_mapping: bit string {mapping!r}: {'; '.join(wrong)} "
            f"(for example {_example(bits)})"
        )
    merged: list[tuple[str, int | None]] = []
    for field, count in reversed(runs):
        if merged and merged[-1][0] == field:
            merged[-1] = (field, (merged[-1][1] or 0) + count)
        else:
            merged.append((field, count))
    return merged


def _example(bits: Mapping[str, int]) -> str:
    return "".join(f"{letter}{bits[field]}" for letter, field in LETTERS.items() if bits[field])
