"""Does every address mapping put addresses where it says, and find its way back?"""

from __future__ import annotations

import csv
import lzma
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.dram.address import FIELDS, NAMED, AddressMap, Slice, Xor, address_map
from edensim.dram.standard import Organization, load_standard
from edensim.engine.records import mapping_record
from edensim.exceptions import ConfigError, InputError
from edensim.kernels.controller.address import PLACED, place
from edensim.vocabulary import REQUEST
from tests.oracles.ramulator import CASES, peer_case, peer_file

ORGANIZATIONS = {
    "DDR4, 1 rank": load_standard("DDR4").organization,
    "DDR4, 4 ranks, x16": load_standard("DDR4", organization="8Gb_x16", ranks=4).organization,
    "DDR3": load_standard("DDR3", ranks=2).organization,
    "GDDR5": load_standard("GDDR5").organization,
    "few columns": Organization("few", 1, 8, 8, 2, 4, 4, 64, 16, 8),
    "one of each": Organization("one", 1, 8, 8, 1, 1, 1, 1, 8, 8),
}
CHANNELS = (1, 2, 8)


def sizes(organization: Organization, channels: int) -> dict[str, int]:
    values = (
        channels,
        organization.ranks,
        organization.bankgroups,
        organization.banks,
        organization.rows,
        organization.bursts_per_row,
    )
    return dict(zip(FIELDS, values, strict=True))


def maps() -> dict[str, tuple[AddressMap, dict[str, int]]]:
    found = {}
    for words, organization in ORGANIZATIONS.items():
        for channels in CHANNELS:
            size = sizes(organization, channels)
            string = "".join(
                f"{letter}{size[field].bit_length() - 1}"
                for letter, field in zip("GRHCKB", _order, strict=True)
                if size[field] > 1
            )
            for mapping in [*NAMED, *([string] if string else [])]:
                found[f"{mapping}, {words}, {channels} channels"] = (
                    address_map(mapping, organization, channels),
                    size,
                )
    return found


_order = ("bankgroup", "row", "channel", "column", "rank", "bank")
MAPS = maps()


@given(st.sampled_from(sorted(MAPS)), st.data())
@settings(deadline=None, max_examples=300)
def test_encode_and_decode_are_inverse(name: str, data: st.DataObject) -> None:
    mapped, size = MAPS[name]
    fields = {field: np.array([data.draw(st.integers(0, size[field] - 1))]) for field in FIELDS}
    address = mapped.encode(**fields)
    assert 0 <= address[0] < mapped.capacity_bytes
    assert {field: value.tolist() for field, value in mapped.decode(address).items()} == {
        field: value.tolist() for field, value in fields.items()
    }
    line = (
        data.draw(st.integers(0, mapped.capacity_bytes // mapped.access_bytes - 1))
        * mapped.access_bytes
    )
    assert mapped.encode(**mapped.decode(np.array([line])))[0] == line


@pytest.mark.parametrize("name", [name for name in MAPS if "few columns" in name])
def test_every_access_has_its_own_place(name: str) -> None:
    mapped, size = MAPS[name]
    lines = np.arange(0, mapped.capacity_bytes, mapped.access_bytes)
    fields = mapped.decode(lines)
    assert mapped.capacity_bytes == mapped.access_bytes * int(np.prod(list(size.values())))
    assert len(set(zip(*(fields[field].tolist() for field in FIELDS), strict=True))) == len(lines)
    for field in FIELDS:
        assert set(fields[field].tolist()) == set(range(size[field]))


def test_bits_inside_an_access_address_nothing() -> None:
    mapped = address_map("RoBaRaCoCh", ORGANIZATIONS["DDR4, 1 rank"], 1)
    assert (mapped.offset_bits, mapped.access_bytes, mapped.capacity_bytes) == (6, 64, 8 * 2**30)
    fields = mapped.decode(np.array([0x1234500 + offset for offset in (0, 1, 63)]))
    assert all(len(set(value.tolist())) == 1 for value in fields.values())


def test_orders_of_named_mappings() -> None:
    organization = ORGANIZATIONS[
        "DDR4, 4 ranks, x16"
    ]  # 2 bits of rank, 1 of bank group, 2 of bank, 16 of row, 7 of column
    order = {
        name: [(part.field, part.width) for part in address_map(name, organization, 2).slices]
        for name in NAMED
    }
    assert order["RoBaRaCoCh"] == [
        ("channel", 1),
        ("column", 7),
        ("rank", 2),
        ("bankgroup", 1),
        ("bank", 2),
        ("row", 16),
    ]
    assert order["ChRaBaRoCo"] == [
        ("column", 7),
        ("row", 16),
        ("bank", 2),
        ("bankgroup", 1),
        ("rank", 2),
        ("channel", 1),
    ]
    assert order["RoBaRaCoBgChCo"] == [
        ("column", 3),
        ("channel", 1),
        ("bankgroup", 1),
        ("column", 4),
        ("rank", 2),
        ("bank", 2),
        ("row", 16),
    ]
    assert order["MOP4CLXOR"] == [
        ("channel", 1),
        ("column", 2),
        ("rank", 2),
        ("bankgroup", 1),
        ("bank", 2),
        ("column", 5),
        ("row", 16),
    ]


def test_mop_takes_successive_bits_of_the_column() -> None:
    mapped = address_map("MOP4CLXOR", ORGANIZATIONS["DDR4, 4 ranks, x16"], 1)
    assert mapped.xors == (
        Xor("rank", 0, 2),
        Xor("bankgroup", 2, 1),
        Xor("bank", 3, 2),
        Xor("row", 5, 2),
    )
    # four neighbouring accesses differ in the column, and so in the rank they are XORed to
    fields = mapped.decode(np.arange(4) * 64)
    assert fields["column"].tolist() == [0, 1, 2, 3]
    assert fields["rank"].tolist() == [0, 1, 2, 3]
    few = address_map("MOP4CLXOR", ORGANIZATIONS["few columns"], 1)
    assert few.xors == (Xor("rank", 0, 1),), "two columns have one bit to give"


def test_bit_strings() -> None:
    organization = ORGANIZATIONS["DDR4, 1 rank"]
    mapped = address_map("R15 C3_B2 R G2C4", organization, 1)
    assert mapped.slices == (
        Slice("column", 6, 4, 0),
        Slice("bankgroup", 10, 2, 0),
        Slice("row", 12, 1, 0),
        Slice("bank", 13, 2, 0),
        Slice("column", 15, 3, 4),
        Slice("row", 18, 15, 1),
    )
    written_out = address_map("R" * 15 + "CCC" + "BBRGG" + "CCCC", organization, 1)
    assert written_out.slices == mapped.slices
    same = address_map("R16B2G2C7", organization, 1)
    assert same.slices == address_map("RoBaRaCoCh", organization, 1).slices


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("RoBaRaCoCH", "did you mean 'RoBaRaCoCh'"),
        ("robaracoch", "did you mean 'RoBaRaCoCh'"),
        ("R16B2G2C6", "column has 6 bits, needs 7"),
        ("R16B2G2C7K1", "rank has 1 bits, needs 0"),
        ("R16B2C7", "bankgroup has 0 bits, needs 2"),
        ("R16B2G2X7", "unknown mapping"),
        ("", "unknown mapping"),
        ("16R", "for example|such as R16B2G2C7"),
    ],
)
def test_other_mappings_are_refused(mapping: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        address_map(mapping, ORGANIZATIONS["DDR4, 1 rank"], 1)


def test_sizes_must_be_powers_of_two() -> None:
    with pytest.raises(ConfigError, match="channels must be a power of two.*found 3"):
        address_map("ChRaBaRoCo", ORGANIZATIONS["DDR4, 1 rank"], 3)
    with pytest.raises(ConfigError, match="ranks must be a power of two"):
        address_map("RoBaRaCoCh", load_standard("DDR4", ranks=3).organization, 1)


@pytest.mark.parametrize("channels", [3, 6, 12])
@pytest.mark.parametrize("mapping", ["RoBaRaCoCh", "RoBaRaCoBgChCo", "MOP4CLXOR"])
def test_blocks_go_round_where_channels_are_no_power_of_two(mapping: str, channels: int) -> None:
    mapped = address_map(mapping, ORGANIZATIONS["DDR4, 1 rank"], channels)
    assert (
        mapped.capacity_bytes
        == channels * address_map(mapping, ORGANIZATIONS["DDR4, 1 rank"], 1).capacity_bytes
    )
    rng = np.random.default_rng(7)
    addresses = rng.integers(0, mapped.capacity_bytes // 64, 20_000) * 64
    fields = mapped.decode(addresses)
    assert np.array_equal(mapped.encode(**fields), addresses)
    assert np.array_equal(np.unique(fields["channel"]), np.arange(channels))
    assert np.array_equal(fields["channel"] % mapped.ways, addresses // 256 % mapped.ways)
    # The engine places them in the same way.
    standard = load_standard("DDR4")
    requests = np.zeros(len(addresses), REQUEST)
    requests["address"] = addresses
    placed = np.empty(len(addresses), PLACED)
    mapped = address_map(mapping, standard.organization, channels)
    assert place(requests, mapping_record(mapped, standard), placed) == -1
    fields = mapped.decode(addresses)
    assert all(np.array_equal(placed[name], fields[name]) for name in ("channel", "row", "column"))
    assert np.array_equal(
        placed["bank"], fields["bankgroup"] * standard.organization.banks + fields["bank"]
    )
    assert np.array_equal(placed["line"], addresses // 64)


def test_addresses_and_fields_out_of_range_are_refused() -> None:
    mapped = address_map("RoBaRaCoCh", ORGANIZATIONS["DDR4, 1 rank"], 1)
    for address in (-64, mapped.capacity_bytes):
        with pytest.raises(InputError, match="outside the memory"):
            mapped.decode(np.array([0, address]))
    with pytest.raises(InputError, match="row 65536 is out of range; expected 0 to 65535"):
        mapped.encode(0, 0, 0, 0, 65536, 0)
    assert int(mapped.encode(0, 0, 3, 3, 65535, 127)) == mapped.capacity_bytes - 64


@pytest.mark.parametrize("name", CASES)
def test_golden_reads_are_where_the_trace_says(name: str) -> None:
    case = peer_case(name)
    organization = load_standard(
        case["standard"],
        organization=case["organization_preset"],
        ranks=case["organization"]["rank"],
    ).organization
    mapped = address_map(case["address_mapping"], organization, 1)
    with lzma.open(peer_file(name, "trace.xz"), "rt") as lines:
        addresses = np.array([int(line.split()[1], 16) for line in lines if line.startswith("LD")])
    with lzma.open(peer_file(name, "commands.csv.xz"), "rt") as lines:
        rows = [row for row in csv.DictReader(lines) if row["command"] == "RD"]
    fields = mapped.decode(addresses)
    asked = Counter(zip(*(fields[field].tolist() for field in FIELDS[1:]), strict=True))
    # DDR3 has no bank groups: -1 in the command list
    served = Counter(tuple(max(0, int(row.get(field, 0))) for field in FIELDS[1:]) for row in rows)
    assert not served - asked
    # the peer stops with the last accepted request: up to 32 reads in its queue (and some in flight) are not served, or were forwarded
    assert (asked - served).total() < 64
