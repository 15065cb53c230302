"""Fit a curve to measured rates.

Candidates are fitted by maximum likelihood, the best is chosen by AIC, and intervals come from a
bootstrap over modules. Each candidate has a link (probit, logit, exponential), a variable (the
quantity, its square, or a bend at the centre), perhaps a hard cut-off at the lowest quantity that
never failed, and modules that differ by an offset, or by an offset and a slope. The fit uses the
temperature at which most modules were measured. The effect of temperature is fitted after that,
from pairs of the same module and pattern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.candidates import Candidate, Form, Variable
from edensim.bit_errors.characterization import Characterization
from edensim.bit_errors.curve import ANY, PATTERNS, VARIABLES, Curve, Spread, Structure, regressors
from edensim.bit_errors.effects import bank_sd, goodness, temperature_effect
from edensim.bit_errors.mixture import MixtureFit, Observations, inverse, maximize, slope_evidence
from edensim.exceptions import DataError, FitError
from edensim.vocabulary import ProgressCallback

Floats = NDArray[np.float64]

#: Candidates whose AIC differs by less are as good as each other.
NEAR: Final = 2.0
#: The data must refute slopes that are so many times as steep or as shallow.
SLOPE_FACTOR: Final = 4.0
#: Share of the bootstrap's replicates that must converge.
MOST: Final = 0.5


_Fitted = tuple[Candidate, MixtureFit, Observations]


@dataclass(frozen=True)
class FitReport:
    """How a curve was fitted.

    Attributes
    ----------
    aic
        AIC of every candidate, by name.
    residual_decades
        Standard deviation of the rates above 0 around the curve of their own module.
    deviance_explained
        Explained share of the null model's binomial deviance.
    dispersion
        How many times more the rates scatter than binomial ones.
    intervals
        95 % interval of each coefficient, from percentiles of the bootstrap.
    dropped
        Number of rows left out, by reason.
    unresolved
        Candidates that are as good.
    cross_validation
        Result of `validation.cross_validate`, if it was requested.
    """

    curve: Curve
    aic: dict[str, float]
    log_likelihood: float
    points: int
    zeros: int
    modules: tuple[str, ...]
    residual_decades: float
    deviance_explained: float
    dispersion: float
    intervals: dict[str, tuple[float, float]]
    bootstrap: int
    dropped: dict[str, int]
    unresolved: tuple[str, ...] = ()
    cross_validation: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the curve, which is in the module's file."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        del values["curve"]
        return values


@dataclass(frozen=True)
class _Sample:
    """Rates of modules at one temperature, for the likelihood."""

    table: Characterization
    patterns: tuple[str, ...]
    modules: tuple[str, ...]
    centre: float
    scale: float
    limit: float


def fit_curve(
    data: Characterization,
    *,
    structure: Structure | None = None,
    bootstrap: int = 100,
    seed: int = 1,
    source: str = "",
    progress: ProgressCallback | None = None,
) -> FitReport:
    """Fit the curve that describes the rates of one vendor best.

    Raises
    ------
    FitError
        If nothing converges, or the data do not decide a parameter.
    DataError
        If there are no patterns that can be used.
    """
    sample = _sample(data)
    fits: list[_Fitted] = []
    candidates = _candidates(sample)
    for number, candidate in enumerate(candidates):
        observations = _observations(sample, candidate)
        try:
            fit = _best(observations, candidate)
        except (FitError, np.linalg.LinAlgError):
            continue
        if fit.converged:
            fits.append((candidate, fit, observations))
        if progress is not None:
            progress(number + 1, len(candidates) + bootstrap)
    if not fits:
        raise FitError(f"{data.path}: no candidate converged ({len(candidates)} tried)")
    ranked = _identifiable(sample, sorted(fits, key=lambda fitted: _aic(fitted[0], fitted[1])))
    candidate, best, observations = ranked[0]
    drawn = _bootstrap(observations, candidate, best, bootstrap, seed, progress, len(candidates))
    curve = _curve(data, sample, candidate, best, drawn, structure or Structure(), source)
    return _report(data, sample, ranked, curve, drawn)


def _sample(data: Characterization) -> _Sample:
    """Take means over banks at the temperature that most modules share.

    Raises FitError if that leaves too little to identify the parameters.
    """
    table = data.over_banks()
    temperatures = {
        float(each): len(set(table.module[table.temp_C == each].tolist()))
        for each in set(table.temp_C.tolist())
    }
    base = max(temperatures, key=lambda each: (temperatures[each], -abs(each - 20.0)))
    table = table.choose(table.temp_C == base)
    table = _measured_patterns(table)
    failing = sorted(set(table.x[table.rate > 0].tolist()))
    if len(failing) < 2:
        unit = "tRCD" if data.axis == "trcd_ns" else "VDD"
        raise FitError(
            f"{data.path}: errors at {len(failing)} value(s) of {unit}; the slope is not "
            "identifiable from fewer than two"
        )
    modules = tuple(sorted(set(table.module.tolist())))
    if len(modules) < 3:
        raise FitError(
            f"{data.path}: {len(modules)} module(s); what modules differ by is not identifiable "
            "from fewer than three"
        )
    patterns = tuple(p for p in (*PATTERNS, ANY) if p in set(table.pattern.tolist()))
    limit = float(np.median(1.0 / table.tested))
    middle = failing[len(failing) // 2]
    steps = np.diff(sorted(set(table.x.tolist())))
    return _Sample(table, patterns, modules, middle, float(np.median(steps)), limit)


def _measured_patterns(table: Characterization) -> Characterization:
    """Leave out patterns that never failed, and those that a curve does not have (0x55, ...)."""
    known = set(table.pattern.tolist())
    if known == {ANY}:
        return table
    if not known & set(PATTERNS):
        raise DataError(
            f"{table.path}: pattern: expected some of {', '.join(PATTERNS)}, "
            f"found {', '.join(sorted(known))}"
        )
    failing = {p for p in PATTERNS if np.any(table.rate[table.pattern == p] > 0)}
    return table.choose(
        np.isin(table.pattern, sorted(failing)),
        "patterns that never failed or are not 0x00, 0xff, 0xaa, 0xcc",
    )


def _candidates(sample: _Sample) -> list[Candidate]:
    table = sample.table
    highest = float(table.x[table.rate > 0].max())
    clean = [x for x in sorted(set(table.x.tolist())) if x > highest]
    cutoffs = [None, clean[0]] if clean and table.axis == "trcd_ns" else [None]
    saturations = (1.0, 0.5) if table.rate_kind == "line_fault_fraction" else (0.5,)
    if table.rate.max() > 0.6 and table.rate_kind == "line_fault_fraction":
        saturations = (1.0,)
    failing = [
        len(set(table.x[(table.module == m) & (table.rate > 0)].tolist())) for m in sample.modules
    ]
    tilting = sum(count >= 2 for count in failing) >= 3
    bending = len(set(table.x[table.rate > 0].tolist())) >= 3
    variables: list[Variable] = [
        v
        for v in VARIABLES
        if v == "linear" or table.axis == "trcd_ns" and (v == "square" or bending)
    ]
    if table.axis == "trcd_ns":
        effects = [2 if tilting else 1]
    else:
        effects = [1, 2] if tilting else [1]
    forms: tuple[Form, ...] = ("probit", "logit", "exponential")
    return [
        Candidate(form, variable, cutoff, saturation, count)
        for form in forms
        for variable in variables
        if variable == "linear" or form == "probit"
        for cutoff in cutoffs
        for saturation in saturations
        for count in effects
    ]


def _observations(sample: _Sample, candidate: Candidate) -> Observations:
    """Return log10 of the rates below a cut-off, with their design matrices."""
    table = sample.table
    used = candidate.used(table.x)
    x, rate, tested = table.x[used], table.rate[used], table.tested[used]
    censored = rate <= 0
    y = np.log10(np.where(censored, 1.0 / tested, np.maximum(rate, 1e-300)))
    values = np.array(
        [regressors(candidate.variable, each, sample.centre, sample.scale) for each in x.tolist()]
    )
    columns = [np.ones(len(x)), *values.T]
    pattern = table.pattern[used]
    X = np.stack(
        [np.where(pattern == each, column, 0.0) for each in sample.patterns for column in columns],
        axis=1,
    )
    W = np.stack([np.ones(len(x)), values.sum(axis=1)][: candidate.effects], axis=1)
    group = np.array(
        [sample.modules.index(each) for each in table.module[used].tolist()], dtype=np.intp
    )
    tail = (x > sample.centre + 1e-9) & (table.axis == "trcd_ns")
    return Observations(y, censored, X, W, group, tail, len(sample.modules))


def _best(observations: Observations, candidate: Candidate) -> MixtureFit:
    """Maximize the likelihood, from least squares of the rates above 0."""
    k = observations.X.shape[1]
    share = (
        10.0 ** np.minimum(observations.y, math.log10(candidate.saturation * 0.98))
        / candidate.saturation
    )
    z = inverse(candidate.form, share)
    failing = ~observations.censored
    coefficients = np.linalg.lstsq(observations.X[failing], z[failing], rcond=None)[0]
    falling = candidate.falling(k)
    coefficients = np.where(falling, np.minimum(coefficients, -0.2), coefficients)
    spread = max(0.1, float(np.std(z[failing] - observations.X[failing] @ coefficients)))
    start = np.concatenate([coefficients, np.log([spread] * candidate.effects), np.log([0.2, 0.4])])
    return maximize(observations, candidate.link, candidate.saturation, start, falling)


def _aic(candidate: Candidate, fit: MixtureFit) -> float:
    """Return AIC, with a cut-off as one more parameter."""
    return fit.aic + (2.0 if candidate.cutoff is not None else 0.0)


def _identifiable(sample: _Sample, ranked: list[_Fitted]) -> list[_Fitted]:
    """Leave out the best candidates if the data do not decide their slopes.

    Slopes SLOPE_FACTOR times as steep or as shallow must lose likelihood (95 %, by its profile).
    Raises FitError if no candidate passes.
    """
    complaint = ""
    for number, (candidate, fit, observations) in enumerate(ranked[:4]):
        falling = candidate.falling(len(fit.coefficients))
        lost = [
            slope_evidence(observations, candidate.link, candidate.saturation, fit, falling, f)
            for f in (1 / SLOPE_FACTOR, SLOPE_FACTOR)
        ]
        if min(lost) > 1.92:
            return ranked[number:]
        if not complaint:
            direction = "shallow" if lost[0] <= 1.92 else "steep"
            complaint = (
                f"slopes of {candidate.name} that are {SLOPE_FACTOR:g} times as {direction} "
                "explain the data as well"
            )
    raise FitError(
        f"{sample.table.path}: not identifiable: {complaint} (log likelihood {-min(lost):+.2f})"
    )


def _bootstrap(
    observations: Observations,
    candidate: Candidate,
    best: MixtureFit,
    count: int,
    seed: int,
    progress: ProgressCallback | None,
    done: int,
) -> Floats:
    """Return coefficients [replicates, k] of fits to modules drawn with repetition.

    Raises FitError if most replicates do not converge.
    """
    random = np.random.default_rng(seed)
    falling = candidate.falling(len(best.coefficients))
    replicates = []
    for number in range(count):
        drawn = random.integers(0, observations.modules, observations.modules)
        try:
            fit = maximize(
                observations.of(drawn),
                candidate.link,
                candidate.saturation,
                best.theta,
                falling,
                restarts=1,
            )
            replicates.append(fit.coefficients)
        except (FitError, np.linalg.LinAlgError):
            pass
        if progress is not None:
            progress(done + number + 1, done + count)
    if len(replicates) < MOST * count:
        raise FitError(
            f"the bootstrap converged for {len(replicates)} of {count} draws of modules: the "
            "parameters are not identifiable"
        )
    return np.array(replicates).reshape(len(replicates), len(best.coefficients))


def _curve(
    data: Characterization,
    sample: _Sample,
    candidate: Candidate,
    fit: MixtureFit,
    drawn: Floats,
    structure: Structure,
    source: str,
) -> Curve:
    from scipy.stats import t as student

    width = candidate.width
    number = len(sample.modules)
    correction = math.sqrt(number / (number - 1))
    sds = [*(fit.module_sd * correction), 0.0][:2]
    if len(drawn) > 2:
        # Without clipping, a few extreme draws of modules would dominate the covariance.
        low, high = np.percentile(drawn, [1, 99], axis=0)
        covariance = np.cov(np.clip(drawn, low, high), rowvar=False) * correction**2
    else:
        covariance = np.zeros((0, 0))
    base = float(sample.table.temp_C[0])
    curve = Curve(
        axis=data.axis,
        rate=data.rate_kind,
        source=source,
        at=dict(data.at),
        low=float(sample.table.x.min()),
        high=float(sample.table.x.max()),
        base_temp_C=base,
        temp_C=(base, base),
        detection_limit=sample.limit,
        form=candidate.form,
        variable=candidate.variable,
        centre=sample.centre,
        scale=sample.scale,
        saturation=candidate.saturation,
        cutoff=candidate.cutoff,
        coefficients={
            p: tuple(map(float, fit.coefficients[i * width : (i + 1) * width]))
            for i, p in enumerate(sample.patterns)
        },
        spread=Spread(
            offset_sd=float(sds[0]),
            slope_sd=float(sds[1]),
            scatter_decades=fit.s0,
            scatter_tail_decades=fit.s1 if data.axis == "trcd_ns" else fit.s0,
            modules=number,
            quantile=float(student.ppf(0.975, number - 1)),
        ),
        structure=structure,
        covariance=tuple(tuple(map(float, row)) for row in covariance),
    )
    return _with_details(data, curve)


def _with_details(data: Characterization, curve: Curve) -> Curve:
    """Add the effect of temperature, and how banks differ."""
    effect = temperature_effect(data, curve)
    spread = msgspec.structs.replace(curve.spread, bank_sd=bank_sd(data, curve))
    if effect is None:
        return msgspec.structs.replace(curve, spread=spread)
    return msgspec.structs.replace(
        curve, spread=spread, temperature=effect.per_10_degrees, temp_C=effect.range_C
    )


def _report(
    data: Characterization, sample: _Sample, ranked: Sequence[_Fitted], curve: Curve, drawn: Floats
) -> FitReport:
    candidate, best, observations = ranked[0]
    deviance_explained, dispersion, residual = goodness(observations, candidate, best, sample.table)
    width = candidate.width
    names = [
        f"{p}.{part}"
        for p in sample.patterns
        for part in ("offset", *(["slope"] if width == 2 else ["slope_below", "slope_above"]))
    ]
    low, high = (
        np.percentile(drawn, [2.5, 97.5], axis=0)
        if len(drawn)
        else (best.coefficients, best.coefficients)
    )
    aic = {each.name: round(_aic(each, fit), 2) for each, fit, _ in ranked}
    unresolved = tuple(
        each.name for each, fit, _ in ranked[1:] if _aic(each, fit) - _aic(candidate, best) < NEAR
    )
    summary: dict[str, float | int | str | list[str]] = {
        "candidate": candidate.name,
        "aic": round(_aic(candidate, best), 2),
        "next_aic": round(_aic(*ranked[1][:2]), 2) if len(ranked) > 1 else "none",
        "next": ranked[1][0].name if len(ranked) > 1 else "none",
        "points": len(observations.y),
        "zeros": int(observations.censored.sum()),
        "residual_decades": round(residual, 4),
        "deviance_explained": round(deviance_explained, 4),
        "dispersion": float(f"{dispersion:.3g}"),
        "bootstrap": len(drawn),
        "modules": list(sample.modules),
    }
    return FitReport(
        curve=msgspec.structs.replace(curve, fit=summary),
        aic=aic,
        log_likelihood=best.log_likelihood,
        points=len(observations.y),
        zeros=int(observations.censored.sum()),
        modules=sample.modules,
        residual_decades=residual,
        deviance_explained=deviance_explained,
        dispersion=dispersion,
        intervals={name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)},
        bootstrap=len(drawn),
        dropped=dict(data.dropped),
        unresolved=unresolved,
    )
