"""Accuracy against BER for each error model and precision (what figure 8 of the EDEN paper shows), in several memories, as JSON and a picture.

bench_model_shapes.py resnet20 --data cifar10.tar.gz --weights resnet20.th --json shapes.json --figure shapes.png
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import workloads as shared

from edensim.dnn.layout import PRECISION_BITS
from edensim.errors.injector import injector
from edensim.errors.models import at_ber, kind_of
from edensim.inference.evaluation import interval_of, planned
from edensim.inference.quantization import PRECISIONS
from edensim.inference.subject import Subject, subject

#: Of model 3: with equal probabilities it would be model 0.
FAILURES = {3: {"failure_of_ones": 0.9, "failure_of_zeros": 0.1}}


def curve(tested: Subject, model: int, bers: list[float], seeds: int, threads: int) -> list[dict[str, Any]]:
    """Accuracy and the rate at which bits really flipped, at each BER."""
    plan = planned(module=None, model=model, ber=1e-3, seed=1, config=None, overrides=(), sections={})
    found = []
    for ber in bers:
        errors = [injector(plan.geometry, at_ber(model, ber, **FAILURES.get(model, {})), seed=1 + seed) for seed in range(seeds)]
        outcomes = tested.outcomes(errors, threads=threads)
        accuracies = [outcome.accuracy for outcome in outcomes]
        tallies = [tally for outcome in outcomes for tally in outcome.items.values()]
        flipped = sum(tally.flips for tally in tallies) / sum(tally.bits for tally in tallies)
        found.append({"ber": ber, "flipped": flipped, "accuracies": accuracies, "interval": interval_of(accuracies)})
    return found


def cliff(clean: float, points: list[dict[str, Any]], drop: float) -> float | None:
    """Highest BER up to which every mean is within a drop; None: not even the lowest."""
    within = None
    for point in points:
        if sum(point["accuracies"]) / len(point["accuracies"]) < clean - drop:
            break
        within = point["ber"]
    return within


def draw(result: dict[str, Any], path: Path) -> None:
    """A panel per precision, a line per model, intervals of 95 %."""
    from edensim.plots.style import COLOURS, GREY, LINES, MARKERS, add_legend, new_figure, save, styled

    with styled():
        memories = f"{result['seeds']} memories, bounding {result['bounding']}; vertical lines: 95 % of the mean"
        caption = f"{result['network']} on {result['images']} images, {memories}"
        panel = new_figure(8.4, 5.6, caption)
        grid = panel.subplots(2, 2, sharex=True, sharey=True)
        for place, (precision, own) in enumerate(result["precisions"].items()):
            axes = grid[place // 2][place % 2]
            axes.axhline(100 * own["clean"], color=GREY, lw=0.8, ls=":")
            for model, points in own["models"].items():
                at, look = [point["ber"] for point in points], int(model)
                means = [100 * sum(point["accuracies"]) / len(point["accuracies"]) for point in points]
                named = f"model {model} ({kind_of(look).name})" if place == 0 else "_"
                axes.plot(at, means, marker=MARKERS[look], ls=LINES[look], color=COLOURS[look], ms=4, label=named)
                if all(point["interval"] for point in points):
                    low, high = ([100 * min(max(point["interval"][end], 0), 1) for point in points] for end in (0, 1))
                    axes.vlines([x * 1.04 ** (look - 1.5) for x in at], low, high, color=COLOURS[look], lw=0.8, alpha=0.6)
            axes.set_title(f"{precision}, {own['clean']:.1%} without errors")
            axes.set_xscale("log")
            axes.set_ylim(0, 100)
        for axes in grid[1]:
            axes.set_xlabel("Bit error rate")
        for row in grid:
            row[0].set_ylabel("Accuracy (%)")
        add_legend(panel)
        save(panel, path)


def main() -> None:
    """Test every model at every precision, print where accuracy falls, and draw."""
    options = shared.parser(__doc__ or "", runs=1)
    options.add_argument("network", nargs="?", default="lenet")
    options.add_argument("--data", default="digits")
    options.add_argument("--weights")
    options.add_argument("--images", type=int, default=300)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--bounding", default="zero", choices=("zero", "saturate", "off"))
    options.add_argument("--drop", type=float, default=0.05, help="from which on the accuracy counts as fallen")
    options.add_argument("--figure", type=Path)
    options.add_argument("--drawn-from", type=Path, help="JSON of an earlier run: only draw it")
    arguments = options.parse_args()
    if arguments.drawn_from is not None:
        draw(json.loads(arguments.drawn_from.read_text()), arguments.figure)
        return
    bers = [10 ** (exponent / 2) for exponent in range(-10, -1)]
    correction = None if arguments.bounding == "off" else arguments.bounding
    begin = time.process_time()
    result: dict[str, Any] = {"benchmark": "model shapes", **{key: getattr(arguments, key) for key in ("network", "images", "seeds", "bounding")}}
    result |= {"failures": {str(model): given for model, given in FAILURES.items()}, "precisions": {}}
    for precision in sorted(PRECISIONS, key=PRECISION_BITS.__getitem__):
        chosen = {"weights": arguments.weights, "images": arguments.images, "precision": precision, "correction": correction}
        tested = subject(arguments.network, arguments.data, **chosen)
        [clean] = tested.outcomes([None], threads=arguments.threads)
        models = {str(model): curve(tested, model, bers, arguments.seeds, arguments.threads) for model in range(4)}
        result["precisions"][precision] = {"clean": clean.accuracy, "models": models}
        print(f"{precision}: {clean.accuracy:.2%} without errors ({time.process_time() - begin:.0f} CPU s so far)", flush=True)
        for model, points in models.items():
            means = " ".join(f"{sum(point['accuracies']) / len(point['accuracies']):6.1%}" for point in points)
            print(f"  model {model}  {means}   within {arguments.drop:.0%} up to {cliff(clean.accuracy, points, arguments.drop)}", flush=True)
    result["cpu_s"] = time.process_time() - begin
    if arguments.figure is not None:
        draw(result, arguments.figure)
    shared.finish(arguments, result)


if __name__ == "__main__":
    main()
