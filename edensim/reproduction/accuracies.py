"""Accuracies of networks over memories and seeds, and the words that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edensim.accuracy.evaluation import interval_of
from edensim.reproduction.target import Source, mean

PRECISIONS: Final = ("int4", "int8", "int16", "fp32")
#: Accuracy that is given up where a tolerable BER or point is looked for.
DROP: Final = 0.01
OTHER_NETWORK: Final = "another network and another data set than the paper's"

Points = Sequence[Mapping[str, Any]]


def means_of(points: Points) -> list[float]:
    """Accuracy at each point, over memories."""
    return [mean(point["accuracies"]) for point in points]


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[tuple[float, float]]]:
    """Mean accuracy at each point over seeds, and its 95 % interval."""
    by_seed = [means_of(run["points"]) for run in runs]
    columns = list(zip(*by_seed, strict=True))
    return [mean(column) for column in columns], [
        interval_of(column) or (column[0], column[0]) for column in columns
    ]


def note(source: Source, runs: Sequence[Mapping[str, Any]]) -> str:
    """What was tested, in a line."""
    seeds = f"{len(runs)} seeds" if len(runs) > 1 else "one seed"
    return f"{source.title}: {runs[0]['images']:,} test images, {100 * mean([run['clean'] for run in runs]):.2f} % right without errors, {seeds}"


def percent(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """An interval of shares."""
    return None if ends is None else (100 * ends[0], 100 * ends[1])
