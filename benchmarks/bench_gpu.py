"""CPU seconds of each network on the GPU, in closed loop with GDDR5: the walk through the L2 cache alone, and the whole run.

Also shows what each network gains from tRCD: reduced (--trcd-ns), and ideal (the least that can be set).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import workloads as shared

from edensim.config.loading import load_config
from edensim.config.models import DramConfig
from edensim.config.paths import configs_folder
from edensim.dram.memory_system import MemorySystem
from edensim.engine.memory_run import simulate_machine
from edensim.machines.gpu.machine import gpu_machine
from edensim.networks.layout import lay_out
from edensim.networks.loading import load_network

NETWORKS = (
    "lenet",
    "alexnet",
    "squeezenet1.1",
    "mobilenetv2",
    "resnet101",
    "densenet201",
    "vgg16",
    "yolov3-tiny",
    "yolov3",
)


def seconds_of_walk(machine: Any) -> float:
    """Making all schedules."""
    begin = time.process_time()
    for _ in machine.schedules():
        pass
    return time.process_time() - begin


def figures(name: str, options: Any) -> dict[str, Any]:
    """One network: seconds, cycles at each tRCD, traffic."""
    network = load_network(name, batch=options.batch).fused()
    config = load_config(configs_folder() / "hardware" / "eden-gpu.yaml").config
    machine = gpu_machine(network, lay_out(network, options.precision), config.gpu)
    walk = min(seconds_of_walk(machine) for _ in range(options.runs))
    controller = msgspec.structs.replace(
        config.controller, address_mapping=options.mapping or config.controller.address_mapping
    )
    cycles, seconds, run = [], [], None
    for trcd_ns in (None, options.trcd_ns, 0.001):
        memory = MemorySystem.resolve(
            DramConfig(standard="GDDR5", channels=options.channels, trcd_ns=trcd_ns), controller
        )
        begin = time.process_time()
        run = simulate_machine(memory, controller, machine)
        seconds.append(time.process_time() - begin)
        cycles.append(run.cycles)
    counters = machine.counters()
    moved = counters["l2_fill_bytes"] + counters["l2_writeback_bytes"]
    bandwidth = memory.peak_bandwidth_GBps
    ms = [count * memory.standard.tck_ps / 1e9 for count in cycles]
    sectors = (counters["l2_read_bytes"] + counters["l2_write_bytes"]) / 32
    return {
        "walk_s": walk,
        "walk_ns_per_sector": walk / sectors * 1e9,
        "run_s": min(seconds),
        "ms": ms,
        "compute_ms": counters["compute_cycles"] / (machine.clock_MHz * 1e3),
        "bandwidth_ms": moved / bandwidth / 1e6,
        "l2_MB": (counters["l2_read_bytes"] + counters["l2_write_bytes"]) / 1e6,
        "dram_MB": moved / 1e6,
        "speedup": ms[0] / ms[1],
        "ideal_speedup": ms[0] / ms[2],
    }


def main() -> None:
    """Time the networks and print a table."""
    options = shared.parser(__doc__, runs=1)
    options.add_argument("--precision", default="fp32")
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--channels", type=int, default=12)
    options.add_argument(
        "--mapping", help="address mapping (default: that of configs/hardware/eden-gpu.yaml)"
    )
    options.add_argument("--trcd-ns", type=float, default=10.5)
    options.add_argument("networks", nargs="*", default=NETWORKS)
    arguments = options.parse_args()
    print(
        f"{'network':15}{'run s':>7}{'walk s':>8}{'ns/sector':>11}{'ms':>9}{'compute':>9}{'DRAM':>8}{'L2 MB':>9}{'DRAM MB':>9}{'tRCD':>8}{'ideal':>8}"
    )
    results = {}
    for name in arguments.networks:
        result = results[name] = figures(name, arguments)
        row = f"{name:15}{result['run_s']:7.2f}{result['walk_s']:8.2f}{result['walk_ns_per_sector']:11.1f}{result['ms'][0]:9.3f}"
        row += f"{result['compute_ms']:9.3f}{result['bandwidth_ms']:8.3f}{result['l2_MB']:9.1f}{result['dram_MB']:9.1f}"
        print(f"{row}{result['speedup']:8.4f}{result['ideal_speedup']:8.4f}", flush=True)
    shared.finish(
        arguments,
        {
            "benchmark": "gpu",
            "precision": arguments.precision,
            "batch": arguments.batch,
            "networks": results,
        },
    )


if __name__ == "__main__":
    main()
