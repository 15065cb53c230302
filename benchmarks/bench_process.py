"""CPU seconds (user + system) of the whole process: start, parse a text trace of 1 M lines, simulate, report; against Ramulator 2.1's.

--peer runs the peer alternately: a command line in which {trace} stands for a load-store trace. Without it the peer's recorded figures are used.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import workloads as shared


def figures(name: str, options: Any, folder: Path) -> dict[str, Any]:
    """Time one trace."""
    path = folder / f"{name}.ls"
    shared.write_text(path, *shared.trace(name, options.requests))
    command = shared.edensim_command("simulate", str(path))
    shared.process_seconds(command)  # compiles what is not compiled yet
    tasks = {"edensim": lambda: sum(shared.process_seconds(command)[:2])}
    if options.peer:
        tasks["peer"] = lambda: shared.peer_seconds(options.peer, path)[1]
    times: dict[str, list[float]] = {task: [] for task in tasks}
    for task, seconds in shared.alternating(options.runs, tasks):
        times[task].append(seconds)
    peer = times.get("peer", [shared.RECORDED_PEER_s_PER_MILLION[name] * options.requests / 1e6])
    ours = times["edensim"]
    return {
        "edensim_s": ours,
        "peer_s": peer,
        "peer_measured": bool(options.peer),
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
        print("peer: recorded figures (no --peer), from another machine: ratios are rough")
    print(
        f"{'trace':6}{'edensim s':>11}{'median':>8}{'peer s':>9}{'median':>8}{'ratio':>8}{'median':>8}"
    )
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in shared.NAMES:
            result = results[name] = figures(name, arguments, Path(folder))
            ours, peer, ratio = result["edensim_s"], result["peer_s"], result["ratio"]
            seconds = f"{min(ours):11.3f}{statistics.median(ours):8.3f}{min(peer):9.2f}{statistics.median(peer):8.2f}"
            print(
                f"{name:6}{seconds}{ratio['best_to_best']:8.1f}{ratio['median_to_median']:8.1f}",
                flush=True,
            )
    shared.finish(
        arguments, {"benchmark": "process", "requests": arguments.requests, "traces": results}
    )


if __name__ == "__main__":
    main()
