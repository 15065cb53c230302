"""Does `edensim reproduce` write its report, keep what is finished, and refuse what it does not know?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Edensim, environment

FILES = ("report.md", "report.html", "report.json")


def test_a_report_is_the_same_from_kept_tasks_and_with_any_workers(
    edensim: Edensim, tmp_path: Path
) -> None:
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
    rows = [
        json.loads((tmp_path / folder / "report.json").read_text())["sections"]
        for folder in ("one", "two")
    ]
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
    assert "needs --datasets" in refused("reproduce", "rates", "--full")
    assert "cifar10-jpeg.tar.gz: there is no such file" in refused(
        "reproduce", "rates", "--full", "--datasets", tmp_path
    )
    assert "for --full alone" in refused("reproduce", "rates", "--datasets", tmp_path)
    (tmp_path / "file").touch()
    assert "expected a folder" in refused("reproduce", "rates", "-o", "file")


@pytest.mark.parametrize("working_s", [0, 3])
def test_workers_end_with_the_one_who_leads(tmp_path: Path, working_s: int) -> None:
    """Also if the leader is killed at once, before its workers have started to run Python."""
    command = [sys.executable, "-m", "edensim", "reproduce", "retraining", "-o", "out"]
    leader = subprocess.Popen(
        [*command, "--workers", "1"], cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL
    )
    try:
        workers = wait_for(lambda: children(leader.pid), 60)
        time.sleep(working_s)
    finally:
        leader.kill()
        leader.wait()
    wait_for(lambda: not any("python" in command_line(pid) for pid in workers), 20)


def wait_for(happened: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def children(pid: int) -> list[int]:
    """Return the processes that the threads of a process have started."""
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        pytest.skip("needs /proc to see child processes")
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in lists for word in path.read_text().split()]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
