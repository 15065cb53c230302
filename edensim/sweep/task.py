"""What a worker does: one simulation, and the results of all points that share it. A worker process of this machine is `serve`.

A task is plain JSON, so that it travels to any worker; so are outcomes: {"results": [[key, result JSON], ...]} as often as needed, or
{"failed": message, "exit_code": ...}.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from edensim._version import __version__
from edensim.config.loading import load_config, resolved
from edensim.config.models import RunConfig
from edensim.exceptions import EdensimError, InputError
from edensim.simulation import prepare, result, simulate_prepared
from edensim.sweep.grid import Point, code_digest, workload_file

Task = dict[str, Any]
Outcome = dict[str, Any]

#: Results that go out, and into the store, at once.
BATCH: Final = 100


def make_task(points: Sequence[Point]) -> Task:
    """The task of points that share a simulation."""
    return {
        "version": __version__,
        "code": code_digest(),
        "trace": points[0].trace,
        "points": [{"key": point.key, "config": resolved(point.config)} for point in points],
    }


def run_task(
    task: Task, progress: Callable[[int, int | None], None] | None = None
) -> Iterator[Outcome]:
    """Outcomes of a task. Does not raise: what goes wrong is an outcome."""
    try:
        if task["version"] != __version__:
            raise InputError(
                f"the worker has edensim {__version__}, the sweep {task['version']}; expected the same"
            )
        configs = [(point["key"], _config(point["config"])) for point in task["points"]]
        first = prepare(configs[0][1])
        workload = workload_file(first.config)
        if workload is not None and trace_digest(workload) != task["trace"]:
            raise InputError(
                f"{workload}: is not the file it was when the sweep began (or another file on this worker)"
            )
        memory = simulate_prepared(first, progress=progress)
        for start in range(0, len(configs), BATCH):
            batch = [
                (key, json.dumps(result(prepare(config), memory).to_dict(), allow_nan=False))
                for key, config in configs[start : start + BATCH]
            ]
            yield {"results": batch}
    except EdensimError as exception:
        yield {"failed": str(exception), "exit_code": exception.exit_code}
    except MemoryError:
        yield {"failed": "out of memory", "exit_code": EdensimError.exit_code}
    except Exception as exception:  # a fault of edensim's: the sweep goes on, and says so
        yield {
            "failed": f"{type(exception).__name__}: {exception}; please report this run",
            "exit_code": EdensimError.exit_code,
        }


def run_cluster_task(task: Task) -> list[Outcome]:
    """Outcomes of a task on a worker of a cluster, which has an edensim of its own (a local one is of the same files as the sweep)."""
    if task["version"] == __version__ and task["code"] != code_digest():
        words = f"the worker's edensim {__version__} is not the sweep's: its code differs; expected the same on both"
        return [{"failed": words, "exit_code": InputError.exit_code}]
    return list(run_task(task))


def trace_digest(path: str) -> str:
    """Hash of a file's content. InputError where it cannot be read."""
    try:
        status = os.stat(path)
        return _content_digest(path, status.st_size, status.st_mtime_ns)
    except OSError as exception:
        raise InputError(f"{path}: cannot be read: {exception.strerror}") from None


@lru_cache(maxsize=64)
def _content_digest(path: str, size: int, mtime_ns: int) -> str:
    """Read again only if size or time have changed."""
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()


def _config(plain: dict[str, Any]) -> RunConfig:
    return load_config(None, (), plain).config


def serve() -> None:
    """A worker process: tasks from standard input, outcomes to standard output, a JSON line each.

    It ends when standard input does, even in mid-simulation: so no worker outlives its sweep, however that ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which ends its workers
    outcomes = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed goes to standard error
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            tasks.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            for outcome in run_task(json.loads(tasks.get())):
                outcomes.write(json.dumps(outcome) + "\n")
                outcomes.flush()
            outcomes.write('{"done": true}\n')
            outcomes.flush()
    except BrokenPipeError:
        os._exit(1)
