"""The command line as a user types it: a process, its output and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.locations import ROOT

Edensim = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """What a command runs with: this checkout, whatever is installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture
def edensim(tmp_path: Path) -> Edensim:
    """Run `edensim ARGUMENTS` in the test's folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edensim", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def refused(edensim: Edensim, tmp_path: Path) -> Callable[..., str]:
    """Run a command that must be refused: exit code 2, one clear message, no traceback, and nothing left behind. Returns the message."""

    def run(*arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        done = edensim(*arguments)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("edensim: ")
        assert "Traceback" not in done.stderr
        assert sorted(tmp_path.rglob("*")) == before
        return done.stderr

    return run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A small load-store trace: a stream with some writes."""
    path = tmp_path / "small.trace"
    path.write_text("".join(f"{'ST' if i % 5 == 4 else 'LD'} {i * 64:#x}\n" for i in range(2000)))
    return path
