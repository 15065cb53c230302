"""Requests per CPU second of the engine alone (compiled, addresses to be placed, drained), against Ramulator 2.1's simulation loop.

--peer runs the peer alternately with the engine: a command line in which {trace} stands for a load-store trace; it should print JSON with `user_s`,
the user CPU seconds of its loop. Without it the peer's recorded figures are used.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import workloads as shared

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST

#: Requests handed over at once, as the trace readers do.
CHUNK = 1 << 15


def engine_seconds(requests: np.ndarray) -> float:
    """CPU seconds of one run: every request placed, scheduled and drained, counts collected."""
    standard = load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R")
    chunks = [requests[first : first + CHUNK] for first in range(0, len(requests), CHUNK)]
    begin = time.process_time()
    simulate_memory(
        MemorySystem.nominal(standard), ControllerConfig(), SourceConfig(kind="saturating"), chunks
    )
    return time.process_time() - begin


def figures(name: str, options: Any, folder: Path) -> dict[str, Any]:
    """Time one trace."""
    address, is_write = shared.trace(name, options.requests)
    requests = np.zeros(options.requests, REQUEST)
    requests["address"], requests["is_write"], requests["tensor"] = address, is_write, -1
    engine_seconds(requests[:1000])
    tasks = {"engine": lambda: engine_seconds(requests)}
    if options.peer:
        path = folder / f"{name}.ls"
        shared.write_text(path, address, is_write)
        tasks["peer"] = lambda: shared.peer_seconds(options.peer, path)[0]
    times: dict[str, list[float]] = {task: [] for task in tasks}
    for task, seconds in shared.alternating(options.runs, tasks):
        times[task].append(seconds)
    peer = times.get("peer", [shared.RECORDED_PEER_s_PER_MILLION[name] * options.requests / 1e6])
    ours = times["engine"]
    return {
        "engine_s": ours,
        "peer_s": peer,
        "peer_measured": bool(options.peer),
        "requests_per_cpu_s": {
            "best": options.requests / min(ours),
            "median": options.requests / statistics.median(ours),
        },
        "ratio": {
            "best_to_best": min(peer) / min(ours),
            "median_to_median": statistics.median(peer) / statistics.median(ours),
        },
    }


def main() -> None:
    """Time the three traces and print a table."""
    options = shared.parser(__doc__, runs=7)
    options.add_argument("--requests", type=int, default=1_000_000)
    options.add_argument(
        "--peer",
        metavar="COMMAND",
        help="command line of the peer; {trace} stands for the trace file",
    )
    arguments = options.parse_args()
    if not arguments.peer:
        print(
            "peer: recorded figures (no --peer): whole process on another machine, so ratios are rough"
        )
    print(
        f"{'trace':6}{'requests/CPU s':>16}{'median':>14}{'ns each':>9}{'peer s':>9}{'ratio':>8}{'median':>8}"
    )
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in shared.NAMES:
            result = results[name] = figures(name, arguments, Path(folder))
            rate, ratio = result["requests_per_cpu_s"], result["ratio"]
            each = f"{1e9 / rate['best']:9.1f}{min(result['peer_s']):9.2f}{ratio['best_to_best']:8.1f}{ratio['median_to_median']:8.1f}"
            print(f"{name:6}{rate['best']:16,.0f}{rate['median']:14,.0f}{each}", flush=True)
    shared.finish(
        arguments, {"benchmark": "engine", "requests": arguments.requests, "traces": results}
    )


if __name__ == "__main__":
    main()
