"""Run tasks in worker processes of this machine; sweeps and reproductions share this pool.

Each worker is a new Python interpreter that runs `edensim.sweep.worker.serve`. Unlike the workers
of `concurrent.futures.ProcessPoolExecutor`, it never imports the user's script, its death is known
to be the death of one task, and it exits by itself when the leading process ends.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from edensim.sweep.worker import Outcome, Task, failure

#: How often a task is begun before it is given up. A worker may be killed by accident, or because
#: of its task (memory).
ATTEMPTS: Final = 3
#: Seconds between two updates if nothing happens.
PULSE_s: Final = 0.2

#: The index of a task and one of its outcomes. None: nothing has happened for a while.
Update = tuple[int, Outcome] | None


def run_on_workers(
    function: str, tasks: Sequence[Task], workers: int
) -> Generator[Update, None, None]:
    """Run tasks in worker processes, and replace workers that die.

    Parameters
    ----------
    function : str
        The function that runs a task, as ``module:name``. It takes a task and returns an iterable
        of outcomes.
    tasks : sequence of dict
        Tasks of plain JSON. They are begun in this order.
    workers : int
        Number of processes.

    Yields
    ------
    tuple of (int, dict), or None
        The index of a task and one of its outcomes, as they come. A task that fails has the
        outcome ``{"failed": message, "exit_code": code}``. None is yielded when nothing has
        happened for `PULSE_s`. Closing the generator kills the workers.
    """
    updates: queue.SimpleQueue[Update] = queue.SimpleQueue()
    pool = _Pool(function, updates)
    # A worker inherits that the terminal's Ctrl-C is blocked; the leading process ends its workers.
    with ThreadPoolExecutor(
        max(1, workers),
        initializer=signal.pthread_sigmask,
        initargs=(signal.SIG_BLOCK, {signal.SIGINT}),
    ) as executor:
        try:
            futures = [executor.submit(pool.run, *item) for item in enumerate(tasks)]
            for future in futures:
                future.add_done_callback(lambda _: updates.put(None))
            running = len(futures)
            while running:
                try:
                    update = updates.get(timeout=PULSE_s)
                except queue.Empty:
                    yield None
                    continue
                if update is None:
                    running -= 1
                else:
                    yield update
        finally:
            pool.stop()
            executor.shutdown(cancel_futures=True)
            for process in pool.processes:
                _close(process)
    for future in futures:
        future.result()  # raises what went wrong outside of a task, such as a process too many


class _WorkerLost(Exception):
    """A worker process that ended before its task did; the message says how."""


class _Pool:
    """Worker processes, one for each thread that runs tasks."""

    def __init__(self, function: str, updates: queue.SimpleQueue[Update]) -> None:
        self.function = function
        self.updates = updates
        self.own = threading.local()
        self.processes: set[subprocess.Popen[bytes]] = set()
        self.lock = threading.Lock()
        self.stopped = False

    def run(self, index: int, task: Task) -> None:
        """Run a task on this thread's worker, and again on a new worker if that one dies."""
        reported = 0  # outcomes that an earlier attempt has delivered
        end = ""
        for _ in range(ATTEMPTS):
            try:
                for outcome in islice(self._outcomes(task), reported, None):
                    self.updates.put((index, outcome))
                    reported += 1
                return
            except _WorkerLost as lost:
                end = str(lost)
        self.updates.put((index, failure(f"its worker process {end}, {ATTEMPTS} times")))

    def stop(self) -> None:
        """Kill all workers, and start no others."""
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.kill()

    def _outcomes(self, task: Task) -> Iterator[Outcome]:
        """Yield what this thread's worker answers to a task. Raises _WorkerLost."""
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # the end of its output says that it has died
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            if line == b"\n":
                return
            if line.endswith(b"\n"):  # otherwise it died in the middle of the line
                yield json.loads(line)
        _close(process)
        self.own.process = None
        with self.lock:
            self.processes.discard(process)
        if process.returncode < 0:
            raise _WorkerLost(f"was ended by {signal.Signals(-process.returncode).name}")
        raise _WorkerLost(f"ended with exit code {process.returncode}")

    def _process(self) -> subprocess.Popen[bytes]:
        """Return this thread's worker, which is started if there is none."""
        with self.lock:
            if self.stopped:
                raise _WorkerLost
            if getattr(self.own, "process", None) is None:
                self.own.process = _start_worker(self.function)
                self.processes.add(self.own.process)
            process: subprocess.Popen[bytes] = self.own.process
            return process


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes of a process, and wait for its end."""
    with suppress(BrokenPipeError), process:  # from a task that could not be handed over
        pass


def _start_worker(function: str) -> subprocess.Popen[bytes]:
    """Start a worker of one thread, which imports the very edensim that this process imported."""
    folder = str(Path(__file__).resolve().parents[2])
    environment = {
        "OPENBLAS_NUM_THREADS": "1",
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")])),
        "PYTHONSAFEPATH": "1",
    }
    command = [sys.executable, "-c", "from edensim.sweep.worker import serve; serve()", function]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
