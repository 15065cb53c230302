"""`edensim.reproduce`: targets to tasks, tasks to sections, sections to one report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edensim._version import __version__
from edensim.accuracy.evaluation import require_torch
from edensim.exceptions import InputError
from edensim.reproduction.published import published
from edensim.reproduction.section import Row, Section
from edensim.reproduction.target import scope
from edensim.reproduction.targets import chosen
from edensim.reproduction.worker_pool import outcomes

Advance = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Reproduction:
    """The report. cpu_s: of all its tasks, those of earlier runs included."""

    sections: tuple[Section, ...]
    full: bool
    seeds: int
    cpu_s: float

    @property
    def key_rows(self) -> list[tuple[Section, Row]]:
        """What stands in the summary."""
        return [(section, row) for section in self.sections for row in section.rows if row.key]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": "edensim-reproduction-1",
            "source": published()["source"],
            "version": __version__,
            "full": self.full,
            "seeds": list(range(1, self.seeds + 1)),
            "cpu_s": self.cpu_s,
            "sections": [section.to_dict() for section in self.sections],
        }


def reproduce(
    targets: Sequence[str] = ("all",),
    output: str | os.PathLike[str] = "reproduction",
    *,
    full: bool = False,
    datasets: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Advance | None = None,
) -> Reproduction:
    """Run targets again (by name or number; `all`), and write report.html, report.md, report.json and figures/ to a folder.

    full: also what needs more than came with edensim: ResNet-20 on CIFAR-10, from the folder `datasets` (cifar10-jpeg.tar.gz and
    resnet20-12fca82f.th). workers: processes (None: one a core). Each finished task is kept in OUTPUT/tasks and not run again by the same version.

    Raises InputError for unknown targets and folders, EdensimError for a task that fails.
    """
    wanted = chosen(targets)
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: expected a folder, found a file")
    if datasets is not None and not Path(datasets).is_dir():
        raise InputError(f"{datasets}: expected a folder with data sets; there is none")
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected 1 or more, found {workers}")
    if any(6 <= target.number <= 10 for target in wanted):
        require_torch()
    asked = scope(full, Path(datasets).resolve() if datasets is not None else None)
    tasks = {target.name: target.tasks(asked) for target in wanted}
    every = [task for own in tasks.values() for task in own.values()]
    found = outcomes(
        every, folder / "tasks", workers=workers or os.cpu_count() or 1, progress=progress
    )
    sections = tuple(
        target.section(
            asked, {name: found[task.key]["outcome"] for name, task in tasks[target.name].items()}
        )
        for target in wanted
    )
    cpu_s = sum(found[key]["cpu_s"] for key in {task.key for task in every})
    result = Reproduction(sections, full, asked.seeds, round(cpu_s, 1))
    from edensim.reproduction.report import write

    write(result, folder)
    return result
