"""Where tasks run: worker processes of this machine, or a Dask cluster. Both survive the loss of workers."""

from __future__ import annotations

import json
import logging
import os
import queue
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from edensim.exceptions import EdensimError, InputError
from edensim.sweep.task import Outcome, Task, run_cluster_task

#: How often a task is begun before it is given up: a worker may be killed by accident, and by its task (memory).
ATTEMPTS: Final = 3
#: Seconds between two looks at what workers do.
PULSE_s: Final = 0.2
#: Seconds to reach a scheduler and to wait for its first worker; and to wait for lost workers, and for results that are done.
REACH_s: Final = 5.0
PATIENCE_s: Final = 30.0

#: Index of a task and one of its outcomes; None: nothing new.
News = tuple[int, Outcome] | None


def local_outcomes(tasks: Sequence[Task], workers: int) -> Generator[News, None, None]:
    """Run tasks in worker processes of this machine. A worker that dies is replaced and its task begun again."""
    waiting = deque(range(len(tasks)))
    attempts = [0] * len(tasks)
    with selectors.DefaultSelector() as selector:
        crew: list[_Worker] = []
        try:
            while waiting or crew:
                while waiting and len(crew) < workers:
                    crew.append(_Worker(selector))
                    crew[-1].begin(waiting.popleft(), tasks)
                ready = selector.select(PULSE_s)
                if not ready:
                    yield None
                for chosen, _ in ready:
                    worker: _Worker = chosen.data
                    index = worker.task
                    for outcome in worker.read():
                        if "done" not in outcome:
                            yield index, outcome
                        elif waiting:
                            worker.begin(waiting.popleft(), tasks)
                        else:
                            crew.remove(worker)
                            worker.end()
                    if worker.dead and worker in crew:
                        crew.remove(worker)
                        how = worker.end()
                        attempts[index] += 1
                        if attempts[index] < ATTEMPTS:
                            waiting.appendleft(index)
                        else:
                            yield (
                                index,
                                {
                                    "failed": f"its worker process {how}, {ATTEMPTS} times",
                                    "exit_code": EdensimError.exit_code,
                                },
                            )
        finally:
            for worker in crew:
                worker.end()


class _Worker:
    """A worker process with one task in hand (-1: none yet)."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        folder = str(
            Path(__file__).resolve().parents[2]
        )  # where this very edensim was imported from
        path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {
            "OPENBLAS_NUM_THREADS": "1",
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONSAFEPATH": "1",
        }
        command = [sys.executable, "-c", "from edensim.sweep.task import serve; serve()"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        self.selector = selector
        self.task = -1
        self.dead = False
        self.unread = b""
        selector.register(self._output(), selectors.EVENT_READ, self)

    def begin(self, index: int, tasks: Sequence[Task]) -> None:
        """Hand over a task."""
        self.task = index
        line = json.dumps(tasks[index]).encode() + b"\n"
        assert self.process.stdin is not None
        try:
            while line:
                line = line[self.process.stdin.write(line) or 0 :]
        except BrokenPipeError:
            pass  # it has died; the end of its output will tell

    def read(self) -> Iterator[Outcome]:
        """Outcomes that have come in."""
        data = os.read(self._output(), 1 << 20)
        self.dead = not data
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def end(self) -> str:
        """End the process, if it has not ended by itself; returns how it ended."""
        self.selector.unregister(self._output())
        if self.dead:
            self.process.wait()
        else:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        code = self.process.returncode
        return (
            f"was ended by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )

    def _output(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()


# ------------------------------------------------------------------------------------------------------------------------- Dask cluster


def cluster_outcomes(
    tasks: Sequence[Task], address: str, stack: ExitStack
) -> Generator[News, None, None]:
    """Run tasks on a Dask cluster, which runs those of lost workers again. The connection is closed with the stack.

    Raises InputError at once for a scheduler that cannot be reached or has no workers, EdensimError when it is lost.
    """
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # Dask logs what is told here in one line
    stack.callback(logging.disable, logged)
    client = _connected(address)
    stack.callback(client.close, timeout=2)
    _wait_for_workers(client, address)
    return _cluster_outcomes(tasks, client, address)


def _cluster_outcomes(
    tasks: Sequence[Task], client: Any, address: str
) -> Generator[News, None, None]:
    news: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures = [client.submit(_on_cluster, task, pure=False, retries=0) for task in tasks]
    for index, future in enumerate(futures):
        future.add_done_callback(lambda _, index=index: news.put(index))
    left, seen = len(tasks), time.monotonic()
    while left:
        try:
            index = news.get(timeout=PULSE_s)
        except queue.Empty:
            seen = _workers_seen(client, address, seen)
            yield None
            continue
        left -= 1
        if (
            futures[index].status == "cancelled"
        ):  # what a client does with its tasks when the scheduler is gone
            raise EdensimError(f"--scheduler {address}: the scheduler was lost")
        for outcome in _outcomes(futures[index]):
            yield index, outcome
        futures[index].release()


def _on_cluster(task: Task) -> list[Outcome]:
    return run_cluster_task(task)


def _outcomes(future: Any) -> list[Outcome]:
    exception = future.exception(timeout=REACH_s)
    if exception is not None:  # KilledWorker, or a worker that has no edensim
        return [
            {
                "failed": f"{type(exception).__name__}: {exception}",
                "exit_code": EdensimError.exit_code,
            }
        ]
    outcomes: list[Outcome] = future.result(timeout=PATIENCE_s)
    return outcomes


def _connected(address: str) -> Any:
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port, parse_address
        from distributed.comm.registry import get_backend
    except ImportError:
        raise InputError(f"--scheduler {address}: needs Dask; install edensim[dask]") from None
    try:
        scheme, _ = parse_address(address)
        get_backend(scheme)  # refuses a scheme that it does not know
        if scheme in ("tcp", "tls"):  # Dask tries again and again where nobody listens
            socket.create_connection(
                get_address_host_port(address, strict=True), timeout=REACH_s
            ).close()
        return Client(address, timeout=REACH_s, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as exception:
        reason = str(exception).splitlines()[0] if str(exception) else type(exception).__name__
        raise InputError(f"--scheduler {address}: cannot be reached: {reason}") from None


def _wait_for_workers(client: Any, address: str) -> None:
    begin = time.monotonic()
    while not client.scheduler_info()["workers"]:
        if time.monotonic() - begin > REACH_s:
            raise InputError(f"--scheduler {address}: the cluster has no workers")
        time.sleep(PULSE_s)


def _workers_seen(client: Any, address: str, seen: float) -> float:
    """When the cluster last had workers. Raises EdensimError where they do not come back, or the scheduler is gone."""
    if client.status not in ("running", "connecting"):
        raise EdensimError(f"--scheduler {address}: the scheduler was lost")
    now = time.monotonic()
    if now - seen < REACH_s:
        return seen
    if client.scheduler_info()["workers"]:
        return now
    if now - seen > PATIENCE_s:
        raise EdensimError(f"--scheduler {address}: the cluster has lost all its workers")
    return seen
