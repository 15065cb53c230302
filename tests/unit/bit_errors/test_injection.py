"""Are flips a function of place, seed, access and stored bit alone? In any chunks, threads, mappings and dtypes; with partitions and intervals."""

from __future__ import annotations

import copy
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edensim
from edensim.bit_errors.cells import Geometry, cell_tables, geometry_of, weak_cells
from edensim.bit_errors.injection import InjectOptions
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel, at_ber, kinds
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard, standard_names
from edensim.exceptions import ConfigError, InputError
from tests.oracles.bitlines import place_of

KINDS = [kind.name for kind in kinds()]
MAPPINGS = ["RoBaRaCoCh", "ChRaBaRoCo", "MOP4CLXOR"]


def memory(mapping: str = "RoBaRaCoCh", channels: int = 2) -> Geometry:
    standard = load_standard("DDR4", organization="8Gb_x8", ranks=2)
    return geometry_of(MemorySystem.nominal(standard, channels, mapping))


def model_of(name: str, ber: float) -> ErrorModel:
    if name == "data-dependent":
        return ErrorModel.of(
            name, weak_fraction=0.0, failure_of_ones=0.7, failure_of_zeros=0.2
        ).at_ber(ber)
    return at_ber(name, ber, **({"failure_spread": 0.2} if name != "uniform" else {}))


def random_bytes(size: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_chunks_and_threads_make_no_difference(
    name: str, mapping: str, data: st.DataObject
) -> None:
    ber = data.draw(st.sampled_from([1e-4, 1e-2, 0.2]))
    base = data.draw(st.integers(0, 1 << 22))
    size = data.draw(st.integers(1, 60_000))
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=6))})
    placed = injector(
        memory(mapping), model_of(name, ber), seed=data.draw(st.integers(0, 2**63 - 1))
    )
    whole = random_bytes(size)
    before = whole.copy()
    flips = placed.flip(whole, base, access=7)
    assert flips == int(np.unpackbits(whole ^ before).sum())
    pieces = before.copy()
    assert flips == sum(
        placed.flip(pieces[first:last], base + first, access=7)
        for first, last in zip(cuts[:-1], cuts[1:], strict=True)
    )
    assert (pieces == whole).all()


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_threads_make_no_difference(mapping: str) -> None:
    placed = injector(memory(mapping), model_of("bitline", 1e-3), seed=4)
    array = random_bytes((5 << 20) + 17)
    one, three = array.copy(), array.copy()
    assert placed.flip(one, 4095) == placed.flip(three, 4095, threads=3)
    assert (one == three).all()


@pytest.mark.parametrize("name", KINDS)
def test_weak_cells_keep_their_places_in_the_device_under_any_mapping(name: str) -> None:
    """Every bit of a few rows, read through each mapping: the same (channel, rank, bank, row, bit) fail."""
    failing = []
    for mapping in MAPPINGS:
        geometry = memory(mapping)
        placed = injector(geometry, model_of(name, 0.01), seed=8)
        rows = []
        for channel, rank, group, bank, row in [
            (0, 0, 0, 0, 0),
            (1, 1, 2, 3, 77),
            (0, 1, 3, 0, 65535),
        ]:
            columns = np.arange(geometry.organization.bursts_per_row)
            lines = []
            for address in geometry.mapping.encode(
                channel, rank, group, bank, row, columns
            ).tolist():
                line = np.full(64, 0x5A, np.uint8)
                placed.flip(line, address)
                lines.append(line)
            rows.append(np.concatenate(lines))
        failing.append(np.concatenate(rows))
    assert (failing[0] == failing[1]).all()
    assert (failing[0] == failing[2]).all()
    assert (failing[0] != 0x5A).any()


def test_what_is_flipped_lies_on_the_weak_cells_listed() -> None:
    geometry = memory("MOP4CLXOR")
    model = ErrorModel.of("bitline", weak_fraction=0.05, failure_probability=1.0, spread=1.5)
    numbers = geometry.row_numbers(21, slice(1000, 1003))
    expected = [set(), set(), set()]
    for rows, positions in weak_cells(
        geometry, cell_tables(geometry, [[model.distribution]]), 3, numbers
    ):
        for row, position in zip(rows.tolist(), positions.tolist(), strict=True):
            expected[row].add(position)
    channel, inside = divmod(21, geometry.organization.banks_per_channel)
    rank, group, bank = inside // 16, inside // 4 % 4, inside % 4
    placed = injector(geometry, model, seed=3)
    for index, row in enumerate(range(1000, 1003)):
        found = set()
        for column in range(geometry.organization.bursts_per_row):
            line = np.zeros(64, np.uint8)
            placed.flip(line, int(geometry.mapping.encode(channel, rank, group, bank, row, column)))
            found |= {
                column * 512 + int(bit)
                for bit in np.flatnonzero(np.unpackbits(line, bitorder="little"))
            }
        assert found == expected[index]


def test_bits_of_an_access_go_to_chips_by_the_written_rule() -> None:
    geometry = memory()
    places = place_of(geometry, np.array([0, 7, 8, 63, 64, 512, 513]))
    assert places["chip"].tolist() == [0, 0, 1, 7, 0, 0, 0]
    assert places["beat"].tolist() == [0, 0, 0, 0, 1, 0, 0]
    assert places["wire"].tolist() == [0, 7, 0, 7, 0, 0, 1]
    assert places["column"].tolist() == [0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("name", KINDS)
def test_more_errors_are_more_of_the_same(name: str) -> None:
    """Bits that fail at one BER fail at every higher one, in the same access."""
    geometry = memory()
    array = random_bytes(1 << 16)
    failing = np.zeros_like(array)
    for ber in (1e-6, 1e-4, 3e-3, 0.02, 0.09, 0.14, 0.3, 0.45):
        flipped, flips = injector(geometry, model_of(name, ber), seed=6).flipped(array, 1 << 30)
        assert not (failing & ~(flipped ^ array)).any()
        failing = flipped ^ array
    assert flips > 0


def test_injectors_can_be_sent_to_other_processes() -> None:
    placed = injector(memory(), at_ber("bitline", 0.01), seed=4)
    array = random_bytes(10_000)
    injector(memory(), at_ber("bitline", 0.01)).flipped(array)  # what is first compiles
    flipped, flips = placed.flipped(array)
    sent = pickle.loads(pickle.dumps(placed))
    assert "_known" in vars(placed)
    assert "_known" not in vars(sent)
    assert (sent.flipped(array)[0] == flipped).all()
    assert copy.deepcopy(placed).flip(array.copy()) == flips


def test_all_bits_at_a_ber_of_one_and_none_at_zero() -> None:
    for name in ("uniform", "bitline", "wordline"):
        assert injector(memory(), at_ber(name, 1.0)).flip(np.zeros(1000, np.uint8)) == 8000
        assert injector(memory(), at_ber(name, 0.0)).flip(np.zeros(1000, np.uint8)) == 0


def test_accesses_seeds_and_places_differ() -> None:
    geometry = memory()
    zeros = np.zeros(1 << 16, np.uint8)
    placed = injector(geometry, at_ber(0, 1e-2), seed=1)
    results = [
        placed.flipped(zeros)[0],
        placed.flipped(zeros, access=1)[0],
        placed.flipped(zeros, 1 << 20)[0],
    ]
    results.append(injector(geometry, at_ber(0, 1e-2), seed=2).flipped(zeros)[0])
    for index, one in enumerate(results):
        for other in results[index + 1 :]:
            assert (one != other).any()


@pytest.mark.nojit
def test_flips_never_change() -> None:
    """Not with versions, machines, or without the compiler: a published seed keeps its weak cells."""
    expected = {
        "uniform": "79fc3ce97bcb2b78",
        "bitline": "397e54ebe0add577",
        "wordline": "bf25cd8e91df57b1",
        "data-dependent": "ffbf5a68be7460f7",
    }
    geometry = geometry_of(MemorySystem.nominal(load_standard("HBM2")))
    array = (np.arange(1_000, dtype=np.int64) * 37 % 251).astype(np.uint8)
    found = {}
    for name in KINDS:
        digest = hashlib.sha256()
        for ber in (1e-3, 0.2) if name != "wordline" else (1e-2,):
            model = model_of(name, ber)
            digest.update(
                injector(geometry, model, seed=2026).flipped(array, 123_456, access=3)[0].tobytes()
            )
        by_line = injector(geometry, [[model, model_of(name, 1e-3)]], seed=2026)
        digest.update(
            by_line.flipped(
                array, 123_456, access=3, line_classes=(np.arange(16) % 2).astype(np.uint8)
            )[0].tobytes()
        )
        found[name] = digest.hexdigest()[:16]
    assert found == expected


@pytest.mark.boundscheck
@pytest.mark.public_compiler
@pytest.mark.parametrize("standard", standard_names())
def test_every_standard_has_weak_cells(standard: str) -> None:
    memory = MemorySystem.nominal(load_standard(standard))
    geometry = geometry_of(memory)
    last = memory.capacity_bytes
    array = np.zeros(1 << 16, np.uint8)
    flips = injector(geometry, at_ber("bitline", 0.01), seed=1).flip(array, last - array.size)
    assert flips == pytest.approx(0.01 * 8 * array.size, rel=0.2)


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "int16", "int8", "uint8", "float64", "bool"]
)
def test_any_dtype_and_shape(dtype: str) -> None:
    array = np.ones((3, 50, 40), dtype)
    done = edensim.inject(array, ber=0.01, seed=5)
    assert done.array.shape == array.shape
    assert done.array.dtype == array.dtype
    assert (array == 1).all()
    assert done.bits == 8 * array.nbytes
    assert (
        done.flips
        == int(
            np.unpackbits(
                done.array.view(np.uint8).reshape(-1) ^ array.view(np.uint8).reshape(-1)
            ).sum()
        )
        > 0
    )
    assert edensim.inject(array, ber=0.01, seed=5, in_place=True).array is array
    assert (array.view(np.uint8) == done.array.view(np.uint8)).all()


def test_options_are_an_object_or_keyword_arguments() -> None:
    array = random_bytes(10_000)
    options = InjectOptions(ber=0.01, seed=5, access=2)
    done = edensim.inject(array, options=options)
    assert (done.array == edensim.inject(array, ber=0.01, seed=5, access=2).array).all()
    assert edensim.inject(array, options=options, access=3).access == 3
    with pytest.raises(InputError, match="adress: unknown option; did you mean 'address'"):
        edensim.inject(array, ber=0.01, adress=64)
    with pytest.raises(InputError, match="access: expected a whole number, found the text 'often'"):
        InjectOptions(access="often")  # type: ignore[arg-type]


def test_segments_are_pieces_at_their_own_addresses() -> None:
    array = random_bytes(10_000)
    done = edensim.inject(array, ber=0.01, segments=[(1 << 20, 4_000), (0, 6_000)]).array
    assert (done[:4_000] == edensim.inject(array[:4_000], ber=0.01, address=1 << 20).array).all()
    assert (done[4_000:] == edensim.inject(array[4_000:], ber=0.01).array).all()


def test_line_classes_have_distributions_of_their_own() -> None:
    """Lines of class 0 flip as under the one model, those of class 1 as under the other, those of class 2 never."""
    geometry = memory("MOP4CLXOR")
    strong, weak = at_ber("bitline", 0.3), at_ber("bitline", 1e-3)
    both = injector(geometry, [[strong, weak, weak.replaced(weak_fraction=0.0)]], seed=3)
    array, base = random_bytes(100_000), 4_090
    lines = ((base + array.size - 1) >> 6) - (base >> 6) + 1
    classes = np.random.default_rng(2).integers(0, 3, lines, dtype=np.uint8)
    mixed, _ = both.flipped(array, base, line_classes=classes)
    of_byte = classes[((base + np.arange(array.size)) >> 6) - (base >> 6)]
    alone = [injector(geometry, model, seed=3).flipped(array, base)[0] for model in (strong, weak)]
    assert (
        mixed == np.where(of_byte == 0, alone[0], np.where(of_byte == 1, alone[1], array))
    ).all()


def test_partitions_have_errors_of_their_own() -> None:
    """Whole banks and ranges of rows; what no partition covers is the module's."""
    geometry = geometry_of(MemorySystem.nominal(load_standard("DDR4", organization="8Gb_x8")))
    none = at_ber(0, 0.0)
    rows = {bank: [(65536, 0)] for bank in range(16)} | {
        2: [(65536, 1)],
        3: [(4, 0), (6, 1), (65536, 0)],
    }
    placed = injector(geometry, [none, at_ber(0, 0.05)], seed=1, rows=rows)
    array = np.zeros(16 * 8192 * 8, np.uint8)  # rows 0 to 7 of all banks
    placed.flip(array)
    fields = geometry.mapping.decode(np.arange(0, array.size, 64))
    flat = fields["bankgroup"] * 4 + fields["bank"]
    hit = np.unpackbits(array).reshape(-1, 512).any(axis=1)
    mine = (flat == 2) | ((flat == 3) & (fields["row"] >= 4) & (fields["row"] < 6))
    assert not hit[~mine].any()
    assert hit[mine].all()


def test_a_partition_does_not_move_the_weak_cells_of_others() -> None:
    geometry = memory()
    rows = {bank: [(65536, int(bank == 0))] for bank in range(geometry.banks)}
    array = random_bytes(1 << 17)
    for name, other in (("uniform", "bitline"), ("bitline", "uniform"), ("wordline", "bitline")):
        alone = injector(geometry, [at_ber(name, 0.05), at_ber(name, 0.0)], rows=rows).flipped(
            array
        )[0]
        beside = injector(geometry, [at_ber(name, 0.05), at_ber(other, 0.0)], rows=rows).flipped(
            array
        )[0]
        assert (alone == beside).all()
        assert (alone != array).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda placed: placed.flip(np.zeros(8, np.uint8), -1),
            "address -0x1: 8 bytes from there do not fit",
        ),
        (lambda placed: placed.flip(np.zeros(8, np.uint8), 1 << 40), "do not fit the memory of"),
        (
            lambda placed: placed.flip(np.zeros((8, 8), np.uint8)[:, :4]),
            "expected a contiguous, writable array",
        ),
        (
            lambda placed: placed.flip(np.frombuffer(b"12345678", np.uint8)),
            "expected a contiguous, writable array",
        ),
        (
            lambda placed: placed.flip(np.array(["a", None], object)),
            "expected a numpy array of numbers",
        ),
        (
            lambda placed: placed.flip(np.zeros(8, np.uint8), access=-1),
            "access: expected a whole number from 0, found -1",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(call: object, message: str) -> None:
    placed: Injector = injector(memory(), at_ber(0, 0.1))
    with pytest.raises(InputError, match=message):
        call(placed)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "errors.ber: missing"),
        ({"model": "uniform"}, "ber: missing"),
        ({"model": "unifrm", "ber": 0.1}, "did you mean 'uniform'"),
        (
            {"ber": 0.1, "segments": [(0, 3)]},
            "segments: expected pieces of 8 bytes in all, found 3",
        ),
        ({"ber": 0.1, "intervals_ns": 5.0}, "'elapsed' needs errors.module"),
        ({"ber": 0.1, "errors": {"exposure": "elapsd"}}, "did you mean 'elapsed'"),
        ({"ber": 0.1, "dram": {"standard": "DDR9"}}, "DDR9"),
    ],
)
def test_what_inject_does_not_take_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises((InputError, ConfigError), match=message):
        edensim.inject(np.zeros(8, np.uint8), **options)


def test_distributions_of_one_partition_share_their_lines() -> None:
    with pytest.raises(ConfigError, match="expected models that differ in P and F only"):
        injector(memory(), [[at_ber("bitline", 0.1), at_ber("wordline", 0.1)]])


def test_inject_is_exported_lazily() -> None:
    assert edensim.inject.__module__ == "edensim.bit_errors.injection"
    assert (Path(edensim.__file__).parent / "bit_errors" / "injection.py").exists()
