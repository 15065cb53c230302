"""Maximize the likelihood of rates of many modules, which differ at random.

    log10 rate = link(X b + W u) + e,  u ~ N(0, G) once per module,
                                       e ~ N(0, s0^2), in the tail N(0, s1^2)

All modules share the coefficients b. The offset and the slope u set a module apart from its
vendor's middle one. The scatter in decades around a module's own curve, s0 and s1, is small where
all cells fail and large where few do. A rate of 0 contributes P(rate < detection limit). Laplace's
approximation integrates u out, with Gauss-Newton steps to the mode of each module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import FitError

Floats = NDArray[np.float64]
#: Function from z to log10 of the share of the saturation, and its derivative.
Link = Callable[[Floats], tuple[Floats, Floats]]

_LN10 = math.log(10.0)
#: Differences of log likelihoods up to this are no gain.
_ROUNDING = 1e-10
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
#: Bounds of random effects in z; below the first they cannot be distinguished from 0.
_SD = (1e-3, 30.0)
#: Bounds of the scatter in decades. It is at least 5 %, since a curve at its saturation would
#: otherwise explain one point with any certainty.
_DECADES = (0.02, 5.0)


@dataclass(frozen=True)
class Observations:
    """n rates of several modules.

    Attributes
    ----------
    y
        log10 of the rate, or of the detection limit if `censored` [n].
    X, W
        Design matrices of the coefficients [n, k] and of the random effects [n, r].
    group
        Number of the module [n].
    tail
        Whether the rate lies beyond the centre, where few cells fail [n].
    """

    y: Floats
    censored: NDArray[np.bool_]
    X: Floats
    W: Floats
    group: NDArray[np.intp]
    tail: NDArray[np.bool_]
    modules: int

    def of(self, modules: NDArray[np.intp]) -> Observations:
        """Return the rates of modules, which may be repeated, each as a module of its own."""
        rows = [np.flatnonzero(self.group == module) for module in modules]
        index = np.concatenate(rows)
        group = np.repeat(np.arange(len(modules)), [len(each) for each in rows])
        return Observations(
            self.y[index],
            self.censored[index],
            self.X[index],
            self.W[index],
            group,
            self.tail[index],
            len(modules),
        )


@dataclass(frozen=True)
class MixtureFit:
    """The maximum of the likelihood.

    Attributes
    ----------
    coefficients
        Coefficients [k].
    module_sd
        Standard deviation of each random effect [r].
    s0, s1
        Scatter in decades.
    modes
        Modes of the random effects [modules, r].
    converged
        Whether restarting the optimizer gains nothing.
    parameters
        Number of parameters.
    """

    coefficients: Floats
    module_sd: Floats
    s0: float
    s1: float
    modes: Floats
    log_likelihood: float
    converged: bool
    parameters: int

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2 * self.parameters - 2 * self.log_likelihood

    @property
    def theta(self) -> Floats:
        """All parameters as `maximize` takes them."""
        return np.concatenate(
            [self.coefficients, np.log(self.module_sd), np.log([self.s0, self.s1])]
        )


class _Likelihood:
    """-log likelihood of theta, with its gradient by forward differences.

    Theta has the coefficients and the logarithms of the module sds, s0 and s1. All differences are
    one batch (the leading axis b of the arrays), so that a gradient costs little more than a value.
    """

    #: Step of the differences; the modes are far more exact.
    STEP = 1e-5

    def __init__(self, data: Observations, link: Link, log10_saturation: float) -> None:
        from scipy.special import log_ndtr

        self._log_ndtr = log_ndtr
        self.data, self.link, self.top = data, link, log10_saturation
        self.effects = data.W.shape[1]
        self.members = np.zeros((len(data.y), data.modules))
        self.members[np.arange(len(data.y)), data.group] = 1.0
        self.products = {
            (i, j): data.W[:, i] * data.W[:, j] for i in range(self.effects) for j in range(i + 1)
        }
        self.modes = np.zeros((data.modules, self.effects))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        thetas = theta + np.vstack([np.zeros(len(theta)), self.STEP * np.eye(len(theta))])
        values, modes = self.values(thetas)
        self.modes = modes[0]
        return float(values[0]), (values[1:] - values[0]) / self.STEP

    def values(self, thetas: Floats) -> tuple[Floats, Floats]:
        """Return -log likelihood [b] and modes [b, modules, effects] of several thetas."""
        k = self.data.X.shape[1]
        fixed = thetas[:, :k] @ self.data.X.T
        spread = np.exp(thetas[:, k:])
        module_sd, s0, s1 = spread[:, : self.effects], spread[:, -2, None], spread[:, -1, None]
        joint, hessian, modes = self._climb(fixed, module_sd, s0, s1)
        scaled = hessian * (module_sd[:, None, :, None] * module_sd[:, None, None, :])
        sign, logdet = np.linalg.slogdet(scaled)
        values = -np.sum(joint - 0.5 * logdet, axis=1)
        return np.where(np.isfinite(values) & np.all(sign > 0, axis=1), values, 1e12), modes

    def _climb(
        self, fixed: Floats, module_sd: Floats, s0: Floats, s1: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return the joint log density at the modes, the Gauss-Newton Hessian there, and the modes.

        The density leaves out its factor of 2 pi.
        """
        modes = np.repeat(self.modes[None], len(fixed), axis=0)
        sd = np.where(self.data.tail, s1, s0)
        joint, gradient, hessian = self._terms(fixed, modes, module_sd, sd)
        for _ in range(40):
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            if np.max(np.sum(step * gradient, axis=-1)) < _ROUNDING:
                break
            scale = np.ones(joint.shape)
            for _ in range(10):
                trial = modes + scale[..., None] * step
                result = self._terms(fixed, trial, module_sd, sd)
                worse = ~(result[0] >= joint - _ROUNDING)
                if not worse.any():
                    break
                scale = np.where(worse, scale * 0.4, scale)
            better = result[0] >= joint - _ROUNDING
            modes = np.where(better[..., None], trial, modes)
            joint = np.where(better, result[0], joint)
            gradient = np.where(better[..., None], result[1], gradient)
            hessian = np.where(better[..., None, None], result[2], hessian)
            if not better.any():
                break
        return joint, hessian, modes

    def _terms(
        self, fixed: Floats, modes: Floats, module_sd: Floats, sd: Floats
    ) -> tuple[Floats, Floats, Floats]:
        data = self.data
        z = fixed + np.sum(data.W * modes[:, data.group, :], axis=-1)
        level, slope = self.link(z)
        ratio = (data.y - self.top - level) / sd
        terms = -0.5 * ratio**2 - np.log(sd) - _HALF_LOG_2PI
        first, second = ratio, np.ones_like(ratio)
        if data.censored.any():
            part = ratio[:, data.censored]
            below = self._log_ndtr(part)
            mills = np.exp(-0.5 * part**2 - _HALF_LOG_2PI - below)
            terms[:, data.censored] = below
            first = first.copy()
            first[:, data.censored], second[:, data.censored] = -mills, mills * (mills + part)
        first, second = first * slope / sd, second * (slope / sd) ** 2
        joint = terms @ self.members - 0.5 * np.sum((modes / module_sd[:, None]) ** 2, axis=-1)
        gradient = (
            np.stack([(first * data.W[:, j]) @ self.members for j in range(self.effects)], axis=-1)
            - modes / module_sd[:, None] ** 2
        )
        hessian = np.empty((*joint.shape, self.effects, self.effects))
        for (i, j), product in self.products.items():
            hessian[..., i, j] = hessian[..., j, i] = (second * product) @ self.members
        diagonal = np.arange(self.effects)
        hessian[..., diagonal, diagonal] += 1.0 / module_sd[:, None] ** 2
        return joint, gradient, hessian


def maximize(
    data: Observations,
    link: Link,
    saturation: float,
    start: Floats,
    falling: NDArray[np.bool_],
    *,
    restarts: int = 3,
    fixed: Floats | None = None,
) -> MixtureFit:
    """Maximize the likelihood from a start.

    Parameters
    ----------
    data
        The rates.
    link
        The link function.
    saturation
        Rate where all cells fail.
    start
        Coefficients, log sd of each random effect, log s0 and log s1.
    falling
        Which coefficients must not rise above 0, since a larger VDD or tRCD never adds errors [k].
    restarts
        How often the optimizer starts, at most.
    fixed
        Values of coefficients that stay, NaN for the others [k].

    Raises
    ------
    FitError
        If no likelihood is finite.
    """
    likelihood = _Likelihood(data, link, math.log10(saturation))
    k = data.X.shape[1]
    spreads = [_SD] * (len(start) - k - 2) + [_DECADES] * 2
    bounds = [(-math.inf, 0.0 if is_falling else math.inf) for is_falling in falling]
    bounds += [(math.log(low), math.log(high)) for low, high in spreads]
    if fixed is not None:
        bounds[:k] = [
            bound if math.isnan(value) else (value, value)
            for bound, value in zip(bounds, fixed.tolist(), strict=False)
        ]
    best, settled = _minimized(likelihood, start, bounds, restarts)
    if not math.isfinite(best.fun) or best.fun >= 1e11:
        raise FitError("the likelihood is not finite near the start: the data are no such rates")
    _, modes = likelihood.values(best.x[None])
    spread = np.exp(best.x[k:])
    return MixtureFit(
        best.x[:k],
        spread[:-2],
        float(spread[-2]),
        float(spread[-1]),
        modes[0],
        -float(best.fun),
        settled,
        len(start) - (not data.tail.any()),
    )


def _minimized(
    likelihood: _Likelihood, start: Floats, bounds: list[tuple[float, float]], restarts: int
) -> tuple[Any, bool]:
    """Minimize from a start; return scipy's best result, and whether another start gained little.

    A new start makes the optimizer forget a curvature that no longer holds.
    """
    from scipy.optimize import minimize

    best: Any = None
    for _ in range(restarts):
        result = minimize(
            likelihood,
            start if best is None else best.x,
            method="L-BFGS-B",
            jac=True,
            bounds=bounds,
            options={"maxiter": 300, "ftol": 1e-10},
        )
        gain = math.inf if best is None else best.fun - result.fun
        best = result if best is None or result.fun <= best.fun else best
        if gain < 1e-3:
            return best, True
    return best, restarts == 1


def slope_evidence(
    data: Observations,
    link: Link,
    saturation: float,
    fit: MixtureFit,
    falling: NDArray[np.bool_],
    factor: float,
) -> float:
    """Return the loss of log likelihood if all slopes are multiplied and all else is refitted."""
    slopes = np.where(falling, fit.coefficients * factor, np.nan)
    start = fit.theta
    start[: len(slopes)] = np.where(falling, slopes, start[: len(slopes)])
    other = maximize(data, link, saturation, start, falling, restarts=1, fixed=slopes)
    return fit.log_likelihood - other.log_likelihood


def probit(z: Floats) -> tuple[Floats, Floats]:
    """Return log10 of the share Phi(z), and its derivative."""
    from scipy.special import log_ndtr

    log_share = log_ndtr(z)
    return log_share / _LN10, np.exp(-0.5 * z * z - _HALF_LOG_2PI - log_share) / _LN10


def logit(z: Floats) -> tuple[Floats, Floats]:
    """Return log10 of the share 1 / (1 + exp(-z)), and its derivative."""
    return -np.logaddexp(0.0, -z) / _LN10, 1.0 / (1.0 + np.exp(np.clip(z, -700, 700))) / _LN10


def exponential(z: Floats) -> tuple[Floats, Floats]:
    """Return log10 of the share 1 - exp(-exp(z)), and its derivative.

    The share is exponential in the tail and 1 at the top.
    """
    rate = np.exp(np.clip(z, -700, 50))
    share = -np.expm1(-rate)
    return np.where(z < -30, z / _LN10, np.log10(np.maximum(share, 1e-300))), np.where(
        z < -30, 1.0, rate * np.exp(-rate) / np.maximum(share, 1e-300)
    ) / _LN10


#: Links by name.
LINKS: dict[str, Link] = {"probit": probit, "logit": logit, "exponential": exponential}


def inverse(form: str, share: Floats) -> Floats:
    """Return z of shares between 0 and 1."""
    from scipy.special import ndtri

    share = np.clip(share, 1e-300, 1 - 1e-12)
    if form == "probit":
        return np.asarray(ndtri(share))
    return np.asarray(
        np.log(share) - np.log1p(-share) if form == "logit" else np.log(-np.log1p(-share))
    )
