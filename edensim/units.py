"""Conversions between the units that names carry: ns, ps, clock cycles, mA, V, pJ."""

from __future__ import annotations

import math
from fractions import Fraction


def cycles_from_ns(duration_ns: float, tck_ps: int) -> int:
    """Smallest whole number of clock cycles that lasts at least `duration_ns`.

    Durations are rounded to whole femtoseconds first, so that 13.75 ns is 11 cycles of 1250 ps and not 12.
    """
    return math.ceil(Fraction(round(duration_ns * 1_000_000), tck_ps * 1000))


def ns_from_cycles(cycles: int, tck_ps: int) -> float:
    """Duration of `cycles` clock cycles in nanoseconds."""
    return cycles * tck_ps / 1000


def energy_pJ(current_mA: float, voltage_V: float, duration_ps: float) -> float:
    """Energy in picojoules of a current at a voltage for a duration: mA * V * ps = 1e-3 pJ."""
    return current_mA * voltage_V * duration_ps * 1e-3


def nominal_clock_MHz(tck_ps: int, rate_MTps: int) -> Fraction:
    """Memory clock as the standard means it: JEDEC's DDR rates are multiples of 133 1/3 MT/s printed without the fraction.

    `2133` is 2133 1/3 MT/s, hence 1066 2/3 MHz; a rate off that grid falls back to the clock period.
    """
    exact_rate = Fraction(round(rate_MTps * 3 / 400) * 400, 3)
    if abs(exact_rate - rate_MTps) < 1 and abs(exact_rate / 2 * tck_ps - 1_000_000) < 2_000:
        return exact_rate / 2
    return Fraction(1_000_000, tck_ps)
