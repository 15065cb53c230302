"""Run one simulation of a sweep, and compute the results of all points that share it."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from edensim._version import __version__
from edensim.config.loading import load_config, resolved
from edensim.exceptions import InputError
from edensim.simulation import prepare, result_of, simulate_prepared
from edensim.sweep.grid import Point, code_digest, workload_file
from edensim.sweep.worker import Outcome, Task, failure, outcomes_of

#: Results that leave the worker, and enter the store, together.
BATCH: Final = 100


def make_task(points: Sequence[Point]) -> Task:
    """Return the task of points that share a simulation."""
    return {
        "version": __version__,
        "code": code_digest(),
        "trace": points[0].trace,
        "points": [{"key": point.key, "config": resolved(point.config)} for point in points],
    }


def run_task(task: Task) -> Iterator[Outcome]:
    """Run a task; yield ``{"results": [(key, result JSON), ...]}`` for each batch of points."""
    if task["version"] != __version__:
        raise InputError(
            f"the worker has edensim {__version__}, the sweep {task['version']}; expected the same"
        )
    configs = [
        (point["key"], load_config(None, (), point["config"]).config) for point in task["points"]
    ]
    prepared = prepare(configs[0][1])
    workload = workload_file(prepared.config)
    if workload is not None and trace_digest(workload) != task["trace"]:
        raise InputError(
            f"{workload}: has changed since the sweep began, or is another file on this worker; "
            "expected the same content"
        )
    memory = simulate_prepared(prepared)
    for start in range(0, len(configs), BATCH):
        yield {
            "results": [
                (key, json.dumps(result_of(prepare(config), memory).to_dict(), allow_nan=False))
                for key, config in configs[start : start + BATCH]
            ]
        }


def run_cluster_task(task: Task) -> list[Outcome]:
    """Return the outcomes of a task on a worker of a cluster, which has its own edensim."""
    if task["version"] == __version__ and task["code"] != code_digest():
        words = (
            f"the worker's edensim {__version__} is not the sweep's: its code differs; "
            "expected the same on both"
        )
        return [failure(words, InputError.exit_code)]
    return list(outcomes_of(run_task, task))


def trace_digest(path: str) -> str:
    """Return a hash of a file's content. Raises InputError if the file cannot be read."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"{path}: is no regular file; expected one, because the points of a sweep read "
                "their trace again and again"
            )
        return _content_digest(path, status.st_size, status.st_mtime_ns)
    except OSError as exception:
        raise InputError(f"{path}: cannot be read: {exception.strerror}") from None


@lru_cache(maxsize=64)
def _content_digest(path: str, size: int, mtime_ns: int) -> str:
    """Hash a file, which is read again only if its size or time has changed."""
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()
