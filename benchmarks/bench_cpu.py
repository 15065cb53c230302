"""CPU seconds and figures of networks on the CPU front end, at EDEN's set-up: nominal, with tRCD reduced, and with next to none. Numbers to JSON.

python benchmarks/bench_cpu.py --networks vgg16 yolov3 --libraries darknet --out cpu.json
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from edensim.config.loading import load_config
from edensim.dram.memory_system import MemorySystem
from edensim.engine.engine import Engine
from edensim.engine.loop_nests import run_loop_nests
from edensim.engine.monitor import Monitor
from edensim.machines.cpu.machine import cpu_machine
from edensim.networks.layout import lay_out
from edensim.networks.loading import load_network

#: EDEN's CPU: two cores, DDR4-2133, two channels; its reduction of tRCD (5.5 ns of 14.06 ns), and one clock in place of none.
SETUP = ("frontend=cpu", "dram.channels=2", "dram.speed_bin=2133P")
POINTS = {"nominal": (), "reduced": ("dram.trcd_ns=8.56",), "ideal": ("dram.trcd_ns=0.9",)}
NETWORKS = (
    "lenet",
    "squeezenet1.1",
    "alexnet",
    "mobilenetv2",
    "yolov3-tiny",
    "densenet201",
    "resnet101",
    "vgg16",
    "yolov3",
)


def figures(
    network: str, library: str, point: str, precision: str, settings: list[str]
) -> dict[str, Any]:
    """One pass of a network."""
    config = load_config(
        None,
        [
            *SETUP,
            *POINTS[point],
            f"network={network}",
            f"precision={precision}",
            f"cpu.library={library}",
            *settings,
        ],
    ).config
    memory = MemorySystem.resolve(config.dram, config.controller)
    read = load_network(
        network, batch=config.batch, height=config.input_height, width=config.input_width
    )
    engine = Engine(memory, config.controller, Monitor(), keep_returns=True)
    machine = cpu_machine(read, lay_out(read.fused(), precision), config.cpu)
    begin, wall = time.process_time(), time.perf_counter()
    run = run_loop_nests(engine, machine)
    seconds = {"cpu_s": time.process_time() - begin, "wall_s": time.perf_counter() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "network": network,
        "library": library,
        "point": point,
        "precision": machine.precision,
        **run.total.to_dict(),
        **seconds,
        "peak_MiB": peak,
    }


def main() -> None:
    """Run what is asked for, one after the other; results so far are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--libraries", nargs="+", default=["blocked"])
    parser.add_argument("--points", nargs="+", default=list(POINTS), choices=list(POINTS))
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for network in options.networks:
        for library in options.libraries:
            nominal = None
            for point in options.points:
                row = figures(network, library, point, options.precision, options.settings)
                nominal = nominal or row["cycles"]
                row["speedup"] = nominal / row["cycles"]
                rows.append(row)
                sys.stdout.write(
                    f"{network:14} {library:8} {point:8} {row['cycles']:>14,} cycles, IPC {row['ipc']:.2f}, MPKI {row['mpki']:.2f}, "
                    f"exposed ACT/KI {row['exposed_activations_per_kilo_instruction']:.3f}, speedup {row['speedup']:.4f}, {row['cpu_s']:.1f} CPU s\n"
                )
                sys.stdout.flush()
                if options.out is not None:
                    options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
