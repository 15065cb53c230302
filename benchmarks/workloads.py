"""The three benchmark traces, timing of whole processes, and the peer's recorded figures: what the benchmarks share.

seq: 64-byte reads at 0, 64, 128, ...; rand: 64-byte reads, uniform over 1 GiB; dnn: 8 interleaved streams, 6 reading (80 %), 2 writing (20 %).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("seq", "rand", "dnn")

#: User CPU seconds of Ramulator 2.1 per 1 M requests (whole process, another machine), for where it is not built.
RECORDED_PEER_s_PER_MILLION = {"seq": 5.37, "rand": 9.45, "dnn": 5.57}


def trace(name: str, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Byte addresses, and which requests are writes; the same at each call."""
    if name == "seq":
        return np.arange(count, dtype=np.int64) * 64, np.zeros(count, np.bool_)
    if name == "rand":
        rng = np.random.Generator(np.random.PCG64(12345))
        return rng.integers(0, 1 << 24, count, dtype=np.int64) * 64, np.zeros(count, np.bool_)
    rng = np.random.Generator(np.random.PCG64(777))
    base = np.arange(8, dtype=np.int64) * (128 << 20) + 4096 * rng.integers(
        0, 16384, 8, dtype=np.int64
    )
    stream = rng.choice(8, size=count, p=[0.8 / 6] * 6 + [0.1] * 2)
    address = np.empty(count, np.int64)
    for k in range(8):
        mine = stream == k
        address[mine] = base[k] + 64 * np.arange(mine.sum(), dtype=np.int64)
    return address, stream >= 6


def write_text(path: Path, address: NDArray[np.int64], is_write: NDArray[np.bool_]) -> None:
    """A load-store trace (`LD 0x40`)."""
    pairs = zip(address.tolist(), is_write.tolist(), strict=True)
    path.write_text("".join(f"{'ST' if write else 'LD'} {byte:#x}\n" for byte, write in pairs))


def process_seconds(
    command: list[str], environment: dict[str, str] | None = None
) -> tuple[float, float, int, str]:
    """User and system CPU seconds of a process, its peak memory in kB, its standard output."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **(environment or {})}, text=True
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)}: exit code {process.returncode}")
    return usage.ru_utime, usage.ru_stime, usage.ru_maxrss, output


def peer_seconds(template: str, path: Path) -> tuple[float, float]:
    """CPU seconds of the peer on a trace: (simulation loop alone, whole process). Its loop is `user_s` of the JSON it prints, if it prints one."""
    user, system, _, output = process_seconds(
        [part.replace("{trace}", str(path)) for part in shlex.split(template)]
    )
    try:
        loop = float(json.loads(output[output.index("{") :])["user_s"])
    except (ValueError, KeyError, TypeError):
        loop = user
    return loop, user + system


def edensim_command(*arguments: str) -> list[str]:
    """The command line of the edensim that this Python imports."""
    return [sys.executable, "-m", "edensim", *arguments]


def alternating(runs: int, tasks: dict[str, Callable[[], Any]]) -> Iterator[tuple[str, Any]]:
    """Run tasks in turn, so that a busy machine slows all of them alike."""
    for _ in range(runs):
        for name, task in tasks.items():
            yield name, task()


def parser(description: str, runs: int) -> argparse.ArgumentParser:
    """What all benchmarks accept."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--runs",
        type=int,
        default=runs,
        help="how often each thing is timed (default: %(default)s)",
    )
    options.add_argument("--json", type=Path, metavar="OUT", help="write the figures as JSON")
    return options


def finish(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Write the figures where they were asked for."""
    if options.json:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
        options.json.write_text(json.dumps({"machine": machine, **figures}, indent=1) + "\n")
