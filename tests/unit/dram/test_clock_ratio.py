"""The ratio of clocks is near what was asked, and its products fit 64 bits."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edensim.dram.clock_ratio import MAX_CLOCK_STEP, clock_ratio, last_clock_of
from edensim.dram.standard import load_standard
from edensim.exceptions import ConfigError
from edensim.vocabulary import nominal_clock_MHz

DDR4 = load_standard("DDR4")
CLOCK_MHZ = nominal_clock_MHz(DDR4.tck_ps, DDR4.rate_MTps)


@pytest.mark.parametrize(
    ("clock_MHz", "exact_MHz"),
    [(66.66666666666667, Fraction(200, 3)), (233.33333333333334, Fraction(700, 3)), (700.0, 700)],
)
def test_a_clock_of_many_digits_is_the_fraction_it_means(
    clock_MHz: float, exact_MHz: Fraction
) -> None:
    assert clock_ratio(DDR4, clock_MHz) == exact_MHz / CLOCK_MHZ


@given(st.floats(1, 100_000))
def test_ratios_keep_their_error_and_their_products_fit(clock_MHz: float) -> None:
    ratio = clock_ratio(DDR4, clock_MHz)
    exact = Fraction(str(clock_MHz)) / CLOCK_MHZ
    assert abs(ratio / exact - 1) <= Fraction(1, MAX_CLOCK_STEP - 1)
    assert max(ratio.numerator, ratio.denominator) <= MAX_CLOCK_STEP
    last = last_clock_of(ratio)
    assert last >= 1 << 37
    assert last * ratio.numerator + last * ratio.denominator < 1 << 63


@pytest.mark.parametrize("clock_MHz", [1e-12, 1e12])
def test_clocks_out_of_all_proportion_are_refused(clock_MHz: float) -> None:
    with pytest.raises(ConfigError, match="clock_MHz"):
        clock_ratio(DDR4, clock_MHz)
