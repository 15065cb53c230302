"""Every network on every machine: cycles, DRAM bytes, energy at the nominal point and at EDEN's, speedup, and the time a run takes.

    python benchmarks/bench_machines.py --out machines.json
    python benchmarks/bench_machines.py --machines tpu gpu --networks lenet alexnet

One pass of batch 1. The reduced point is EDEN's table 3 at that precision: so much off VDD (in proportion to the paper's 1.2 V DDR4)
and off tRCD.
Seconds are CPU time of the run at the reduced point, warm; baselines are not included.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from edensim.config import load_config
from edensim.dram.standard import load_standard
from edensim.layers import comparison
from edensim.system import prepare, result, simulate

HARDWARE = Path(__file__).resolve().parent.parent / "configs" / "hardware"
#: VDD (V) and tRCD (ns) taken off: EDEN, table 3, FP32 and int8; LeNet from its figure 9.
REDUCTIONS = {
    "resnet101": {"fp32": (0.30, 5.5), "int8": (0.30, 5.5)},
    "mobilenetv2": {"fp32": (0.25, 1.0), "int8": (0.10, 1.0)},
    "vgg16": {"fp32": (0.35, 6.0), "int8": (0.35, 6.0)},
    "densenet201": {"fp32": (0.25, 2.0), "int8": (0.25, 2.0)},
    "squeezenet1.1": {"fp32": (0.10, 1.0), "int8": (0.10, 1.0)},
    "alexnet": {"fp32": (0.30, 4.5), "int8": (0.30, 4.5)},
    "yolov3": {"fp32": (0.35, 6.0), "int8": (0.30, 5.5)},
    "yolov3-tiny": {"fp32": (0.30, 5.0), "int8": (0.30, 4.5)},
    "lenet": {"fp32": (0.25, 4.5), "int8": (0.25, 4.5)},
}
MACHINES = ("cpu", "gpu", "eyeriss", "tpu")


def row(machine: str, network: str, precision: str) -> dict[str, Any]:
    """One network on one machine."""
    path = HARDWARE / f"eden-{machine}.yaml"
    base = load_config(path).config
    standard = load_standard(base.dram.standard, organization=base.dram.organization, speed_bin=base.dram.speed_bin)
    less_V, less_ns = REDUCTIONS[network][precision]
    vdd_V = round(standard.currents.vdd_V * (1 - less_V / 1.2), 4)
    trcd_ns = round(standard.timings["nRCD"] * standard.tck_ps / 1000 - less_ns, 3)
    runs = {}
    for name, point in (("reduced", [f"dram.vdd_V={vdd_V}", f"dram.trcd_ns={trcd_ns}"]), ("nominal", []), ("ideal", ["dram.trcd_ns=0.001"])):
        prepared = prepare(load_config(path, [f"network={network}", f"precision={precision}", *point]).config)
        started = time.process_time()
        memory = simulate(prepared)
        seconds = time.process_time() - started
        runs[name] = result(prepared, memory), seconds
    reduced, seconds = runs["reduced"]
    against = comparison(reduced, runs["nominal"][0])
    return {
        "machine": machine,
        "network": network,
        "precision": precision,
        "vdd_V": vdd_V,
        "trcd_ns": trcd_ns,
        "cycles": reduced.cycles,
        "time_ms": reduced.time_ns / 1e6,
        "dram_MB": sum(sum(layer["bytes_by_kind"].values()) for layer in reduced.layers) / 1e6,
        "nominal_mJ": against["energy_pJ"] / 1e9,
        "reduced_mJ": reduced.energy_pJ.total / 1e9,
        "energy_saved": against["energy_saved"],
        "speedup": against["speedup"],
        "ideal_speedup": runs["nominal"][0].time_ns / runs["ideal"][0].time_ns,
        "seconds": seconds,
    }


def main() -> None:
    """Print a table, row by row as it is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", nargs="+", default=MACHINES, choices=MACHINES)
    parser.add_argument("--networks", nargs="+", default=list(REDUCTIONS), choices=list(REDUCTIONS))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "int8"])
    parser.add_argument("--out", type=Path, help="JSON file of the rows")
    options = parser.parse_args()
    print("| network | machine | cycles | DRAM MB | nominal mJ | reduced mJ | saved | speedup | tRCD = 0 | run s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for network in options.networks:
        for machine in options.machines:
            found = row(machine, network, options.precision)
            rows.append(found)
            print(
                f"| {network} | {machine} | {found['cycles']:,} | {found['dram_MB']:,.1f} | {found['nominal_mJ']:,.3f} | {found['reduced_mJ']:,.3f} "
                f"| {100 * found['energy_saved']:.1f} % | {found['speedup']:.4f} | {found['ideal_speedup']:.4f} | {found['seconds']:.1f} |",
                flush=True,
            )
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
