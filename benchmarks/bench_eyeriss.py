"""Networks on the Eyeriss-like machine: CPU seconds for the mapping search and the schedule, and what comes out (without memory)."""

from __future__ import annotations

import time
from typing import Any

import workloads as shared

from edensim.config.loading import load_config
from edensim.machines.eyeriss.machine import eyeriss_machine
from edensim.machines.eyeriss.mapping import find_mapping
from edensim.networks.layout import lay_out
from edensim.networks.loading import load_network

NETWORKS = (
    "resnet101", "mobilenetv2", "vgg16", "densenet201", "squeezenet1.1", "alexnet", "yolov3", "yolov3-tiny", "lenet",
)  # fmt: skip


def scheduled(network: str, precision: str, settings: list[str]) -> dict[str, Any]:
    """One network at batch 1, nothing remembered from the one before."""
    config = load_config(None, [f"precision={precision}", *settings]).config
    fused = load_network(network).fused()
    find_mapping.cache_clear()
    started = time.process_time()
    machine = eyeriss_machine(fused, lay_out(fused, precision), config.eyeriss)
    (schedule,) = machine.schedules()
    seconds = time.process_time() - started
    moved = schedule.transfers["run_bytes"] * schedule.transfers["count"]
    counters = machine.counters()
    return {
        "network": network,
        "precision": precision,
        "seconds": seconds,
        "tiles": len(schedule.tiles),
        "transfers": len(schedule.transfers),
        "DRAM_MB": float(moved.sum()) / 1e6,
        "weights_MB": fused.parameters * machine.layout.bits / 8e6,
        "compute_ms": counters["compute_cycles"] / machine.clock_MHz / 1e3,
        "utilization": counters["utilization"],
    }


def main() -> None:
    """Run, and print a line per network and precision."""
    options = shared.parser(__doc__, runs=1)
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the configuration, such as eyeriss.buffer_kB=324",
    )
    arguments = options.parse_args()
    print(
        f"{'network':<15}{'':<6}{'CPU s':>7}{'tiles':>9}{'transfers':>11}{'DRAM MB':>10}{'weights MB':>12}{'compute ms':>12}{'utilization':>13}"
    )
    rows = []
    for network in NETWORKS:
        for precision in ("int8", "fp32"):
            best = min(
                (scheduled(network, precision, arguments.set) for _ in range(arguments.runs)),
                key=lambda row: row["seconds"],
            )
            print(
                f"{network:<15}{precision:<6}{best['seconds']:>7.2f}{best['tiles']:>9,}{best['transfers']:>11,}{best['DRAM_MB']:>10,.1f}"
                f"{best['weights_MB']:>12,.1f}{best['compute_ms']:>12,.1f}{best['utilization']:>13.3f}"
            )
            rows.append(best)
    shared.finish(arguments, {"networks": rows})


if __name__ == "__main__":
    main()
