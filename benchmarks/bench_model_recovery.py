"""Are the four error models and their parameters found again? Bit errors of virtual modules, whose truth the fit does not see.

    python benchmarks/bench_model_recovery.py [--trials 100] [--seed 1] [--models 01234] [--json OUT]

Each trial draws parameters, places weak cells in a DDR4 module by edensim's own injector, reads 512 rows x 512 bitlines of random data 16 times, and
fits the map of wrong bits. 4 stands for model 1 with lines that differ by next to nothing, where model 0 is to be chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edensim.bit_errors.cells import geometry_of
from edensim.bit_errors.injector import injector
from edensim.bit_errors.models import ErrorModel
from edensim.bit_errors.selection import ErrorMap, select_model
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard

ROWS, BITLINES, READS = 512, 512, 16
#: Kind 4 of the command line: model 1 that is model 0 but for the name.
TIE = 4


def drawn_model(kind: int, random: np.random.Generator) -> ErrorModel:
    """A model with parameters as they occur between 5 and 7.5 ns."""
    weak = float(10 ** random.uniform(-2.0, -1.2))
    failure = float(random.uniform(0.2, 0.6))
    if kind == 0:
        return ErrorModel.of(0, weak_fraction=weak, failure_probability=failure)
    if kind == TIE:
        return ErrorModel.of(1, weak_fraction=weak, failure_probability=failure, spread=0.02)
    if kind == 3:
        other = failure + float(random.choice([-1.0, 1.0])) * float(random.uniform(0.05, 0.15))
        return ErrorModel.of(3, weak_fraction=weak, failure_of_ones=failure, failure_of_zeros=other)
    scatter = float(random.choice([0.0, random.uniform(0.05, 0.15)]))
    return ErrorModel.of(
        kind,
        weak_fraction=weak,
        failure_probability=failure,
        spread=float(random.uniform(0.4, 1.2)),
        failure_spread=scatter,
    )


def measured(model: ErrorModel, seed: int) -> ErrorMap:
    """What a board would show: the same rows read again and again."""
    standard = load_standard("DDR4")
    placed = injector(
        geometry_of(MemorySystem.nominal(standard, address_mapping="ChRaBaRoCo")), model, seed=seed
    )
    row_bytes = standard.organization.bursts_per_row * standard.organization.access_bytes
    random = np.random.default_rng(seed)
    stored = random.integers(0, 256, (ROWS, row_bytes), dtype=np.uint8)
    wrong = np.zeros((ROWS, BITLINES), dtype=np.int64)
    for access in range(READS):
        read, _ = placed.flipped(stored, 0, access=access)
        wrong += np.unpackbits((read ^ stored)[:, : BITLINES // 8], axis=1, bitorder="little")
    bits = np.unpackbits(stored[:, : BITLINES // 8], axis=1, bitorder="little")
    return ErrorMap(Path("virtual"), wrong, READS, bits, None, None, 20.0)


def trials(kind: int, count: int, seed: int) -> dict[str, Any]:
    """How often the model was chosen, and each parameter was in its 95 % interval."""
    chosen: list[int] = []
    inside: dict[str, list[bool]] = {}
    for number in range(count):
        random = np.random.default_rng([seed, kind, number])
        truth = drawn_model(kind, random)
        selection = select_model(measured(truth, 1000 * kind + number + seed))
        chosen.append(selection.model.kind)
        for name, (_, low, high) in (
            selection.fit_of(truth.kind).parameters.items() if kind != TIE else ()
        ):
            inside.setdefault(name, []).append(bool(low <= truth.parameters[name] <= high))
    expected = 0 if kind == TIE else kind
    return {
        "trials": count,
        "selected": sum(each == expected for each in chosen),
        "inside": {name: [sum(values), len(values)] for name, values in inside.items()},
    }


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", default="01234")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for kind in map(int, arguments.models):
        found[str(kind)] = trials(kind, arguments.trials, arguments.seed)
        sys.stderr.write(f"{kind}: {found[str(kind)]}\n")
        text = json.dumps(
            {
                "rows": ROWS,
                "bitlines": BITLINES,
                "reads": READS,
                "seed": arguments.seed,
                "models": found,
            },
            indent=1,
        )
        if arguments.json:
            arguments.json.write_text(text + "\n")
    if not arguments.json:
        sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
