"""Run the work of targets in worker processes, and keep each outcome in a file of its own."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edensim._version import __version__
from edensim.config.paths import config_folders
from edensim.exceptions import EdensimError, InputError
from edensim.files import flatten, save_text
from edensim.sweep.grid import code_digest, digest
from edensim.sweep.worker_pool import run_on_workers
from edensim.vocabulary import ProgressCallback

#: Modules with the functions of tasks; the second needs PyTorch, and is imported last.
WORK: Final = ("machine_work", "network_work")
#: Kinds of configurations that outcomes depend on.
CONFIGURATIONS: Final = ("dram", "hardware", "modules")

#: What the file of a finished task holds.
Record = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One piece of work: a function of plain arguments that returns plain values.

    Attributes
    ----------
    function : str
        Name of a function in `machine_work` or `network_work`.
    arguments : mapping
        Its keyword arguments.
    cost_s : float
        Rough number of CPU seconds. Long tasks are begun first.
    """

    function: str
    arguments: Mapping[str, Any]
    cost_s: float = 1.0

    @property
    def key(self) -> str:
        """A digest of the work, of edensim's code and of its configurations."""
        arguments = dict(sorted(self.arguments.items()))
        return digest(
            [__version__, code_digest(), _configurations_digest(), self.function, arguments]
        )[:12]

    @property
    def file_name(self) -> str:
        """A unique name that tells people which work this is."""
        words = "-".join(
            re.sub(r"[^A-Za-z0-9.]+", "_", str(value))
            for _, value in flatten(self.arguments)
            if isinstance(value, str | int | float)
        )
        return f"{self.function}-{words[:80]}-{self.key}.json"

    def load_record(self, folder: Path) -> Record | None:
        """Return what an earlier run has kept, or None if that is missing or damaged."""
        try:
            record: Record = json.loads((folder / self.file_name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) and record.get("key") == self.key else None

    def run(self, folder: Path) -> Record:
        """Do the work, and write its record to a file."""
        modules = (import_module(f"edensim.reproduction.{module}") for module in WORK)
        function = next(
            getattr(module, self.function) for module in modules if hasattr(module, self.function)
        )
        begin_s = time.process_time()
        outcome = function(**self.arguments)
        record = {
            "key": self.key,
            "function": self.function,
            "arguments": dict(self.arguments),
            "version": __version__,
            "cpu_s": round(time.process_time() - begin_s, 2),
            "outcome": outcome,
        }
        save_text(folder / self.file_name, json.dumps(record, indent=1, allow_nan=False) + "\n")
        return record


def run_job(job: Mapping[str, Any]) -> Iterator[Record]:
    """Run a task in a worker process."""
    yield Task(job["function"], job["arguments"]).run(Path(job["folder"]))


def run_tasks(
    tasks: Sequence[Task],
    folder: Path,
    *,
    workers: int,
    progress: ProgressCallback | None = None,
) -> dict[str, Record]:
    """Run the tasks that a folder holds no record of; return the records of all by key.

    The records do not depend on the number of workers, since no task knows of another.

    Raises
    ------
    EdensimError
        If a task fails or its worker dies again and again. What is finished is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_key = {task.key: task for task in tasks}
    records = {
        key: record
        for key, task in by_key.items()
        if (record := task.load_record(folder)) is not None
    }
    waiting = sorted(
        (task for key, task in by_key.items() if key not in records), key=lambda task: -task.cost_s
    )
    jobs = [
        {
            "function": task.function,
            "arguments": dict(task.arguments),
            "folder": str(folder.absolute()),
        }
        for task in waiting
    ]
    if progress is not None:
        progress(len(records), len(by_key))
    updates = run_on_workers("edensim.reproduction.task:run_job", jobs, min(workers, len(jobs)))
    with closing(updates):
        for index, record in filter(None, updates):
            if "failed" in record:
                raise _failed(waiting[index], record, len(records), len(by_key))
            records[waiting[index].key] = record
            if progress is not None:
                progress(len(records), len(by_key))
    return records


def _failed(task: Task, outcome: Record, done: int, total: int) -> EdensimError:
    bad_input = outcome["exit_code"] == InputError.exit_code
    return (InputError if bad_input else EdensimError)(
        f"{task.function}: {outcome['failed']}; {done} of {total} tasks are finished and kept"
    )


@cache
def _configurations_digest() -> str:
    """Return a digest of all configurations that a run can name."""
    folders = [folder for kind in CONFIGURATIONS for folder in config_folders(kind)]
    return digest(
        [
            [path.name, path.read_text(encoding="utf-8")]
            for folder in folders
            for path in sorted(folder.glob("*.yaml"))
        ]
    )
