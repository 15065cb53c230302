"""Summarize accuracies of networks over memories and seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edensim.accuracy.evaluation import interval_of
from edensim.reproduction.target import Source, mean

PRECISIONS: Final = ("int4", "int8", "int16", "fp32")
#: Accuracy that is given up for a tolerable BER or operating point.
DROP: Final = 0.01
OTHER_NETWORK: Final = "another network and another data set than the paper's"


def means_of(points: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the mean accuracy at each point over memories."""
    return [mean(point["accuracies"]) for point in points]


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the mean accuracy at each point over seeds, and its 95 % interval."""
    columns = list(zip(*(means_of(run["points"]) for run in runs), strict=True))
    intervals = [interval_of(column) or (column[0], column[0]) for column in columns]
    return [mean(column) for column in columns], intervals


def description(source: Source, runs: Sequence[Mapping[str, Any]]) -> str:
    """Describe in a line what was tested."""
    seeds = f"{len(runs)} seeds" if len(runs) > 1 else "one seed"
    clean = 100 * mean([run["clean"] for run in runs])
    return (
        f"{source.title}: {runs[0]['images']:,} test images, "
        f"{clean:.2f} % right without errors, {seeds}"
    )


def percent_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of shares, in percent."""
    ends = interval_of(values)
    return None if ends is None else (100 * ends[0], 100 * ends[1])
