"""A sweep from what was asked to a table of results: plan all points, run what is not finished yet, keep each result as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edensim.config import LoadedConfig, RunConfig, load_config
from edensim.exceptions import EdensimError, InputError
from edensim.sweep.grid import Point, digest, plan, points_of
from edensim.sweep.result import SweepResult, collected, table_paths, write_tables
from edensim.sweep.store import NAME, Store, locked
from edensim.sweep.task import make_task, trace_digest
from edensim.sweep.workers import cluster_outcomes, local_outcomes

#: Called with points finished and points in all.
Progress = Callable[[int, int | None], None]


def sweep(
    run: str | os.PathLike[str] | Mapping[str, Any] | RunConfig | None = None,
    over: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]] = (),
    *,
    out: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    paired: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Run a configuration at many points, as `edensim sweep` does; points that share their commands share one simulation.

    run: a run YAML, a trace, or a configuration (`{"trace": ..., "dram.channels": 2}`); overrides: as `--set` takes them.
    over: values by key: a grid, or, where `paired`, points made of first values, second values, ...; or a list of points.
    out: folder of the results, where finished points are found again and never run twice; None keeps nothing on disk.
    workers: processes (default: one per processor). scheduler: address of a Dask cluster to use instead.

    Raises InputError for what cannot be accepted, before anything runs; EdensimError for points that failed and a disk that is full: what is
    finished by then is kept.
    """
    base = _loaded(run, overrides)
    values = points_of(over, paired)
    if workers is not None and workers < 1:
        raise InputError(f"--workers: expected a whole number from 1, found {workers}")
    folder = None if out is None else Path(out)
    with ExitStack() as stack:
        store = _opened(folder, stack)
        points = plan(base, values, lambda path: _trace_digest(path, store))  # refuses what cannot run
        if store is None:
            store = stack.enter_context(Store.create(folder))
            if folder is not None:
                stack.enter_context(locked(folder))
        store.set_plan(points)
        simulated, simulations = _run_missing(store, points, workers, scheduler, progress)
        if folder is not None:
            _keep_trace_digests(store, points)
            _write_tables(store, points, folder)
        return collected(store, simulated, simulations)


def _loaded(run: str | os.PathLike[str] | Mapping[str, Any] | RunConfig | None, overrides: Sequence[str]) -> LoadedConfig:
    """The configuration that all points share."""
    if run is None or isinstance(run, Mapping | RunConfig):
        return load_config(None, overrides, run)
    path = Path(run)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_config(path, overrides)
    return load_config(None, [f"trace={path}", *overrides])


def _opened(folder: Path | None, stack: ExitStack) -> Store | None:
    """The store of a folder that has one, to itself; a folder is made only when all points are known to be good."""
    if folder is None or not folder.exists():
        if folder is not None and not folder.parent.is_dir():
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


def _run_missing(
    store: Store, points: Sequence[Point], workers: int | None, scheduler: str | None, progress: Progress | None
) -> tuple[int, int]:
    """Run points that are not finished; returns how many, and the number of simulations. Raises EdensimError for those that failed."""
    finished = store.finished()
    groups: dict[str, dict[str, Point]] = {}
    for point in points:
        if point.key not in finished:
            groups.setdefault(point.simulation, {})[point.key] = point
    distinct = len({point.key for point in points})
    missing = sum(map(len, groups.values()))
    if not groups:
        return 0, 0
    tasks = [make_task(list(group.values())) for group in groups.values()]
    failures: list[tuple[Point, dict[str, Any]]] = []
    done = distinct - missing
    processors = workers or len(os.sched_getaffinity(0))
    for news in cluster_outcomes(tasks, scheduler) if scheduler is not None else local_outcomes(tasks, min(processors, len(tasks))):
        if news is not None:
            index, outcome = news
            if "results" in outcome:
                _kept(store, outcome["results"], done, distinct)
                done += len(outcome["results"])
            else:
                failures.append((next(iter(list(groups.values())[index].values())), outcome))
        if progress is not None:
            progress(done, distinct)
    if failures:
        raise _failed(failures, done, distinct, store)
    return missing, len(tasks)


def _kept(store: Store, results: Sequence[tuple[str, str]], done: int, total: int) -> None:
    try:
        store.add(results)
    except EdensimError as exception:
        raise type(exception)(f"{exception}; {done:,} of {total:,} points are finished and kept, the same command goes on from there") from None


def _failed(failures: Sequence[tuple[Point, dict[str, Any]]], done: int, total: int, store: Store) -> EdensimError:
    """What to tell about points that failed: the first in full. Bad input only if all of them say so."""
    point, outcome = failures[0]
    where = ", ".join(f"{key}={value}" for key, value in point.values.items())
    bad_input = all(outcome["exit_code"] == InputError.exit_code for _, outcome in failures)
    kept = "" if store.path is None else f"; finished points are kept in {store.name}"
    return (InputError if bad_input else EdensimError)(
        f"{total - done:,} of {total:,} points failed; the first, {where}: {outcome['failed']}{kept}"
    )


def _trace_digest(path: str, store: Store | None) -> str:
    """Digest of a trace, from the store if it has not been touched since."""
    if store is not None and os.path.exists(path):
        status = os.stat(path)
        known = store.trace_digest(path, status.st_size, status.st_mtime_ns)
        if known is not None:
            return known
    return trace_digest(path)


def _keep_trace_digests(store: Store, points: Sequence[Point]) -> None:
    for path, found in {(str(point.config.trace), point.trace) for point in points}:
        status = os.stat(path)
        if store.trace_digest(path, status.st_size, status.st_mtime_ns) is None:
            store.keep_trace_digest(path, status.st_size, status.st_mtime_ns, found)


def _write_tables(store: Store, points: Sequence[Point], folder: Path) -> None:
    """The table files, unless they are there already for these very points."""
    written = digest([point.key for point in points] + [point.values for point in points])
    if store.about("tables") != written or not all(path.is_file() for path in table_paths(folder)):
        write_tables(collected(store), folder)
        store.set_about("tables", written)
