"""The ratio of a machine's clock to the memory clock, the same for both engines."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.vocabulary import nominal_clock_MHz

#: Largest numerator and denominator of a ratio.
MAX_CLOCK_STEP: Final = 1 << 24
#: Largest ratio of one clock to the other.
MAX_CLOCK_RATIO: Final = 1_000_000
#: Bound of all products of a clock and a step of a ratio: the sum of two fits 64 bits.
MAX_CLOCK_PRODUCT: Final = 1 << 61


def clock_ratio(standard: Standard, clock_MHz: float) -> Fraction:
    """Return the cycles of a machine's clock per memory clock.

    The ratio is exact if its numerator and denominator are at most MAX_CLOCK_STEP. Otherwise it is
    the nearest such ratio, which is off by less than one part in MAX_CLOCK_STEP (6e-8):
    66.66666666666667 MHz are 200/3 MHz.

    Raises
    ------
    ConfigError
        If one clock is more than MAX_CLOCK_RATIO times as fast as the other.
    """
    memory_clock_MHz = nominal_clock_MHz(standard.tck_ps, standard.rate_MTps)
    exact = Fraction(str(clock_MHz)) / memory_clock_MHz
    if not Fraction(1, MAX_CLOCK_RATIO) <= exact <= MAX_CLOCK_RATIO:
        raise ConfigError(
            f"clock_MHz: {clock_MHz} MHz beside a memory clock of {float(memory_clock_MHz):g} MHz; "
            f"expected that neither is more than {MAX_CLOCK_RATIO:,} times as fast as the other"
        )
    if exact > 1:
        return 1 / (1 / exact).limit_denominator(MAX_CLOCK_STEP)
    return exact.limit_denominator(MAX_CLOCK_STEP)


def last_clock_of(ratio: Fraction) -> int:
    """Return the last memory clock whose products with both terms of a ratio fit 64 bits.

    A machine's time is counted in units of which a memory clock has as many as the numerator says,
    and a cycle of the machine as many as the denominator. Up to this clock, both counts are at most
    MAX_CLOCK_PRODUCT.
    """
    return MAX_CLOCK_PRODUCT // max(ratio.numerator, ratio.denominator)
