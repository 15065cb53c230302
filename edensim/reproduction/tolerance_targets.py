"""Targets 9 and 10: the BER that networks tolerate, and a mapping by it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from edensim.accuracy.evaluation import interval_of
from edensim.plots.style import BLUE, VERMILLION, add_legend, new_figure
from edensim.reproduction.published import TITLES, published
from edensim.reproduction.section import Content, Picture, Row, Table
from edensim.reproduction.target import (
    OTHER_NETWORK,
    PRECISIONS,
    Outcomes,
    Scope,
    Source,
    Target,
    description,
    geometric_mean,
    mean,
    percent_interval,
)
from edensim.reproduction.task import Task

# 9: coarse tolerance

#: Precisions that target 9 boosts at, as table 3.
BOOSTED: Final = ("fp32", "int8")


def coarse_tasks(scope: Scope) -> dict[str, Task]:
    """Return searches for the tolerable BER of each network.

    They differ in precision, in boosting (FP32 and int8), and in how implausible values are
    bounded (FP32).
    """
    tasks = {}
    for source in (*scope.sources, *scope.coarse_only):
        cost = 1 if source.data == "digits" else 20
        variants = {
            precision: (precision, "zero", precision in BOOSTED and not source.brief, 35 * cost)
            for precision in _precisions(source)
        }
        if not source.brief:
            for bounding in ("off", "saturate"):
                variants[bounding] = "fp32", bounding, False, 6 * cost
        for seed in range(1, source.coarse_seeds + 1):
            for name, (precision, bounding, boosted, cost_s) in variants.items():
                arguments = {
                    "workload": source.workload(
                        precision, seed, train_images=source.train_images, size=source.size
                    ),
                    "bounding": bounding,
                    "boosted": boosted,
                    "epochs": source.epochs,
                }
                task = Task("coarse_tolerance", arguments, cost_s)
                tasks[f"{source.label} {name} {seed}"] = task
    return tasks


def _precisions(source: Source) -> Sequence[str]:
    return BOOSTED if source.brief else PRECISIONS


def coarse(scope: Scope, outcomes: Outcomes) -> Content:
    """Report target 9."""
    rows: list[Row] = []
    text: list[str] = []
    for source in (*scope.sources, *scope.coarse_only):
        seeds = range(1, source.coarse_seeds + 1)
        rows += [
            row
            for precision in _precisions(source)
            for row in _boosting_rows(source, precision, outcomes)
        ]
        if not source.brief:
            rows += _bounding_rows(source, outcomes)
        runs = [outcomes[f"{source.label} int8 {seed}"] for seed in seeds]
        text.append(f"{description(source, runs)}; accuracy may fall by 1 %.")
    why = (
        "no trained weights at this size and data set come with a package; its traffic and energy "
        "are in targets 1 to 4"
    )
    rows += [
        Row(f"{TITLES[network]}, {precision}, boosted", paper[precision][0], None, "%", why)
        for network, paper in published()["table3"].items()
        for precision in BOOSTED
    ]
    return Content(rows=rows, text=text)


def _bers(source: Source, name: str, key: str, outcomes: Outcomes) -> list[float]:
    """Return the tolerable BERs of one variant, one per seed."""
    seeds = range(1, source.coarse_seeds + 1)
    return [float(outcomes[f"{source.label} {name} {seed}"][key]) for seed in seeds]


def _boosting_rows(source: Source, precision: str, outcomes: Outcomes) -> list[Row]:
    """Return the tolerable BER at a precision without and with boosting, and the gain."""
    what = f"{source.title}, {precision}"

    def percent_row(words: str, bers: Sequence[float], why: str) -> Row:
        ours = 100 * mean(bers)
        return Row(f"{what}, {words}", None, ours, "%", why, percent_interval(bers))

    before = _bers(source, precision, "unboosted", outcomes)
    rows = [percent_row("un-boosted", before, "not in table 3")]
    if precision in BOOSTED and not source.brief:
        after = _bers(source, precision, "boosted", outcomes)
        rows.append(percent_row("boosted", after, "table 3 has no such network"))
        gains = [high / low for high, low in zip(after, before, strict=True) if low]
        rows.append(
            Row(
                f"{what}: gain of boosting",
                published()["boosting_gain"][0],
                geometric_mean(gains),
                "times",
                "the paper says 5 to 10 times (its smaller figure stands here)",
                interval_of(gains),
                key=True,
            )
        )
    return rows


def _bounding_rows(source: Source, outcomes: Outcomes) -> list[Row]:
    """Return how much more FP32 networks tolerate if implausible values are set to zero."""
    rows = []
    off, saturate, zero = (
        _bers(source, name, "unboosted", outcomes) for name in ("off", "saturate", "fp32")
    )
    if all(off):
        gain = geometric_mean([after / before for after, before in zip(zero, off, strict=True)])
        what = f"{source.title}: gain of zeroing implausible FP32 values"
        why = "from 1e-7 to 1e-3 in the paper, boosted; ours is not boosted"
        rows.append(Row(what, published()["bounding_gain"], gain, "times", why, key=True))
    if all(saturate):
        gain = geometric_mean([a / b for a, b in zip(zero, saturate, strict=True)])
        what = f"{source.title}: zeroing over saturating"
        why = "the paper gives accuracies (8 % lower on CIFAR-10)"
        rows.append(Row(what, None, gain, "times", why))
    return rows


# 10: fine tolerance

#: Options of the search in a network that is trained here.
SHALLOW_SEARCH: Final = {"validation_share": 1.0, "fine_repeats": 3}
#: Options in a deep network: large steps, and retraining after each round of raises. Without that,
#: what a sample of the images allows fails on all of them.
DEEP_SEARCH: Final = {
    "validation_share": 0.5,
    "fine_repeats": 1,
    "step": 0.5,
    "cap": 8.0,
    "fine_epochs": 1,
}


def fine_tasks(scope: Scope) -> dict[str, Task]:
    """Return one search per network, mapped on the TPU with the module that table 3 implies."""
    tasks = {}
    for source in scope.sources:
        trained_here = source.weights is None
        arguments = {
            "workload": source.workload("int8", 1),
            "device": "eden-table3",
            "machine": "tpu",
            "search": SHALLOW_SEARCH
            if trained_here
            else {**DEEP_SEARCH, "train_images": source.train_images},
        }
        tasks[source.network] = Task("fine_mapping", arguments, 30 if trained_here else 400)
    return tasks


def fine(scope: Scope, outcomes: Outcomes) -> Content:
    """Report target 10."""
    rows: list[Row] = []
    text, tables, pictures = [], [], []
    for source in scope.sources:
        run = outcomes[source.network]
        rows += _fine_rows(source, run)
        partitions = [
            [
                part["name"],
                f"{part['vdd_V'] or 'nominal'}",
                f"{part['trcd_ns'] or 'nominal'}",
                f"{100 * part['ber']:.2g}",
                str(len(part["items"])),
            ]
            for part in run["partitions"]
        ]
        header = ["partition", "VDD (V)", "tRCD (ns)", "BER (%)", "items"]
        tables.append(Table(f"{source.title}: partitions", header, partitions))
        text.append(
            f"{description(source, [run])}; coarse BER {100 * run['coarse']:.3g} %; "
            "the paper's four partitions lie at 1.5, 5.0, 6.0 and 7.5 %."
        )
        title = (
            f"Tolerable BER of each tensor of {source.title}, over the coarse one; "
            "beside it ResNet101's"
        )
        pictures.append(
            Picture(f"fine-{source.network}", title, partial(draw_fine, source.title, run))
        )
    return Content(rows=rows, text=text, tables=tables, pictures=pictures)


def _fine_rows(source: Source, run: Mapping[str, Any]) -> list[Row]:
    """Compare the tolerances of a network's tensors with the paper's, and report the mapping."""
    paper, ours = _published_tolerances(), _tolerances(run)
    why = OTHER_NETWORK + (
        "; ours is not retrained between raises"
        if source.weights is None
        else "; one epoch between rounds of raises"
    )
    rows = [
        Row(f"{source.title}: {what}", theirs, figure, "times", why, key=what in _FINE_KEYS)
        for (what, theirs), figure in zip(
            _figures(paper).items(), _figures(ours).values(), strict=True
        )
    ]
    costs = run["costs"]
    over = 100 * (costs["greedy"] / costs["exact"] - 1)
    saved = 100 * run["comparison"]["energy_saved"]
    what, why = "greedy mapping over the optimum", "the paper has no exact mapping"
    rows.append(Row(f"{source.title}: {what}", None, over, "%", why))
    what, why = "energy saved by the fine mapping on the TPU", "not in the paper"
    rows.append(Row(f"{source.title}: {what}", None, saved, "%", why, key=True))
    return rows


#: Tolerable BERs of the weights and of the ifms in depth order, and the coarse BER.
Tolerances = tuple[Sequence[float], Sequence[float], float]


def _published_tolerances() -> Tolerances:
    paper = published()["fine"]
    return paper["weights"], paper["ifms"], paper["coarse"]


def _tolerances(run: Mapping[str, Any]) -> Tolerances:
    weights, ifms = (
        [item["ber"] for item in run["items"].values() if item["role"] == role]
        for role in ("weights", "ifm")
    )
    return weights, ifms, run["coarse"]


_FINE_KEYS: Final = ("weights, mean over coarse", "ifms, mean over coarse")


def _figures(tolerances: Tolerances) -> dict[str, float]:
    """Return the figures that are compared, by what they are."""
    weights, ifms, coarse_ber = tolerances
    return {
        "most tolerant item over coarse": max([*weights, *ifms]) / coarse_ber,
        "weights, mean over coarse": mean(weights) / coarse_ber,
        "ifms, mean over coarse": mean(ifms) / coarse_ber,
        "first weights over the mean of weights": weights[0] / mean(weights),
        "last weights over the mean of weights": weights[-1] / mean(weights),
    }


def draw_fine(title: str, run: Mapping[str, Any]) -> SubFigure:
    """Draw the tolerable BER of each tensor, the paper's network at the left and ours beside it."""
    panel = new_figure(7.6, 3.4, f"left: ResNet101, figure 11 of the paper; right: {title}, int8")
    left, right = panel.subplots(1, 2)

    def draw(axes: Axes, tolerances: Tolerances, title: str, named: bool) -> None:
        *lines, coarse_ber = tolerances
        looks = (("weights", "o-", BLUE), ("ifms", "s--", VERMILLION))
        for bers, (name, look, colour) in zip(lines, looks, strict=True):
            relative = [ber / coarse_ber for ber in bers]
            axes.plot(relative, look, color=colour, ms=4, label=name if named else "_")
        axes.set(title=title, xlabel="Layer, in depth order", ylim=(0, None))

    draw(left, _published_tolerances(), "ResNet101, published", True)
    draw(right, _tolerances(run), "ours", False)
    left.set_ylabel("Tolerable BER over the coarse one")
    add_legend(panel)
    return panel


TOLERANCE_TARGETS: Final = (
    Target(9, "coarse", "Tolerable BER, one for all data", coarse_tasks, coarse),
    Target(
        10,
        "fine",
        "Tolerable BER of each tensor, and a mapping to four partitions",
        fine_tasks,
        fine,
    ),
)
