"""Around a fitted curve: what temperature changes, how banks differ, how good the fit is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.characterization import Characterization
from edensim.bit_errors.curve import Curve, regressors
from edensim.bit_errors.mixture import LINKS, MixedFit, Observations, inverse

if TYPE_CHECKING:
    from edensim.bit_errors.fitting import Candidate

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TemperatureEffect:
    """Change of offset and slope per 10 degrees, from `modules` modules, and the range that was measured."""

    per_10_degrees: tuple[float, float]
    range_C: tuple[float, float]
    modules: int


def temperature_effect(data: Characterization, curve: Curve) -> TemperatureEffect | None:
    """From differences to the base temperature of the same module, pattern and quantity; None where only one temperature was measured.

    Least absolute differences (by reweighting), for a single cell can rule a rate of 1e-9.
    """
    table = data.over_banks()
    usable = (
        (table.rate > 0)
        & (table.rate < curve.saturation)
        & np.isin(table.pattern, list(curve.patterns))
    )
    usable &= table.x < (curve.cutoff if curve.cutoff is not None else math.inf) - 1e-9
    table = table.choose(usable)
    base = {
        (m, p, x): rate
        for m, p, t, x, rate in zip(
            table.module.tolist(),
            table.pattern.tolist(),
            table.temp_C.tolist(),
            table.x.tolist(),
            table.rate.tolist(),
            strict=True,
        )
        if t == curve.base_temp_C
    }
    rows, changes, modules = [], [], set()
    for m, p, t, x, rate in zip(
        table.module.tolist(),
        table.pattern.tolist(),
        table.temp_C.tolist(),
        table.x.tolist(),
        table.rate.tolist(),
        strict=True,
    ):
        if t != curve.base_temp_C and (m, p, x) in base:
            before, after = inverse(curve.form, np.array([base[m, p, x], rate]) / curve.saturation)
            warmer = (t - curve.base_temp_C) / 10.0
            rows.append(
                (warmer, warmer * sum(regressors(curve.variable, x, curve.centre, curve.scale)))
            )
            changes.append(after - before)
            modules.add(m)
    if len({row for row in rows}) < 4:
        return None
    A, b = np.array(rows), np.array(changes)
    weights = np.ones(len(b))
    for _ in range(50):
        scaled = np.sqrt(weights)[:, None]
        found = np.linalg.lstsq(A * scaled, b * scaled[:, 0], rcond=None)[0]
        weights = 1.0 / np.maximum(np.abs(b - A @ found), 1e-3)
    temperatures = table.temp_C[np.isin(table.module, sorted(modules))]
    return TemperatureEffect(
        (float(found[0]), float(found[1])),
        (float(temperatures.min()), float(temperatures.max())),
        len(modules),
    )


def bank_sd(data: Characterization, curve: Curve) -> float:
    """Standard deviation of z between the banks of a module (pooled over points), 0 where the table has no banks."""
    usable = (
        (data.rate > 0)
        & (data.rate < 0.9 * curve.saturation)
        & (data.bank >= 0)
        & (data.temp_C == curve.base_temp_C)
    )
    if curve.cutoff is not None:
        usable &= data.x < curve.cutoff - 1e-9
    table = data.choose(usable)
    if not len(table):
        return 0.0
    z = inverse(curve.form, table.rate / curve.saturation)
    groups: dict[tuple[str, str, float], list[float]] = {}
    for m, p, x, value in zip(
        table.module.tolist(), table.pattern.tolist(), table.x.tolist(), z.tolist(), strict=True
    ):
        groups.setdefault((m, p, x), []).append(value)
    several = [np.var(values, ddof=1) for values in groups.values() if len(values) > 2]
    return float(math.sqrt(float(np.median(several)))) if several else 0.0


def goodness(
    observations: Observations, candidate: Candidate, fit: MixedFit, table: Characterization
) -> tuple[float, float, float]:
    """Share of the null model's binomial deviance explained, Pearson dispersion, residual sd in decades; around each module's own curve."""
    z = observations.X @ fit.coefficients + np.sum(
        observations.W * fit.modes[observations.group], axis=1
    )
    level, _ = LINKS[candidate.form](z)
    expected = candidate.saturation * 10.0**level
    used = (
        np.ones(len(table), dtype=bool)
        if candidate.cutoff is None
        else table.x < candidate.cutoff - 1e-9
    )
    rate, tested = table.rate[used], table.tested[used]
    null = float(np.sum(rate * tested) / np.sum(tested))
    model, nothing = (
        _deviance(rate, expected, tested),
        _deviance(rate, np.full(len(rate), null), tested),
    )
    variance = np.maximum(expected * (1 - expected) / tested, 1e-300)
    freedom = max(1, len(rate) - fit.parameters)
    seen = expected * tested > 1.0
    dispersion = float(np.sum((rate - expected)[seen] ** 2 / variance[seen]) / freedom)
    failing = ~observations.censored
    residual = float(
        np.std(observations.y[failing] - np.log10(np.maximum(expected[failing], 1e-300)))
    )
    return 1.0 - model / nothing if nothing > 0 else 1.0, dispersion, residual


def _deviance(rate: Floats, expected: Floats, tested: Floats) -> float:
    expected = np.clip(expected, 1e-300, 1 - 1e-16)
    wrong = np.where(rate > 0, rate * np.log(np.maximum(rate, 1e-300) / expected), 0.0)
    right = np.where(
        rate < 1, (1 - rate) * (np.log1p(-np.minimum(rate, 1 - 1e-16)) - np.log1p(-expected)), 0.0
    )
    return float(2 * np.sum(tested * (wrong + right)))
