"""Does every registered error model keep its word? 0 <= P, F <= 1, its expected BER, never fewer errors for more reduction, and clear refusals."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edensim.bit_errors import models
from edensim.bit_errors.models import (
    ErrorModel,
    at_ber,
    kind_of,
    kinds,
    line_factors,
    weak_fraction_of,
)
from edensim.exceptions import ConfigError

KINDS = [kind.name for kind in kinds()]
#: Log-uniform, as the BERs of interest are.
BERS = st.floats(-8.0, math.log10(0.5)).map(lambda exponent: 10.0**exponent)


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=50)
@given(ber=BERS, ones=st.floats(0, 1))
def test_a_model_at_a_ber_expects_that_ber(name: str, ber: float, ones: float) -> None:
    model = at_ber(name, ber, ones)
    law = model.distribution
    assert model.expected_ber(ones) == pytest.approx(ber, rel=1e-12)
    assert 0 <= law.weak_fraction <= 1
    assert all(0 <= failure <= 1 for failure in (law.failure_of_ones, law.failure_of_zeros))
    assert law.failure_spread <= min(law.failure_of_ones, 1 - law.failure_of_ones)


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=50)
@given(low=BERS, high=BERS)
def test_more_reduction_never_makes_a_cell_stronger(name: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    one, other = at_ber(name, low), at_ber(name, high)
    assert one.distribution.rate() <= other.distribution.rate()
    assert one.distribution.failure_of_ones <= other.distribution.failure_of_ones
    assert one.distribution.failure_of_zeros <= other.distribution.failure_of_zeros


@settings(deadline=None, max_examples=50)
@given(fraction=st.floats(1e-9, 0.999), bitline=st.floats(0, 3), wordline=st.floats(0, 3))
def test_the_rate_gives_the_weak_fraction_back(
    fraction: float, bitline: float, wordline: float
) -> None:
    law = models.CellDistribution(fraction, 0.5, 0.5, bitline, wordline)
    rate = law.rate()
    if math.isfinite(rate):
        assert weak_fraction_of(rate, bitline, wordline) == pytest.approx(fraction, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(spread=st.floats(0, models.MAX_SPREAD))
def test_factors_of_lines_average_one(spread: float) -> None:
    factors = line_factors(spread)
    assert factors.mean() == 1.0
    assert (np.diff(factors) >= 0).all()
    assert factors[0] >= 1 / models.STEPS


def test_factors_of_lines_spread_as_asked() -> None:
    assert np.log(line_factors(1.0)[8:-8]).std() == pytest.approx(
        0.8, abs=0.03
    )  # a lognormal without its tails
    assert (line_factors(0.0) == 1).all()


@pytest.mark.parametrize("name", KINDS)
def test_a_model_survives_its_dictionary_and_its_pickle(name: str) -> None:
    model = at_ber(name, 1e-3)
    assert ErrorModel.from_dict(model.to_dict()) == model
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(ErrorModel.from_dict(model.to_dict())) == hash(model)
    assert kind_of(str(model.kind)).name == name == kind_of(model.kind).name


def test_the_papers_expected_bers() -> None:
    assert ErrorModel.of(
        0, weak_fraction=0.02, failure_probability=0.3
    ).expected_ber() == pytest.approx(0.006)
    assert ErrorModel.of(
        3, weak_fraction=0.02, failure_of_ones=0.1, failure_of_zeros=0.5
    ).expected_ber(0.25) == pytest.approx(0.02 * 0.4)


def test_adding_a_model_is_a_function_and_its_registration() -> None:
    def sticky(weak_fraction: float, failure_of_ones: float) -> models.CellDistribution:
        """Only ones fail."""
        return models.CellDistribution(weak_fraction, failure_of_ones, 0.0)

    known = dict(models._KINDS)
    try:
        models.error_model(9, "sticky")(sticky)
        assert ErrorModel.of("sticky", weak_fraction=0.1, failure_of_ones=1.0).expected_ber(
            0.5
        ) == pytest.approx(0.05)
        with pytest.raises(ConfigError, match="number or name is taken by 9 'sticky'"):
            models.error_model(9, "other")(sticky)
    finally:
        models._KINDS.clear()
        models._KINDS.update(known)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kind": "bitlin", "weak_fraction": 0.1}, "did you mean 'bitline'"),
        ({"kind": 7, "weak_fraction": 0.1}, "found 7"),
        ({"kind": 0, "weak_fraction": 1.5}, "weak_fraction: expected 0 to 1, found 1.5"),
        ({"kind": 0, "weak_fraction": math.nan}, "weak_fraction: expected 0 to 1, found nan"),
        ({"kind": 0}, "weak_fraction is missing"),
        ({"kind": 0, "weak_fraction": 0.1, "spred": 1.0}, "unknown parameter 'spred'"),
        ({"kind": 1, "weak_fraction": 0.1, "spread": 99.0}, "spread: expected 0 to 8"),
        (
            {"kind": 2, "weak_fraction": 0.1, "failure_probability": 0.9, "failure_spread": 0.2},
            "failure_spread: expected at most 0.1",
        ),
        ({"kind": 3, "weak_fraction": 0.1, "failure_of_ones": 0.2}, "failure_of_zeros is missing"),
        ({"weak_fraction": 0.1}, "kind is missing"),
    ],
)
def test_what_is_no_model_is_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ErrorModel.from_dict(parameters)


def test_a_ber_that_no_weak_cells_can_give_is_refused() -> None:
    with pytest.raises(ConfigError, match="BER 0.9 cannot be reached"):
        ErrorModel.of(3, weak_fraction=0.1, failure_of_ones=1.0, failure_of_zeros=0.0).at_ber(0.9)
    with pytest.raises(ConfigError, match="BER: expected 0 to 1, found 2"):
        at_ber(0, 2)
