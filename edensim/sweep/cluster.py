"""Run the tasks of a sweep on a Dask cluster, which runs the tasks of lost workers again."""

import logging
import queue
import socket
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from edensim.exceptions import EdensimError, InputError
from edensim.sweep.task import run_cluster_task
from edensim.sweep.worker import Outcome, Task, failure
from edensim.sweep.worker_pool import PULSE_s, Update

#: Seconds to wait for a scheduler and for its first worker.
REACH_s: Final = 5.0
#: Seconds to wait for the return of lost workers, and for results that are done.
PATIENCE_s: Final = 30.0


@contextmanager
def connection(address: str) -> Iterator[Any]:
    """Connect to a scheduler that has workers.

    Raises
    ------
    InputError
        If Dask is not installed, the scheduler cannot be reached, or it has no workers.
    """
    disabled_level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # a message of edensim's says in one line what Dask logs
    try:
        client = _connected(address)
        try:
            _wait_for_workers(client, address)
            yield client
        finally:
            client.close(timeout=2)
    finally:
        logging.disable(disabled_level)


def run_on_cluster(
    client: Any, tasks: Sequence[Task], address: str
) -> Generator[Update, None, None]:
    """Run tasks on a cluster; yield updates as `run_on_workers` does.

    Raises
    ------
    EdensimError
        If the scheduler or all workers are lost.
    """
    finished: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures = [client.submit(run_cluster_task, task, pure=False, retries=0) for task in tasks]
    for index, future in enumerate(futures):
        future.add_done_callback(lambda _, index=index: finished.put(index))
    left, last_seen = len(tasks), time.monotonic()
    while left:
        try:
            index = finished.get(timeout=PULSE_s)
        except queue.Empty:
            last_seen = _workers_last_seen(client, address, last_seen)
            yield None
            continue
        left -= 1
        if futures[index].status == "cancelled":  # a client cancels when the scheduler is gone
            raise EdensimError(f"--scheduler {address}: the scheduler was lost")
        for outcome in _outcomes(futures[index]):
            yield index, outcome
        futures[index].release()


def _outcomes(future: Any) -> list[Outcome]:
    exception = future.exception(timeout=REACH_s)
    if exception is not None:  # KilledWorker, or a worker that has no edensim
        return [failure(f"{type(exception).__name__}: {exception}")]
    outcomes: list[Outcome] = future.result(timeout=PATIENCE_s)
    return outcomes


def _connected(address: str) -> Any:
    try:
        from distributed import Client
        from distributed.comm import get_address_host_port, parse_address
        from distributed.comm.registry import get_backend
    except ImportError:
        raise InputError(
            f"--scheduler {address}: Dask is not installed; expected the extra: "
            'pip install "edensim[dask]"'
        ) from None
    try:
        scheme, _ = parse_address(address)
        get_backend(scheme)  # refuses a scheme that it does not know
        if scheme in ("tcp", "tls"):  # Dask would try again and again if nobody listens
            host_port = get_address_host_port(address, strict=True)
            socket.create_connection(host_port, timeout=REACH_s).close()
        return Client(address, timeout=REACH_s, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as exception:
        reason = (str(exception).splitlines() or [type(exception).__name__])[0]
        raise InputError(f"--scheduler {address}: cannot be reached: {reason}") from None


def _wait_for_workers(client: Any, address: str) -> None:
    begin = time.monotonic()
    while not client.scheduler_info()["workers"]:
        if time.monotonic() - begin > REACH_s:
            raise InputError(f"--scheduler {address}: the cluster has no workers")
        time.sleep(PULSE_s)


def _workers_last_seen(client: Any, address: str, last_seen: float) -> float:
    """Return when the cluster last had workers.

    Raises EdensimError if the scheduler is gone, or no worker has come back for `PATIENCE_s`.
    """
    if client.status not in ("running", "connecting"):
        raise EdensimError(f"--scheduler {address}: the scheduler was lost")
    now = time.monotonic()
    if now - last_seen < REACH_s:
        return last_seen
    if client.scheduler_info()["workers"]:
        return now
    if now - last_seen > PATIENCE_s:
        raise EdensimError(f"--scheduler {address}: the cluster has lost all its workers")
    return last_seen
