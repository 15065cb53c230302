"""Is the model that made a map of bit errors found again, with its parameters, and model 0 where none is better?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edensim.bit_errors.fit import fit
from edensim.bit_errors.models import ErrorModel, line_factors
from edensim.bit_errors.prediction import predict
from edensim.bit_errors.selection import ErrorMap, read_map, select_model
from edensim.exceptions import DataError, FitError


def made_by(
    model: ErrorModel, *, rows: int = 256, bitlines: int = 256, reads: int = 16, seed: int = 1
) -> ErrorMap:
    """A map drawn from a model's law, not by edensim's own placement of cells."""
    random = np.random.default_rng(seed)
    law = model.distribution
    factors = np.ones((rows, bitlines))
    if law.bitline_spread:
        factors = factors * random.choice(line_factors(law.bitline_spread), bitlines)
    if law.wordline_spread:
        factors = factors * random.choice(line_factors(law.wordline_spread), rows)[:, None]
    stored = random.integers(0, 2, (rows, bitlines)).astype(np.uint8)
    weak = random.random((rows, bitlines)) < -np.expm1(-law.rate() * factors)
    failure = np.where(stored == 1, law.failure_of_ones, law.failure_of_zeros)
    if law.failure_spread:
        shift = law.failure_spread * (
            2 * random.random(bitlines if law.bitline_spread else rows) - 1
        )
        failure = failure + (shift if law.bitline_spread else shift[:, None])
    return ErrorMap(
        Path("made"),
        random.binomial(reads, np.where(weak, failure, 0)).astype(np.int64),
        reads,
        stored,
        5.0,
        None,
        20.0,
    )


MODELS = [
    ErrorModel.of(0, weak_fraction=0.02, failure_probability=0.4),
    ErrorModel.of(1, weak_fraction=0.02, failure_probability=0.4, spread=0.8),
    ErrorModel.of(2, weak_fraction=0.02, failure_probability=0.4, spread=0.8),
    ErrorModel.of(2, weak_fraction=0.02, failure_probability=0.4, spread=0.5, failure_spread=0.2),
    ErrorModel.of(3, weak_fraction=0.02, failure_of_ones=0.3, failure_of_zeros=0.5),
]


@pytest.mark.parametrize(
    "model",
    MODELS,
    ids=lambda model: (
        f"{model.kind}{'-failures' if model.parameters.get('failure_spread') else ''}"
    ),
)
def test_the_generating_model_and_its_parameters_are_found(model: ErrorModel) -> None:
    selection = select_model(made_by(model))
    assert selection.model.kind == model.kind
    for name, truth in model.parameters.items():
        if name == "failure_spread" and not truth:
            continue
        value, low, high = selection.fit_of(model.kind).parameters[name]
        reach = 1.5 * max(
            high - value, value - low
        )  # 95 % intervals, made three standard errors wide
        assert value - reach <= truth <= value + reach, name


def test_lines_that_hardly_differ_are_model_0() -> None:
    assert (
        select_model(
            made_by(ErrorModel.of(1, weak_fraction=0.02, failure_probability=0.4, spread=0.03))
        ).model.kind
        == 0
    )
    almost = ErrorModel.of(3, weak_fraction=0.02, failure_of_ones=0.4, failure_of_zeros=0.402)
    assert select_model(made_by(almost)).model.kind == 0


def test_what_a_map_cannot_tell_is_refused() -> None:
    with pytest.raises(FitError, match="not identifiable"):
        select_model(made_by(MODELS[0], reads=1))
    with pytest.raises(FitError, match="no cell was ever wrong"):
        select_model(made_by(ErrorModel.of(0, weak_fraction=0.0, failure_probability=0.4)))


def test_a_map_file_becomes_a_module_of_its_point(tmp_path: Path) -> None:
    map_ = made_by(MODELS[1])
    np.savez(
        tmp_path / "map.npz", wrong=map_.wrong, reads=map_.reads, stored=map_.stored, trcd_ns=7.5
    )
    fitted = fit(tmp_path / "map.npz")
    assert fitted.module.curves["trcd"].structure.kind == "bitline"
    assert predict(fitted.module, trcd_ns=7.5).ber_median == pytest.approx(
        map_.wrong.mean() / map_.reads, rel=0.1
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"wrong": np.ones((2, 2), int)}, "expected arrays `errors`, or `wrong` and `reads`"),
        ({"wrong": np.full((2, 2), 9), "reads": 3}, r"0 to the number of reads \(3\)"),
        ({"errors": np.ones((2, 2), int)}, r"expected bits \[reads, rows, bitlines\]"),
        ({"errors": np.full((2, 2, 2), 2)}, "expected 0 and 1"),
        ({"errors": np.ones((2, 2, 2), int), "stored": np.ones((3, 3))}, "stored: expected bits"),
        ({"errors": np.ones((2, 2, 2), int), "trcd_ns": 1e-9}, "trcd_ns: expected 0.1 to 1000"),
        ({"errors": np.ones((2, 2, 2), int), "pattern": "0x1ff"}, "pattern: expected a byte"),
    ],
)
def test_a_bad_map_is_refused(tmp_path: Path, content: dict[str, object], message: str) -> None:
    np.savez(tmp_path / "map.npz", **content)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        read_map(tmp_path / "map.npz")
