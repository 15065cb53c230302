"""Does `edensim reproduce` write its report, keep what is finished, and refuse what it does not know?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Edensim

FILES = ("report.md", "report.html", "report.json")


def test_a_report_is_the_same_from_kept_tasks_and_with_any_workers(edensim: Edensim, tmp_path: Path) -> None:
    done = edensim("reproduce", "rates", "-o", "one", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "vendor A" in done.stdout
    tasks = sorted((tmp_path / "one" / "tasks").iterdir())
    before = {task: task.stat().st_mtime_ns for task in tasks}
    first = {name: (tmp_path / "one" / name).read_bytes() for name in FILES}
    assert edensim("reproduce", "5", "-o", "one").returncode == 0
    assert {name: (tmp_path / "one" / name).read_bytes() for name in FILES} == first
    assert {task: task.stat().st_mtime_ns for task in tasks} == before
    assert edensim("reproduce", "rates", "-o", "two", "--workers", "2").returncode == 0
    rows = [json.loads((tmp_path / folder / "report.json").read_text())["sections"] for folder in ("one", "two")]
    assert rows[0] == rows[1]


def test_a_damaged_task_is_run_again(edensim: Edensim, tmp_path: Path) -> None:
    assert edensim("reproduce", "rates", "-o", "out").returncode == 0
    task = sorted((tmp_path / "out" / "tasks").iterdir())[0]
    whole = json.loads(task.read_text())["outcome"]
    task.write_text(task.read_text()[:100])
    assert edensim("reproduce", "rates", "-o", "out").returncode == 0
    assert json.loads(task.read_text())["outcome"] == whole


def test_what_is_unknown_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "cpu-speed" in refused("reproduce", "cpu-sped")
    assert "no-such" in refused("reproduce", "rates", "--datasets", "no-such")
    (tmp_path / "file").touch()
    assert "expected a folder" in refused("reproduce", "rates", "-o", "file")
