"""Does every command and every example of the README run as printed?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, environment

BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a fresh clone after the install: `.venv/bin/edensim` runs this checkout."""
    for name in ("traces", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "edensim").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edensim "$@"\n')
    (binaries / "edensim").chmod(0o755)
    (binaries / "activate").touch()
    return tmp_path


def run(clone: Path, command: list[str]) -> None:
    path = f"{clone / '.venv' / 'bin'}:{environment()['PATH']}"
    done = subprocess.run(command, cwd=clone, env={**environment(), "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_quick_start_comes_first_and_has_two_commands(clone: Path) -> None:
    quick_start = (ROOT / "README.md").read_text().partition("## Quick start")[2].lstrip()
    kind, text = BLOCKS[0]
    assert quick_start.startswith(f"```{kind}\n{text}```")
    first, second = text.splitlines()
    assert "pip install" in first
    assert "pytest" in second
    run(clone, ["bash", "-euo", "pipefail", "-c", first.rpartition("&& ")[2]])  # .ci/run runs all of it, the installation too


@pytest.mark.parametrize("index", range(1, len(BLOCKS)))
def test_each_example_runs(clone: Path, index: int) -> None:
    kind, text = BLOCKS[index]
    run(clone, ["bash", "-euo", "pipefail", "-c", text] if kind == "sh" else [sys.executable, "-c", text])


def test_the_reading_order_names_files_that_exist() -> None:
    order = (ROOT / "README.md").read_text().partition("## How to read the code")[2].partition("##")[0]
    named = re.findall(r"^\d\. `([^`]+)`", order, re.MULTILINE)
    assert len(named) == 7
    assert [name for name in named if not (ROOT / name).exists()] == []
