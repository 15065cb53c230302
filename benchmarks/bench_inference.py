"""CPU time of inference with bit errors in all weights and ifms, over that of the plain torch module (fp32, no quantization), in pairs.

bench_inference.py resnet20 --data cifar10.tar.gz --weights resnet20.th
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import workloads as shared

from edensim.accuracy.evaluation import planned
from edensim.accuracy.evaluation_target import Subject, subject


def seconds(tested: Subject, errors: list[Any] | None) -> float:
    """CPU seconds of the whole test: plain (None) or from memory."""
    begin = time.process_time()
    if errors is None:
        tested.unquantized_accuracy()
    else:
        tested.outcomes(errors)
    return time.process_time() - begin


def main() -> None:
    """Time plain, quantized and injected passes in turn and print the median ratios."""
    options = shared.parser(__doc__ or "", runs=15)
    options.add_argument("network", nargs="?", default="lenet")
    options.add_argument("--data", default="digits")
    options.add_argument("--weights")
    options.add_argument("--precision", default="int8")
    options.add_argument("--images", type=int, default=160)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--ber", type=float, default=1e-2)
    arguments = options.parse_args()
    chosen = {
        name: getattr(arguments, name) for name in ("weights", "precision", "images", "batch")
    }
    tested = subject(arguments.network, arguments.data, **chosen)
    cases: dict[str, list[Any] | None] = {"plain": None, "quantized": [None]}
    for model in range(4):
        plan = planned(
            module=None,
            model=model,
            ber=arguments.ber,
            seed=None,
            config=None,
            overrides=(),
            sections={},
        )
        cases[f"model {model}"] = [plan.injector]
    times: dict[str, list[float]] = {name: [] for name in cases}
    for name, taken in shared.alternating(
        arguments.runs,
        {name: (lambda errors=errors: seconds(tested, errors)) for name, errors in cases.items()},
    ):
        times[name].append(taken)
    print(f"{'':12}{'img/cpu-s':>12}{'over plain':>12}{'quartiles':>16}")
    ratios = {}
    for name, taken in times.items():
        low, middle, high = np.quantile(
            np.array(taken) / np.array(times["plain"]), [0.25, 0.5, 0.75]
        )
        ratios[name] = [float(low), float(middle), float(high)]
        print(
            f"{name:12}{len(tested.dataset) / np.median(taken):12.0f}{middle:12.2f}{low:9.2f}-{high:.2f}"
        )
    shared.finish(
        arguments,
        {
            "benchmark": "inference",
            **chosen,
            "network": arguments.network,
            "ber": arguments.ber,
            "cpu_s": times,
            "ratios": ratios,
        },
    )


if __name__ == "__main__":
    main()
