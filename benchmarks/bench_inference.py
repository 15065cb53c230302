"""CPU time of inference with bit errors in all weights and ifms, over that of the plain torch module (fp32, no quantization), in pairs.

bench_inference.py resnet20 --data cifar10.tar.gz --weights resnet20.th
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import workloads as shared

from edensim.accuracy.evaluation_target import EvaluationTarget, evaluation_target
from edensim.accuracy.memory import configured_errors
from edensim.accuracy.options import EvaluateOptions, MemoryOptions


def seconds(tested: EvaluationTarget, errors: list[Any] | None) -> float:
    """CPU seconds of the whole test: plain (None) or from memory."""
    begin = time.process_time()
    if errors is None:
        tested.unquantized_accuracy()
    else:
        tested.outcomes(errors)
    return time.process_time() - begin


def main() -> None:
    """Time plain, quantized and injected passes in turn and print the median ratios."""
    parser = shared.parser(__doc__ or "", runs=15)
    parser.add_argument("network", nargs="?", default="lenet")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--weights")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--ber", type=float, default=1e-2)
    arguments = parser.parse_args()
    options = EvaluateOptions(
        data=arguments.data,
        weights=arguments.weights,
        precision=arguments.precision,
        images=arguments.images,
        device="cpu",
    )
    tested = evaluation_target(arguments.network, options, batch=arguments.batch)
    cases: dict[str, list[Any] | None] = {"plain": None, "quantized": [None]}
    for model in range(4):
        plan = configured_errors(MemoryOptions(model=model), ber=arguments.ber)
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
            "weights": arguments.weights,
            "precision": arguments.precision,
            "images": arguments.images,
            "batch": arguments.batch,
            "network": arguments.network,
            "ber": arguments.ber,
            "cpu_s": times,
            "ratios": ratios,
        },
    )


if __name__ == "__main__":
    main()
