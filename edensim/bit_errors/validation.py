"""Measure how well a fit predicts modules that it has not seen."""

import math
from typing import Any

import numpy as np

from edensim.bit_errors.characterization import Characterization
from edensim.bit_errors.curve import Curve
from edensim.bit_errors.fitting import FitReport, fit_curve
from edensim.exceptions import DataError, FitError


def cross_validate(
    data: Characterization, report: FitReport, *, bootstrap: int = 30
) -> dict[str, Any]:
    """Leave out each module in turn, fit the others, and predict it.

    The form of the curve is chosen anew each time. The result has, by quantity, the median absolute
    log10 error of the mean over patterns and banks, and how many modules were in the interval; for
    VDD also the error of the voltage at which errors begin.
    """
    judged: list[tuple[str, dict[str, Any]]] = []
    failed: list[str] = []
    for module in report.modules:
        try:
            others = fit_curve(
                data.choose(data.module != module),
                structure=report.curve.structure,
                bootstrap=bootstrap,
            )
        except (FitError, DataError):
            failed.append(module)
            continue
        judged.append((module, judge(data.choose(data.module == module), others.curve)))
    return {
        "modules": {name: each for name, each in judged},
        "not_fitted": failed,
        **summarize([each for _, each in judged]),
    }


def judge(data: Characterization, curve: Curve) -> dict[str, Any]:
    """Compare the rates of a module with a curve, by quantity; for VDD also where errors begin."""
    table = data.over_banks()
    table = table.choose(
        (table.temp_C == curve.base_temp_C) & np.isin(table.pattern, list(curve.patterns))
    )
    points: dict[str, Any] = {}
    for x in sorted(set(table.x.tolist())):
        at = table.x == x
        patterns = tuple(p for p in curve.patterns if p in set(table.pattern[at].tolist()))
        measured = float(np.mean([table.rate[at & (table.pattern == p)].mean() for p in patterns]))
        low, high = curve.interval_at(patterns, x)
        predicted = curve.rate_at(patterns, x)
        floor = curve.detection_limit
        error = math.log10(max(predicted, floor)) - math.log10(max(measured, floor))
        points[f"{x:g}"] = {
            "measured": measured,
            "predicted": predicted,
            "interval": [low, high],
            "log10_error": error,
            "inside": low <= measured <= max(high, floor),
        }
    values: dict[str, Any] = {"points": points}
    if curve.axis == "vdd_V":
        failing = table.x[table.rate > 0]
        if len(failing):
            values["onset_measured_V"] = float(failing.max())
            values["onset_predicted_V"] = onset(curve)
    return values


def onset(curve: Curve, step: float = 0.0005) -> float:
    """Return the highest quantity at which the middle module reaches the detection limit."""
    steps = round((curve.high - curve.low) / step)
    at = [curve.high - step * index for index in range(steps + 1)]
    return next(
        (x for x in at if curve.rate_at(curve.patterns, x) >= curve.detection_limit), curve.low
    )


def summarize(judged: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over modules."""
    errors: dict[str, list[float]] = {}
    inside: dict[str, list[bool]] = {}
    for each in judged:
        for x, point in each["points"].items():
            if point["measured"] > 0:
                errors.setdefault(x, []).append(abs(point["log10_error"]))
            inside.setdefault(x, []).append(point["inside"])
    summary: dict[str, Any] = {
        "median_log10_error": {
            x: float(np.median(values))
            for x, values in sorted(errors.items(), key=lambda item: float(item[0]))
        },
        "inside": {
            x: f"{sum(values)} of {len(values)}"
            for x, values in sorted(inside.items(), key=lambda item: float(item[0]))
        },
    }
    onsets = [
        abs(each["onset_measured_V"] - each["onset_predicted_V"])
        for each in judged
        if "onset_measured_V" in each
    ]
    if onsets:
        summary["median_onset_error_V"] = float(np.median(onsets))
    return summary
