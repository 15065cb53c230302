"""Run tasks in a worker process, one line of JSON after the other (`serve`)."""

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from edensim.exceptions import EdensimError

#: What a task and its outcomes consist of: plain JSON, so that they travel to any worker.
Task = dict[str, Any]
Outcome = dict[str, Any]


def failure(message: str, exit_code: int = EdensimError.exit_code) -> Outcome:
    """Return the outcome of a task that failed."""
    return {"failed": message, "exit_code": exit_code}


def outcomes_of(run: Callable[[Task], Iterable[Outcome]], task: Task) -> Iterator[Outcome]:
    """Yield the outcomes of a task, the last of which reports an exception if it raises one."""
    try:
        yield from run(task)
    except EdensimError as exception:
        yield failure(str(exception), exception.exit_code)
    except MemoryError:
        yield failure("out of memory")
    except Exception as exception:  # a defect of edensim: the other tasks go on
        yield failure(f"{type(exception).__name__}: {exception}; please report this run")


def serve() -> None:
    """Run the tasks that arrive on standard input with the function named by the first argument.

    The function is given as ``module:name``. Each outcome is one line on standard output, and an
    empty line follows the last outcome of a task. The process exits when standard input ends, even
    in the middle of a task. The operating system closes that pipe however the leading process
    ends, so no worker outlives its leader, not even one that was still starting.
    """
    outcomes = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed goes to standard error
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            tasks.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    module, _, name = sys.argv[1].partition(":")
    run = getattr(import_module(module), name)
    try:
        while True:
            for outcome in outcomes_of(run, json.loads(tasks.get())):
                print(json.dumps(outcome), file=outcomes, flush=True)  # noqa: T201
            print(file=outcomes, flush=True)  # noqa: T201
    except BrokenPipeError:
        os._exit(1)
