"""Every network on every machine: cycles, DRAM bytes, energy at the nominal point and at EDEN's, speedup, and the time a run takes.

    python benchmarks/bench_machines.py --out machines.json
    python benchmarks/bench_machines.py --machines tpu gpu --networks lenet alexnet

One pass of batch 1. The reduced point is EDEN's table 3 at that precision: so much off VDD (in proportion to the paper's 1.2 V DDR4)
and off tRCD.
Seconds are CPU time of the run at the reduced point with its energies, warm; baselines are not included.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from edensim.reproduction.machine_work import machine_run
from edensim.reproduction.published import published

#: VDD (V) and tRCD (ns) taken off; LeNet's, which EDEN's table 3 leaves out, from its figure 9.
REDUCTIONS = {
    network: {precision: said[1:] for precision, said in own.items()}
    for network, own in published()["table3"].items()
}
REDUCTIONS |= {"lenet": {"fp32": [0.25, 4.5], "int8": [0.25, 4.5]}}
MACHINES = ("cpu", "gpu", "eyeriss", "tpu")


def row(machine: str, network: str, precision: str) -> dict[str, Any]:
    """One network on one machine."""
    less_V, less_ns = REDUCTIONS[network][precision]
    started = time.process_time()
    reduced = machine_run(machine, network, precision, less_V, less_ns)
    seconds = time.process_time() - started
    nominal, ideal = (
        machine_run(machine, network, precision),
        machine_run(machine, network, precision, ideal=True),
    )
    energy_pJ = [run["energy_pJ"]["linear"]["total"] for run in (nominal, reduced)]
    return {
        "machine": machine,
        "network": network,
        "precision": precision,
        **reduced["point"],
        "cycles": reduced["cycles"],
        "time_ms": reduced["time_ns"] / 1e6,
        "dram_MB": reduced["dram_bytes"] / 1e6,
        "nominal_mJ": energy_pJ[0] / 1e9,
        "reduced_mJ": energy_pJ[1] / 1e9,
        "energy_saved": 1 - energy_pJ[1] / energy_pJ[0],
        "speedup": nominal["time_ns"] / reduced["time_ns"],
        "ideal_speedup": nominal["time_ns"] / ideal["time_ns"],
        "seconds": seconds,
    }


def main() -> None:
    """Print a table, row by row as it is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", nargs="+", default=MACHINES, choices=MACHINES)
    parser.add_argument("--networks", nargs="+", default=list(REDUCTIONS), choices=list(REDUCTIONS))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "int8"])
    parser.add_argument("--out", type=Path, help="JSON file of the rows")
    options = parser.parse_args()
    print(
        "| network | machine | cycles | DRAM MB | nominal mJ | reduced mJ | saved | speedup | tRCD = 0 | run s |"
    )
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
