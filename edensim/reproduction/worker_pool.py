"""Tasks on worker processes; what is finished is kept, and not run again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final

from edensim.exceptions import EdensimError
from edensim.reproduction.task import Task

#: Seconds between two looks at whether the leader is still there.
PULSE_s: Final = 1.0

Advance = Callable[[int, int | None], None]


def outcomes(
    tasks: Sequence[Task], folder: Path, *, workers: int, progress: Advance | None = None
) -> dict[str, dict[str, Any]]:
    """What each task found, by its key, in files of `folder`. The same with any number of workers: each task stands alone.

    Raises EdensimError where a worker is lost (what is finished is kept), and what a task raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {task.key: task for task in tasks}
    found = {key: kept for key, task in wanted.items() if (kept := task.kept(folder)) is not None}
    waiting = sorted(
        (task for key, task in wanted.items() if key not in found), key=lambda task: -task.cost
    )
    if progress is not None:
        progress(len(found), len(wanted))
    if not waiting:
        return found
    executor = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )
    try:
        running: dict[Future[dict[str, Any]], Task] = {
            executor.submit(_run, task, folder): task for task in waiting
        }
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                found[task.key] = future.result()
                if progress is not None:
                    progress(len(found), len(wanted))
    except BrokenProcessPool:
        raise EdensimError(
            f"a worker process was lost (memory?); {len(found)} of {len(wanted)} tasks are finished and kept"
        ) from None
    finally:
        for process in list((executor._processes or {}).values()):
            process.terminate()
        executor.shutdown(wait=True, cancel_futures=True)
    return found


def _begin() -> None:
    """In a worker: the terminal's Ctrl-C is for the one who leads; one thread each, as there is a worker for each core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(leader: int) -> None:
    """End when the leading process has ended, however it did: nobody waits for what this one does."""
    while os.getppid() == leader:
        time.sleep(PULSE_s)
    os._exit(1)


def _run(task: Task, folder: Path) -> dict[str, Any]:
    return task.run(folder)
