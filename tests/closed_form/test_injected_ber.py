"""Are as many bits flipped as the model says? Within three standard errors, from 1e-8 to 0.5, and for each kind of line and of stored bit."""

from __future__ import annotations

import numpy as np
import pytest

from edensim.bit_errors.cells import Geometry, cell_tables, geometry_of, weak_cells
from edensim.bit_errors.injector import injector
from edensim.bit_errors.models import ErrorModel, at_ber, line_factors
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard

#: Bytes injected by BER: enough for a hundred flips or more, few enough to be quick.
SIZES = {
    1e-8: 1 << 30,
    1e-7: 1 << 27,
    1e-6: 1 << 26,
    1e-4: 1 << 24,
    1e-2: 1 << 21,
    0.1: 1 << 19,
    0.3: 1 << 18,
    0.5: 1 << 18,
}
#: Bytes of the array that is flipped over and over at consecutive addresses.
PIECE = 1 << 20


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    return geometry_of(MemorySystem.nominal(load_standard("DDR4", organization="8Gb_x8")))


@pytest.mark.parametrize("ber", SIZES)
@pytest.mark.parametrize("name", ["uniform", "bitline", "wordline", "data-dependent"])
def test_ber_is_the_models(geometry: Geometry, name: str, ber: float) -> None:
    if name == "data-dependent":
        share = min(0.8, 0.8 * ber / 0.4) if ber > 0.3 else 0.5
        model = ErrorModel.of(
            3,
            weak_fraction=0.0,
            failure_of_ones=share if ber <= 0.3 else 0.8,
            failure_of_zeros=0.2 if ber <= 0.3 else 0.4,
        ).at_ber(ber)
    else:
        model = at_ber(name, ber)
    placed = injector(geometry, model, seed=11)
    size = SIZES[ber]
    data = np.resize(np.array([0x0F, 0x33, 0xAA, 0x69], np.uint8), min(size, PIECE))
    flips = sum(placed.flip(data, first) for first in range(0, size, data.size))
    expected = model.expected_ber(0.5) * size * 8
    error = np.sqrt(expected * (1 - ber))
    if name == "wordline":  # rows differ: so many rows, each with its own rate
        factors = line_factors(model.parameters["spread"])
        fractions = (
            -np.expm1(-model.distribution.rate() * factors)
            * model.distribution.mean_failure()
            * (1 << geometry.row_bits)
        )
        error = np.hypot(error, fractions.std() * np.sqrt(size * 8 / (1 << geometry.row_bits)))
    assert abs(flips - expected) < 3 * error, (
        f"{flips} flips, {expected:.1f} expected, standard error {error:.1f}"
    )


def test_zeros_and_ones_fail_at_their_own_rates(geometry: Geometry) -> None:
    model = ErrorModel.of(3, weak_fraction=0.01, failure_of_ones=0.8, failure_of_zeros=0.1)
    placed = injector(geometry, model, seed=3)
    for value, failure in ((0x00, 0.1), (0xFF, 0.8)):
        data = np.full(1 << 21, value, np.uint8)
        expected = 0.01 * failure * data.size * 8
        assert abs(placed.flip(data) - expected) < 3 * np.sqrt(expected)


@pytest.mark.parametrize("fraction", [1e-4, 0.01, 0.3])
def test_bitlines_have_their_own_weak_fractions(geometry: Geometry, fraction: float) -> None:
    """By class, over the rows of a bank: P_B = 1 - exp(-rate * factor). Which class a bitline has is told by its count at a very high rate."""
    model = ErrorModel.of("bitline", weak_fraction=fraction, failure_probability=1.0, spread=1.0)
    counts = np.zeros(1 << geometry.row_bits, np.int64)
    rows = 64 if fraction > 0.1 else 512
    for _, positions in weak_cells(
        geometry,
        cell_tables(geometry, [[model.distribution]]),
        5,
        geometry.row_numbers(3, slice(0, rows)),
    ):
        counts += np.bincount(positions, minlength=counts.size)
    fractions = -np.expm1(
        -model.distribution.rate() * np.repeat(line_factors(1.0), counts.size // 256)
    )
    expected = fractions.mean() * rows * counts.size
    assert abs(counts.sum() - expected) < 3.5 * np.sqrt(expected)
    # Cells of one bitline share its P_B: the variance of the counts over bitlines is that of P_B on top of the draws' own.
    over = (fractions.var() * rows**2) + (fractions * (1 - fractions)).mean() * rows
    assert counts.var() == pytest.approx(over, rel=0.1)


def test_wordlines_have_their_own_weak_fractions(geometry: Geometry) -> None:
    model = ErrorModel.of("wordline", weak_fraction=0.003, failure_probability=1.0, spread=0.8)
    counts = np.zeros(4096, np.int64)
    for rows, _ in weak_cells(
        geometry,
        cell_tables(geometry, [[model.distribution]]),
        5,
        geometry.row_numbers(0, slice(0, counts.size)),
    ):
        counts += np.bincount(rows, minlength=counts.size)
    fractions = -np.expm1(-model.distribution.rate() * line_factors(0.8)) * (1 << geometry.row_bits)
    assert counts.mean() == pytest.approx(
        fractions.mean(), abs=3.5 * np.sqrt((fractions.var() + fractions.mean()) / counts.size)
    )
    assert counts.std() == pytest.approx(np.sqrt(fractions.var() + fractions.mean()), rel=0.15)


def test_weak_cells_are_as_independent_as_coins(geometry: Geometry) -> None:
    """Pairs of neighbours, of equal places in neighbouring rows and in neighbouring banks: as many as independence gives."""
    fraction = 0.02
    tables = cell_tables(
        geometry, [[ErrorModel.of(0, weak_fraction=fraction, failure_probability=1.0).distribution]]
    )
    width = 1 << geometry.row_bits
    maps = []
    for bank in (0, 1):
        weak = np.zeros((64, width), bool)
        for rows, positions in weak_cells(
            geometry, tables, 9, geometry.row_numbers(bank, slice(0, 64))
        ):
            weak[rows, positions] = True
        maps.append(weak)
    pairs = {
        "bits": (maps[0][:, :-1] & maps[0][:, 1:], maps[0][:, 1:].size),
        "rows": (maps[0][:-1] & maps[0][1:], maps[0][1:].size),
        "banks": (maps[0] & maps[1], maps[0].size),
        "bytes": (maps[0][:, :-8] & maps[0][:, 8:], maps[0][:, 8:].size),
    }
    for name, (both, places) in pairs.items():
        expected = fraction**2 * places
        assert abs(int(both.sum()) - expected) < 3.5 * np.sqrt(expected), name
    per_row = maps[0].sum(axis=1)
    assert per_row.var() == pytest.approx(
        width * fraction * (1 - fraction), rel=0.6
    )  # 64 rows: a chi-square of 63


def test_failures_of_a_weak_cell_are_drawn_at_each_access(geometry: Geometry) -> None:
    """Over many accesses a weak cell fails in F of them, and two accesses share F * F of the weak cells."""
    failure = 0.3
    placed = injector(
        geometry, ErrorModel.of(0, weak_fraction=0.01, failure_probability=failure), seed=2
    )
    sure = injector(geometry, ErrorModel.of(0, weak_fraction=0.01, failure_probability=1.0), seed=2)
    zeros = np.zeros(1 << 20, np.uint8)
    weak = np.unpackbits(sure.flipped(zeros)[0]).astype(bool)
    flips = [
        np.unpackbits(placed.flipped(zeros, access=access)[0]).astype(bool) for access in range(8)
    ]
    cells = int(weak.sum())
    assert not any((flip & ~weak).any() for flip in flips)
    often = np.sum([flip[weak] for flip in flips], axis=0)
    assert abs(often.mean() - 8 * failure) < 3 * np.sqrt(8 * failure * (1 - failure) / cells)
    assert often.var() == pytest.approx(8 * failure * (1 - failure), rel=0.03)
    both = int((flips[0] & flips[1]).sum())
    assert abs(both - failure**2 * cells) < 3 * np.sqrt(failure**2 * cells)
