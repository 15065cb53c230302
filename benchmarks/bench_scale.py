"""Memory and cost per request of a long run: 50 M requests streamed from a generator, seq and dnn in turn, a line per 10 M requests."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import workloads as shared

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.engine.monitor import Monitor
from edensim.vocabulary import REQUEST

CHUNK = 1 << 15
BLOCK = 1 << 20  # requests of one kind in a row
CAPACITY = 1 << 33


def stream(count: int) -> Iterator[np.ndarray]:
    """Chunks of `count` requests in all: blocks of sequential reads and of the eight DNN streams, each further along than the last."""
    blocks = {"seq": shared.trace("seq", BLOCK), "dnn": shared.trace("dnn", BLOCK)}
    done = 0
    while done < count:
        address, is_write = blocks["seq" if (done // BLOCK) % 2 == 0 else "dnn"]
        for first in range(0, min(BLOCK, count - done), CHUNK):
            last = min(first + CHUNK, count - done, BLOCK)
            chunk = np.zeros(last - first, REQUEST)
            chunk["address"] = (address[first:last] + done // BLOCK * (BLOCK << 6)) % CAPACITY
            chunk["is_write"], chunk["tensor"] = is_write[first:last], -1
            yield chunk
        done += BLOCK


def peak_MB() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    """Run, and say at each step what it took since the last."""
    options = shared.parser(__doc__, runs=1)
    options.add_argument("--requests", type=int, default=50_000_000)
    options.add_argument("--step", type=int, default=10_000_000)
    arguments = options.parse_args()
    standard = load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R")
    memory = MemorySystem.nominal(standard)
    source = SourceConfig(kind="saturating")
    simulate_memory(memory, ControllerConfig(), source, stream(CHUNK))
    steps: list[dict[str, Any]] = []
    last = [0, time.process_time()]
    print(f"{'requests':>12}{'CPU ns each':>13}{'peak MB':>9}   (generating the requests included)")

    def report(done: int) -> None:
        if done - last[0] < arguments.step and done < arguments.requests:
            return
        now = time.process_time()
        each = (now - last[1]) / (done - last[0]) * 1e9
        steps.append({"requests": done, "ns_per_request": each, "peak_MB": peak_MB()})
        print(f"{done:12,}{each:13.1f}{peak_MB():9.0f}", flush=True)
        last[:] = [done, now]

    run = simulate_memory(
        memory,
        ControllerConfig(),
        source,
        stream(arguments.requests),
        monitor=Monitor(progress=report),
    )
    print(f"{run.counts.reads + run.counts.writes:,} requests, {run.cycles:,} memory cycles")
    shared.finish(arguments, {"benchmark": "scale", "cycles": run.cycles, "steps": steps})


if __name__ == "__main__":
    main()
