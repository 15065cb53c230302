"""Are the README's results those of `edensim reproduce`, and does it still find them?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edensim.reproduction.report import comparison_cells, markdown_table
from edensim.reproduction.section import Row
from edensim.reproduction.target import scope_of
from edensim.reproduction.targets import targets_named
from edensim.reproduction.task import run_tasks
from tests.locations import ROOT

#: report.json of `edensim reproduce all`.
RECORDED = json.loads((ROOT / "benchmarks" / "reproduction.json").read_text())
#: Targets whose work takes seconds, and does not hang on how torch sums; the others' figures move only with the engine's or the networks', which
#: other tests hold.
QUICK = ("rates", "gpu", "accelerators", "sensitivity")


def recorded(name: str) -> dict[str, Any]:
    return next(section for section in RECORDED["sections"] if section["name"] == name)


def test_the_readme_shows_the_recorded_summary() -> None:
    rows = [
        (section["title"], Row.from_dict(row))
        for section in RECORDED["sections"]
        for row in section["rows"]
        if row["key"]
    ]
    table = (
        (ROOT / "README.md")
        .read_text()
        .partition("<!-- results -->\n")[2]
        .partition("\n<!-- /results -->")[0]
    )
    assert table == markdown_table(*comparison_cells(rows))


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_the_command_still_finds_what_is_recorded(name: str, tmp_path: Path) -> None:
    scope = scope_of(full=False, datasets=None)
    [target] = targets_named([name])
    tasks = target.tasks(scope)
    found = run_tasks(list(tasks.values()), tmp_path, workers=1)
    section = target.section(
        scope, {key: found[task.key]["outcome"] for key, task in tasks.items()}
    )
    before = recorded(name)["rows"]
    assert [row.what for row in section.rows] == [row["what"] for row in before]
    for row, old in zip(section.rows, before, strict=True):
        assert row.published == old["published"]
        assert row.ours == (
            None if old["ours"] is None else pytest.approx(old["ours"], rel=1e-6, abs=1e-12)
        ), row.what
