"""Maximize the likelihood of maps of bit errors under the four models.

Intervals (95 %) come from the curvature at the maximum.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.models import CLASSES, MAX_SPREAD, STEPS, ErrorModel, weak_fraction_of
from edensim.exceptions import FitError

Floats = NDArray[np.float64]

#: Least spread of a search; below it no map can show that lines differ.
LEAST_SPREAD: Final = 0.005
#: Nodes of the quadrature over the failure probabilities of lines.
_NODES: Final = 31
_T95: Final = 1.959964
#: Normal quantiles of the classes of lines, and the end of a smooth distribution of about their
#: variance.
_CLASS_Z: Final = np.array(
    [NormalDist().inv_cdf((index + 0.5) / CLASSES) for index in range(CLASSES)]
)
_END: Final = 3.3
#: Step of central differences.
_STEP: Final = 1e-4


@dataclass(frozen=True, eq=False)
class Lines:
    """What the likelihood needs of each line (bitline or wordline).

    It has numbers of cells without errors, of cells with errors, and of wrong reads.
    """

    clean: NDArray[np.int64]
    failing: NDArray[np.int64]
    errors: NDArray[np.int64]
    reads: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.clean.sum() + self.failing.sum())

    @cached_property
    def kinds(self) -> tuple[Floats, NDArray[np.intp]]:
        """Pairs (failing, clean) that occur, and which one each line has."""
        pairs, which = np.unique(
            np.stack([self.failing, self.clean], axis=1), axis=0, return_inverse=True
        )
        return pairs.astype(np.float64), which.reshape(-1)


@dataclass(frozen=True)
class ModelFit:
    """A model at the maximum of its likelihood.

    `parameters` has value, low and high end (95 %) by name. The likelihood is that of the counts,
    without the binomial coefficients, which all models share.
    """

    kind: int
    model: ErrorModel
    parameters: Mapping[str, tuple[float, float, float]]
    log_likelihood: float
    cells: int

    @property
    def bic(self) -> float:
        """Bayesian information criterion."""
        return len(self.parameters) * math.log(self.cells) - 2 * self.log_likelihood

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2 * len(self.parameters) - 2 * self.log_likelihood

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "kind": self.kind,
            "name": self.model.name,
            "log_likelihood": self.log_likelihood,
            "bic": self.bic,
            "aic": self.aic,
            "parameters": {
                name: {"value": value, "interval": [low, high]}
                for name, (value, low, high) in self.parameters.items()
            },
        }


def fit_uniform(lines: Lines) -> ModelFit:
    """Fit model 0: P and F_A."""

    def cost(theta: Floats) -> float:
        return -float(_log_likelihood(lines, np.array([_share(theta[0])]), _share(theta[1])).sum())

    weak, failure = _start(lines)
    theta, errors, value = _search(cost, np.array([_logit(weak), _logit(failure)]))
    parameters = _intervals(
        ("weak_fraction", "failure_probability"), theta, errors, (_share, _share)
    )
    model = ErrorModel.of(0, **{name: each[0] for name, each in parameters.items()})
    return ModelFit(0, model, parameters, -value, lines.cells)


def fit_values(ones: Lines, zeros: Lines) -> ModelFit:
    """Fit model 3: P, F of cells that hold 1, F of cells that hold 0."""

    def cost(theta: Floats) -> float:
        weak = np.array([_share(theta[0])])
        return -float(
            _log_likelihood(ones, weak, _share(theta[1])).sum()
            + _log_likelihood(zeros, weak, _share(theta[2])).sum()
        )

    starts = [_start(each) if each.failing.any() else (1e-6, 1e-3) for each in (ones, zeros)]
    weak = max(weak for weak, _ in starts)
    theta, errors, value = _search(
        cost, np.array([_logit(weak), *(_logit(failure) for _, failure in starts)])
    )
    names = ("weak_fraction", "failure_of_ones", "failure_of_zeros")
    parameters = _intervals(names, theta, errors, (_share, _share, _share))
    model = ErrorModel.of(3, **{name: each[0] for name, each in parameters.items()})
    return ModelFit(3, model, parameters, -value, ones.cells + zeros.cells)


def fit_bitlines(lines: Lines) -> ModelFit:
    """Fit model 1: P_B is lognormal over bitlines, F_B uniform."""
    return _fit_lines(1, lines)


def fit_wordlines(lines: Lines) -> ModelFit:
    """Fit model 2: P_W is lognormal over wordlines, F_W uniform."""
    return _fit_lines(2, lines)


def _fit_lines(kind: int, lines: Lines) -> ModelFit:
    """Fit a model of lines that differ.

    All lines have one F first. If errors scatter more between lines than one F explains, a spread
    of F is fitted too, and used if it is better by BIC.
    """
    weak, failure = _start(lines)
    per_line = -np.log1p(
        -np.minimum(lines.failing / np.maximum(1, lines.failing + lines.clean), 0.999)
    )
    mean = max(float(per_line.mean()), 1e-12)
    noise = mean / max(1.0, float((lines.failing + lines.clean).mean()))
    spread = math.sqrt(math.log1p(max(0.0025, (float(per_line.var()) - noise) / mean**2)))

    grid = _grid(lines, spread)

    def cost(theta: Floats) -> float:
        return -_line_likelihood(lines, grid, theta[0], theta[2], _share(theta[1]), 0.0)

    def wider_cost(theta: Floats) -> float:
        mean_failure = _share(theta[1])
        half = min(mean_failure, 1 - mean_failure) * _share(theta[3])
        return -_line_likelihood(lines, grid, theta[0], theta[2], mean_failure, half)

    bounds = [(-40.0, math.log(50.0)), (-18.0, 18.0), (LEAST_SPREAD, MAX_SPREAD * 0.999)]
    start = np.array([math.log(-math.log1p(-min(weak, 0.999))), _logit(failure), spread])
    theta, errors, value = _search(cost, start, bounds)
    if _failures_scatter(lines, failure):
        wide_theta, wide_errors, wide_value = _search(
            wider_cost, np.append(theta, -1.0), [*bounds, (-6.0, 6.0)]
        )
        if 2 * (value - wide_value) > math.log(lines.cells):
            theta, errors, value = wide_theta, wide_errors, wide_value
    return _line_fit(kind, lines, theta, errors, value)


def _failures_scatter(lines: Lines, failure: float) -> bool:
    """Return whether errors per failing cell differ between lines more than one F explains.

    The limit is three standard deviations.
    """
    shown = -math.expm1(lines.reads * math.log1p(-failure))
    mean = lines.reads * failure / shown
    variance = max(
        1e-12, lines.reads * failure * (1 - failure + lines.reads * failure) / shown - mean**2
    )
    failing = lines.failing > 0
    excess = (lines.errors[failing] - lines.failing[failing] * mean) ** 2 / (
        lines.failing[failing] * variance
    )
    return bool(excess.sum() > failing.sum() + 3 * math.sqrt(2 * failing.sum()))


def _line_fit(kind: int, lines: Lines, theta: Floats, errors: Floats, value: float) -> ModelFit:
    spread = float(theta[2])

    def weak_at(log_rate: float) -> float:
        return weak_fraction_of(math.exp(log_rate), bitline_spread=spread)

    parameters = _intervals(
        ("weak_fraction", "failure_probability", "spread"),
        theta[:3],
        errors[:3],
        (weak_at, _share, lambda value: max(0.0, value)),
    )
    if len(theta) == 4:
        failure = parameters["failure_probability"][0]
        most = min(failure, 1 - failure)
        parameters |= _intervals(
            ("failure_spread",), theta[3:], errors[3:], (lambda value: most * _share(value),)
        )
    model = ErrorModel.of(kind, **{name: each[0] for name, each in parameters.items()})
    return ModelFit(kind, model, parameters, -value, lines.cells)


def _log_likelihood(lines: Lines, weak: Floats, failure: float) -> Floats:
    """Return the log likelihood [lines] at P [lines or 1] and F."""
    right = math.log1p(-failure)
    shown = -math.expm1(lines.reads * right)  # a weak cell fails at least once
    counts = lines.errors * math.log(failure) + (lines.failing * lines.reads - lines.errors) * right
    return np.asarray(lines.failing * np.log(weak) + lines.clean * np.log1p(-weak * shown) + counts)


def _mean_factor(spread: float) -> float:
    """Return the mean of exp(spread z) over the classes of lines."""
    return float(np.exp(spread * _CLASS_Z).mean())


def _grid(lines: Lines, spread: float) -> Floats:
    """Return standard normal values to sum over.

    They are so close that the likelihood of no line falls between two of them.
    """
    narrowest = 1.0 / math.sqrt(1.0 + float(lines.failing.max()))
    step = min(0.1, 0.7 * narrowest / max(spread, 0.1))
    return np.linspace(-_END, _END, min(1201, 2 * math.ceil(_END / step) + 1))


def _line_likelihood(
    lines: Lines, grid: Floats, log_rate: float, spread: float, failure: float, half: float
) -> float:
    """Return the log likelihood of all lines.

    P is as in models.line_factors (lognormal, and a small share of the mean for each line), but
    smooth. F is uniform within `half` of `failure`. Lines with equal counts share the sum over P.
    """
    lognormal = np.exp(np.minimum(spread * grid, 40.0)) / _mean_factor(spread)
    rate = math.exp(log_rate) * (1 / STEPS + (1 - 1 / STEPS) * lognormal)
    weak = np.clip(-np.expm1(-rate), 1e-290, 1 - 1e-15)
    log_weak = np.log(weak)
    density = -0.5 * grid**2
    density -= np.logaddexp.reduce(density)
    nodes, weights = (
        np.polynomial.legendre.leggauss(_NODES) if half > 0 else (np.zeros(1), np.array([2.0]))
    )
    kinds, which = lines.kinds
    parts = []
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        chance = min(max(failure + half * node, 1e-9), 1 - 1e-9)
        right = math.log1p(-chance)
        shown = -math.expm1(lines.reads * right)
        cells = (
            np.outer(kinds[:, 0], log_weak)
            + np.outer(kinds[:, 1], np.log1p(-weak * shown))
            + density
        )
        top = cells.max(axis=1)
        sums = top + np.log(np.exp(cells - top[:, None]).sum(axis=1))
        counts = (
            lines.errors * math.log(chance) + (lines.failing * lines.reads - lines.errors) * right
        )
        parts.append(counts + math.log(weight / 2) + sums[which])
    return float(np.logaddexp.reduce(np.array(parts), axis=0).sum())


def _start(lines: Lines) -> tuple[float, float]:
    """Estimate P and F from moments.

    F of the cells that failed solves R F / (1 - (1 - F)^R) = errors per failing cell.
    """
    failing = int(lines.failing.sum())
    if failing == 0:
        raise FitError("no cell was ever wrong")
    mean = int(lines.errors.sum()) / failing
    low, high = 1e-6, 1 - 1e-6
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if lines.reads * middle / -math.expm1(lines.reads * math.log1p(-middle)) < mean
            else (low, middle)
        )
    shown = -math.expm1(lines.reads * math.log1p(-low))
    return min(1 - 1e-6, failing / lines.cells / shown), low


def _search(
    cost: Callable[[Floats], float], start: Floats, bounds: list[tuple[float, float]] | None = None
) -> tuple[Floats, Floats, float]:
    """Minimize a cost; return the place, the standard errors there, and the cost.

    Raises FitError if no cost is finite.
    """
    from scipy.optimize import minimize

    limits = np.array(bounds or [(-30.0, 30.0)] * len(start))
    start = np.clip(start, limits[:, 0], limits[:, 1])
    origin = cost(start)  # subtracted, so that the rest has more digits

    def sloped(theta: Floats) -> tuple[float, Floats]:
        steps = _STEP * np.eye(len(theta))
        gradient = [
            (
                cost(np.minimum(theta + step, limits[:, 1]))
                - cost(np.maximum(theta - step, limits[:, 0]))
            )
            / (2 * _STEP)
            for step in steps
        ]
        return cost(theta) - origin, np.array(gradient)

    # Scaled parameters have the same weight, so that the first steps are about a standard error.
    scale = 1.0 / (1.0 + np.abs(sloped(start)[1])) ** 0.5

    def scaled(inner: Floats) -> tuple[float, Floats]:
        value, gradient = sloped(inner * scale)
        return value, gradient * scale

    boxes = [(low, high) for low, high in (limits / scale[:, None]).tolist()]
    best: Any = None
    for _ in range(4):
        begin = start / scale if best is None else best.x
        result = minimize(
            scaled,
            begin,
            jac=True,
            method="L-BFGS-B",
            bounds=boxes,
            options={"ftol": 1e-13, "gtol": 1e-7},
        )
        gain = math.inf if best is None else best.fun - result.fun
        best = result if best is None or result.fun <= best.fun else best
        if gain < 1e-4:
            break
    if not math.isfinite(best.fun):
        raise FitError("the likelihood of the map is not finite")
    theta = best.x * scale
    return theta, _standard_errors(cost, theta), float(best.fun) + origin


def _standard_errors(cost: Callable[[Floats], float], theta: Floats) -> Floats:
    """Return standard errors from second differences; infinite where the cost is flat."""
    size = len(theta)
    step = 1e-3 * np.ones(size)
    middle = cost(theta)
    # Steps are wide enough to rise above rounding, and narrow enough for a parabola.
    for index in range(size):
        unit = np.eye(size)[index]
        while (
            step[index] < 0.5
            and cost(theta + step[index] * unit) + cost(theta - step[index] * unit) - 2 * middle
            < 0.1
        ):
            step[index] *= 2
    hessian = np.empty((size, size))
    for i in range(size):
        for j in range(i + 1):
            a, b = step[i] * np.eye(size)[i], step[j] * np.eye(size)[j]
            if i == j:
                hessian[i, i] = (cost(theta + a) + cost(theta - a) - 2 * middle) / step[i] ** 2
            else:
                difference = (
                    cost(theta + a + b)
                    - cost(theta + a - b)
                    - cost(theta - a + b)
                    + cost(theta - a - b)
                )
                hessian[i, j] = hessian[j, i] = difference / (4 * step[i] * step[j])
    try:
        variances = np.diag(np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return np.full(size, math.inf)
    return np.where(variances > 0, np.sqrt(np.maximum(variances, 0)), math.inf)


def _intervals(
    names: tuple[str, ...],
    theta: Floats,
    errors: Floats,
    scales: tuple[Callable[[float], float], ...],
) -> dict[str, tuple[float, float, float]]:
    """Return values and their 95 % intervals, each on its own scale."""
    intervals = {}
    for name, value, error, scale in zip(
        names, theta.tolist(), errors.tolist(), scales, strict=True
    ):
        reach = min(_T95 * error, 30.0)
        intervals[name] = (scale(value), scale(value - reach), scale(value + reach))
    return intervals


def _share(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value)) if value > -700 else 0.0


def _logit(share: float) -> float:
    return math.log(share) - math.log1p(-share)
