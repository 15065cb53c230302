"""Add to a fitted curve: the effect of temperature, how banks differ, how good the fit is."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.candidates import Candidate
from edensim.bit_errors.characterization import Characterization
from edensim.bit_errors.curve import Curve, regressors
from edensim.bit_errors.mixture import MixtureFit, Observations, inverse

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TemperatureEffect:
    """Change of offset and slope per 10 degrees, and what it was measured with."""

    per_10_degrees: tuple[float, float]
    range_C: tuple[float, float]
    modules: int


def temperature_effect(data: Characterization, curve: Curve) -> TemperatureEffect | None:
    """Return the effect of temperature, None if only one temperature was measured.

    It follows from differences to the base temperature of the same module, pattern and quantity.
    The sum of absolute differences is minimized (by reweighting), since a single cell can
    dominate a rate of 1e-9.
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
        solution = np.linalg.lstsq(A * scaled, b * scaled[:, 0], rcond=None)[0]
        weights = 1.0 / np.maximum(np.abs(b - A @ solution), 1e-3)
    temperatures = table.temp_C[np.isin(table.module, sorted(modules))]
    return TemperatureEffect(
        (float(solution[0]), float(solution[1])),
        (float(temperatures.min()), float(temperatures.max())),
        len(modules),
    )


def bank_sd(data: Characterization, curve: Curve) -> float:
    """Return the standard deviation of z between the banks of a module, pooled over points.

    It is 0 if the table has no banks.
    """
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
    observations: Observations, candidate: Candidate, fit: MixtureFit, table: Characterization
) -> tuple[float, float, float]:
    """Return explained deviance, dispersion and residual of rates around their module's curve.

    They are the explained share of the null model's binomial deviance, Pearson's dispersion, and
    the standard deviation of the residual in decades.
    """
    z = observations.X @ fit.coefficients + np.sum(
        observations.W * fit.modes[observations.group], axis=1
    )
    level, _ = candidate.link(z)
    expected = candidate.saturation * 10.0**level
    used = candidate.used(table.x)
    rate, tested = table.rate[used], table.tested[used]
    null = float(np.sum(rate * tested) / np.sum(tested))
    model, nothing = (
        _deviance(rate, expected, tested),
        _deviance(rate, np.full(len(rate), null), tested),
    )
    variance = np.maximum(expected * (1 - expected) / tested, 1e-300)
    freedom = max(1, len(rate) - fit.parameters)
    likely = expected * tested > 1.0
    dispersion = float(np.sum((rate - expected)[likely] ** 2 / variance[likely]) / freedom)
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
