"""A sweep from what was asked to a table of results: plan all points, run what is not finished yet, keep each result as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edensim.config.loading import LoadedConfig, load_config
from edensim.config.models import RunConfig
from edensim.exceptions import EdensimError, InputError
from edensim.sweep.grid import Point, digest, plan, points_of, workload_file
from edensim.sweep.result import SweepResult, collected, table_paths, write_tables
from edensim.sweep.store import NAME, Store, locked
from edensim.sweep.task import Outcome, make_task, trace_digest
from edensim.sweep.worker_pool import News, cluster_outcomes, local_outcomes

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
        points = plan(
            base, values, lambda path: _trace_digest(path, store)
        )  # refuses what cannot run
        groups = _unfinished(points, store)
        news = _begun(groups, workers, scheduler, stack)  # refuses a cluster that is not there
        stack.callback(news.close)
        if store is None:
            store = stack.enter_context(_created(folder, stack))
        store.set_plan(points)
        simulated = _run(store, points, groups, news, progress)
        if folder is not None:
            _keep_trace_digests(store, points)
            _write_tables(store, points, folder)
        return collected(store, simulated, len(groups))


def _loaded(
    run: str | os.PathLike[str] | Mapping[str, Any] | RunConfig | None, overrides: Sequence[str]
) -> LoadedConfig:
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


def _created(folder: Path | None, stack: ExitStack) -> Store:
    """A new store, to itself; in memory without a folder."""
    if folder is None:
        return Store.create(None)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exception:
        raise InputError(f"{folder}: cannot be made: {exception.strerror}") from None
    stack.enter_context(locked(folder))
    return (
        Store.open(folder) if (folder / NAME).exists() else Store.create(folder)
    )  # another sweep may have come first


def _unfinished(points: Sequence[Point], store: Store | None) -> list[list[Point]]:
    """Points without a result, those that share a simulation together."""
    finished = set() if store is None else store.finished()
    groups: dict[str, dict[str, Point]] = {}
    for point in points:
        if point.key not in finished:
            groups.setdefault(point.simulation, {})[point.key] = point
    return [list(group.values()) for group in groups.values()]


def _begun(
    groups: Sequence[Sequence[Point]], workers: int | None, scheduler: str | None, stack: ExitStack
) -> Generator[News, None, None]:
    """News of the groups' tasks, from worker processes or a cluster."""
    tasks = [make_task(group) for group in groups]
    if tasks and scheduler is not None:
        return cluster_outcomes(tasks, scheduler, stack)
    return local_outcomes(tasks, min(workers or len(os.sched_getaffinity(0)), len(tasks)))


def _run(
    store: Store,
    points: Sequence[Point],
    groups: Sequence[Sequence[Point]],
    news: Iterator[News],
    progress: Progress | None,
) -> int:
    """Keep each result as it comes; returns how many there were. Raises EdensimError for points that failed, when all others are done."""
    missing, total = sum(map(len, groups)), len({point.key for point in points})
    done = total - missing
    failures: list[tuple[Point, Outcome]] = []
    for item in news:
        if item is not None:
            index, outcome = item
            if "results" in outcome:
                _kept(store, outcome["results"], done, total)
                done += len(outcome["results"])
            else:
                failures.append((groups[index][0], outcome))
        if progress is not None:
            progress(done, total)
    if failures:
        raise _failed(failures, done, total, store)
    return missing


def _kept(store: Store, results: Sequence[tuple[str, str]], done: int, total: int) -> None:
    try:
        store.add(results)
    except EdensimError as exception:
        raise type(exception)(
            f"{exception}; {done:,} of {total:,} points are finished and kept, the same command goes on from there"
        ) from None


def _failed(
    failures: Sequence[tuple[Point, Outcome]], done: int, total: int, store: Store
) -> EdensimError:
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
    for path, found in {(workload_file(point.config), point.trace) for point in points}:
        if path is None:
            continue
        status = os.stat(path)
        if store.trace_digest(path, status.st_size, status.st_mtime_ns) is None:
            store.keep_trace_digest(path, status.st_size, status.st_mtime_ns, found)


def _write_tables(store: Store, points: Sequence[Point], folder: Path) -> None:
    """The table files, unless they are there already for these very points."""
    written = digest([point.key for point in points] + [point.values for point in points])
    if store.about("tables") != written or not all(path.is_file() for path in table_paths(folder)):
        write_tables(collected(store), folder)
        store.set_about("tables", written)
