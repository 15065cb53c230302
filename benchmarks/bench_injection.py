"""Bytes of tensor per CPU second of bit-flip injection, in place, by error model and BER; against MRFI and PyTorchFI in the same run.

Weak cells fail with probability 0.5, so there are twice as many as flips. --peers names a Python that has torch, mrfi and pytorchfi.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import numpy as np
import workloads as shared

from edensim.bit_errors.cells import geometry_of
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel, at_ber, kinds
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard

BERS = (1e-6, 1e-4, 1e-3, 1e-2, 4e-2)
PEER_BERS = (1e-4, 1e-2)


def model_of(name: str, ber: float) -> ErrorModel:
    """A model at a BER; values differ fourfold where the model tells them apart."""
    if name == "data-dependent":
        return ErrorModel.of(
            name, weak_fraction=0.0, failure_of_ones=0.2, failure_of_zeros=0.8
        ).at_ber(ber)
    return at_ber(name, ber)


def seconds(placed: Injector, array: np.ndarray) -> float:
    """CPU seconds of one pass."""
    begin = time.process_time()
    placed.flip(array)
    return time.process_time() - begin


def peer_figures(python: str, size: int) -> dict[str, Any]:
    """What injection_peers.py measures."""
    script = str(shared.Path(__file__).with_name("injection_peers.py"))
    *_, output = shared.process_seconds(
        [python, script, str(size), "3", *map(str, PEER_BERS)], {"OMP_NUM_THREADS": "1"}
    )
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def main() -> None:
    """Time all models at all BERs in turn and print a table."""
    options = shared.parser(__doc__, runs=9)
    options.add_argument("--bytes", type=int, default=1 << 23)
    options.add_argument("--mapping", default="RoBaRaCoCh")
    options.add_argument("--channels", type=int, default=1)
    options.add_argument("--ber", type=float, action="append", help="only this BER; repeatable")
    options.add_argument(
        "--peers", metavar="PYTHON", help="a Python with torch, mrfi and pytorchfi"
    )
    arguments = options.parse_args()
    standard = load_standard("DDR4", organization="8Gb_x8")
    geometry = geometry_of(MemorySystem.nominal(standard, arguments.channels, arguments.mapping))
    array = np.random.default_rng(1).integers(0, 256, arguments.bytes, dtype=np.uint8)
    names = [kind.name for kind in kinds()]
    results: dict[str, Any] = {}
    print(
        f"GB/s per CPU second, best of {arguments.runs}, {arguments.bytes >> 20} MiB in place; in brackets: model 0's over the model's"
    )
    print(f"{'BER':8}" + "".join(f"{name:>22}" for name in names))
    for ber in arguments.ber or BERS:
        placed = {name: injector(geometry, model_of(name, ber)) for name in names}
        times: dict[str, list[float]] = {name: [] for name in names}
        tasks = {name: partial(seconds, placed[name], array) for name in names}
        for name, taken in shared.alternating(arguments.runs, tasks):
            times[name].append(taken)
        rates = {name: array.size / min(taken) / 1e9 for name, taken in times.items()}
        results[str(ber)] = {"GBps": rates, "cpu_s": times}
        print(
            f"{ber:<8g}"
            + "".join(
                f"{rates[name]:14.2f} [{rates['uniform'] / rates[name]:4.2f}]" for name in names
            ),
            flush=True,
        )
    figures: dict[str, Any] = {
        "benchmark": "injection",
        "bytes": arguments.bytes,
        "mapping": arguments.mapping,
        "bers": results,
    }
    if arguments.peers:
        peers = figures["peers"] = peer_figures(arguments.peers, arguments.bytes)
        for ber in (each for each in PEER_BERS if str(each) in results):
            if "mrfi" in peers:
                rate = arguments.bytes / peers["mrfi"][str(ber)] / 1e9
                print(
                    f"MRFI at {ber:g}: {rate:.2f} GB/s; edensim model 0 is {results[str(ber)]['GBps']['uniform'] / rate:.1f} times as fast"
                )
            if "pytorchfi_s_per_flip" in peers:
                estimate = (
                    arguments.bytes
                    / (8 * arguments.bytes * ber * peers["pytorchfi_s_per_flip"])
                    / 1e9
                )
                print(
                    f"PyTorchFI at {ber:g}: {estimate:.2g} GB/s, extrapolated from {1e6 * peers['pytorchfi_s_per_flip']:.0f} us per flip"
                )
        print(
            *(f"{name}: {text}" for name, text in peers.items() if name.endswith("_problem")),
            sep="\n",
        )
    shared.finish(arguments, figures)


if __name__ == "__main__":
    main()
