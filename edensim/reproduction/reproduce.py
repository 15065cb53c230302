"""Run the paper's results again: targets become tasks, tasks sections, sections one report."""

import os
from collections.abc import Sequence
from pathlib import Path

from edensim.accuracy.evaluation import require_torch
from edensim.exceptions import InputError
from edensim.reproduction.report import write
from edensim.reproduction.section import Reproduction
from edensim.reproduction.target import scope_of
from edensim.reproduction.targets import targets_named
from edensim.reproduction.task import run_tasks
from edensim.vocabulary import ProgressCallback


def reproduce(
    targets: Sequence[str] = ("all",),
    output: str | os.PathLike[str] = "reproduction",
    *,
    full: bool = False,
    datasets: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Reproduction:
    """Run results of the EDEN paper (Koppula et al., MICRO 2019) again, and report them.

    Each finished task is kept in the folder tasks/, and not run again by the same edensim.

    Parameters
    ----------
    targets : sequence of str
        Names or numbers of targets; "all" is every one.
    output : path
        The folder to write to.
    full : bool
        Also run what needs more data than edensim brings, such as ResNet-20 on CIFAR-10.
    datasets : path, optional
        The folder with these data: cifar10-jpeg.tar.gz and resnet20-12fca82f.th.
    workers : int, optional
        Number of worker processes; by default one per processor.
    progress : callable, optional
        Called with the number of finished tasks and the number of all tasks.

    Returns
    -------
    Reproduction
        The content of the report.

    Raises
    ------
    InputError
        For unknown targets, and folders that cannot be used.
    EdensimError
        If a task fails. What is finished is kept.
    """
    wanted = targets_named(targets)
    folder = Path(output)
    _check(folder, datasets, workers)
    if any(6 <= target.number <= 10 for target in wanted):
        require_torch()
    scope = scope_of(full, Path(datasets).resolve() if datasets is not None else None)
    by_target = {target.name: target.tasks(scope) for target in wanted}
    tasks = [task for named in by_target.values() for task in named.values()]
    records = run_tasks(
        tasks, folder / "tasks", workers=workers or os.cpu_count() or 1, progress=progress
    )
    sections = []
    for target in wanted:
        named = by_target[target.name].items()
        outcomes = {name: records[task.key]["outcome"] for name, task in named}
        sections.append(target.section(scope, outcomes))
    cpu_s = sum(record["cpu_s"] for record in records.values())
    reproduction = Reproduction(tuple(sections), full, scope.seeds, round(cpu_s, 1))
    write(reproduction, folder)
    return reproduction


def _check(folder: Path, datasets: str | os.PathLike[str] | None, workers: int | None) -> None:
    """Raise InputError for arguments of `reproduce` that cannot be accepted."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: expected a folder, found a file")
    if datasets is not None and not Path(datasets).is_dir():
        raise InputError(f"{datasets}: expected a folder with data sets; there is none")
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected 1 or more, found {workers}")
