"""Run a sweep: plan all points, run the unfinished ones, keep each result as it comes."""

import os
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from edensim.config.loading import LoadedConfig, load_config
from edensim.config.models import RunConfig
from edensim.exceptions import EdensimError, InputError
from edensim.sweep.cluster import connection, run_on_cluster
from edensim.sweep.grid import Point, digest, plan, points_of, workload_file
from edensim.sweep.result import SweepResult, collect, table_paths, write_tables
from edensim.sweep.store import NAME, Store, locked
from edensim.sweep.task import make_task, trace_digest
from edensim.sweep.worker import Outcome
from edensim.sweep.worker_pool import Update, run_on_workers
from edensim.vocabulary import ProgressCallback


def sweep(
    run: str | os.PathLike[str] | Mapping[str, Any] | RunConfig | None = None,
    over: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] = (),
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    paired: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: ProgressCallback | None = None,
) -> SweepResult:
    """Simulate a configuration at many points; those that issue equal commands share a simulation.

    Parameters
    ----------
    run : path, mapping or RunConfig, optional
        A run file (YAML), a trace, or a configuration such as ``{"trace": "a.trace"}``.
    over : mapping of str to sequence, or sequence of mappings
        The values of each swept key, of which every combination is a point; or a list of points.
    out : path, optional
        Folder of the results, whose points are not run again; by default, nothing is kept.
    overrides : sequence of str
        Settings ``KEY=VALUE``, as ``--set`` takes them.
    paired : bool
        Combine first values with first, second with second, instead of every value with every.
    workers : int, optional
        Number of worker processes; by default one per processor.
    scheduler : str, optional
        Address of a Dask cluster to use instead of worker processes.
    progress : callable, optional
        Called with the number of finished points and the number of all points.

    Returns
    -------
    SweepResult

    Raises
    ------
    InputError
        If an argument cannot be accepted; nothing has run then.
    EdensimError
        If points failed or the disk is full. The finished points are kept.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers: expected a whole number from 1, found {workers}")
    base, values = _load(run, overrides), points_of(over, paired)
    folder = None if out is None else Path(out)
    with ExitStack() as stack:
        store = _open_store(folder, stack)
        points = plan(base, values, lambda path: _trace_digest(path, store))
        groups = _unfinished_groups(points, store)
        if store is not None:
            _warn_of_damage(store, points, folder)
        updates = stack.enter_context(closing(_start(groups, workers, scheduler, stack)))
        if store is None:  # nothing is written before all points and the cluster are accepted
            store = _create_store(folder, stack)
        simulated = _store_results(store, points, groups, updates, progress)
        if folder is not None:
            _update_tables(store, points, folder)
        return collect(store, simulated, len(groups))


def _warn_of_damage(store: Store, points: Sequence[Point], folder: Path | None) -> None:
    """Say how many results of these points are damaged."""
    damaged = store.damaged() & {point.key for point in points}
    if damaged:
        warnings.warn(
            f"{folder}: the results of {len(damaged)} points are damaged; they run again",
            stacklevel=3,
        )


def _load(
    run: str | os.PathLike[str] | Mapping[str, Any] | RunConfig | None, overrides: Sequence[str]
) -> LoadedConfig:
    """Load the configuration that all points share."""
    if run is None or isinstance(run, Mapping | RunConfig):
        return load_config(None, overrides, run)
    path = Path(run)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_config(path, overrides)
    return load_config(None, [f"trace={path}", *overrides])


def _open_store(folder: Path | None, stack: ExitStack) -> Store | None:
    """Lock and open the store of a folder, if it has one."""
    if folder is None:
        return None
    if not folder.exists():
        if not folder.parent.is_dir():
            raise InputError(f"{folder}: folder {str(folder.parent)!r} does not exist")
        return None
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; expected a folder for the results")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot be written: no permission")
    if not (folder / NAME).exists():
        return None
    stack.enter_context(locked(folder))
    return stack.enter_context(Store.open(folder))


def _create_store(folder: Path | None, stack: ExitStack) -> Store:
    """Create a store, in memory if there is no folder."""
    if folder is not None:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as exception:
            raise InputError(f"{folder}: cannot be made: {exception.strerror}") from None
        stack.enter_context(locked(folder))
        if (folder / NAME).exists():  # another sweep has come first
            return stack.enter_context(Store.open(folder))
    return stack.enter_context(Store.create(folder))


def _unfinished_groups(points: Sequence[Point], store: Store | None) -> list[list[Point]]:
    """Group the points without a result by the simulation that they share."""
    finished = set() if store is None else store.finished()
    groups: dict[str, dict[str, Point]] = {}
    for point in points:
        if point.key not in finished:
            groups.setdefault(point.simulation, {})[point.key] = point
    return [list(group.values()) for group in groups.values()]


def _start(
    groups: Sequence[Sequence[Point]], workers: int | None, scheduler: str | None, stack: ExitStack
) -> Generator[Update, None, None]:
    """Run the groups on worker processes or on a cluster, which is connected to at once."""
    tasks = [make_task(group) for group in groups]
    if tasks and scheduler is not None:
        client = stack.enter_context(connection(scheduler))
        return run_on_cluster(client, tasks, scheduler)
    workers = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    return run_on_workers("edensim.sweep.task:run_task", tasks, workers)


def _store_results(
    store: Store,
    points: Sequence[Point],
    groups: Sequence[Sequence[Point]],
    updates: Iterator[Update],
    progress: ProgressCallback | None,
) -> int:
    """Store the plan and each result as it comes, and return the number of results.

    Raises EdensimError for points that failed, when all others are done.
    """
    store.set_plan(points)
    missing, total = sum(map(len, groups)), len({point.key for point in points})
    done = total - missing
    failures: list[tuple[Point, Outcome]] = []
    for update in updates:
        if update is not None:
            index, outcome = update
            if "results" in outcome:
                try:
                    store.add(outcome["results"])
                except EdensimError as exception:
                    raise type(exception)(
                        f"{exception}; {done:,} of {total:,} points are finished and kept, "
                        "the same command goes on from there"
                    ) from None
                done += len(outcome["results"])
            else:
                failures.append((groups[index][0], outcome))
        if progress is not None:
            progress(done, total)
    if failures:
        raise _failed(failures, done, total, store)
    return missing


def _failed(
    failures: Sequence[tuple[Point, Outcome]], done: int, total: int, store: Store
) -> EdensimError:
    """Describe failed points by the first. It is the input that is bad if all of them say so."""
    point, outcome = failures[0]
    values = ", ".join(f"{key}={value}" for key, value in point.values.items())
    bad_input = all(outcome["exit_code"] == InputError.exit_code for _, outcome in failures)
    kept = "" if store.path is None else f"; finished points are kept in {store.name}"
    return (InputError if bad_input else EdensimError)(
        f"{total - done:,} of {total:,} points failed; "
        f"the first, {values}: {outcome['failed']}{kept}"
    )


def _trace_digest(path: str, store: Store | None) -> str:
    """Return the digest of a trace, from the store if the file has not been touched since."""
    known = store.trace_digest(path) if store is not None and os.path.exists(path) else None
    return known or trace_digest(path)


def _update_tables(store: Store, points: Sequence[Point], folder: Path) -> None:
    """Write the table files, unless they are there already for these very points."""
    for path, content in {(workload_file(point.config), point.trace) for point in points}:
        if path is not None and store.trace_digest(path) is None:
            store.set_trace_digest(path, content)

    written = digest([point.key for point in points] + [point.values for point in points])
    if store.about("tables") != written or not all(path.is_file() for path in table_paths(folder)):
        write_tables(collect(store), folder)
        store.set_about("tables", written)
