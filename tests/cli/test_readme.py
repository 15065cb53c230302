"""Does every command and every example of the README run as printed?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Edensim, environment

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


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
    done = subprocess.run(
        command,
        cwd=clone,
        env={**environment(), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_quick_start_comes_first_and_has_two_commands(clone: Path) -> None:
    quick_start = README.partition("## Quick start")[2].lstrip()
    kind, text = BLOCKS[0]
    assert quick_start.startswith(f"```{kind}\n{text}```")
    first, second = text.splitlines()
    assert "pip install" in first
    assert "pytest" in second
    run(
        clone, ["bash", "-euo", "pipefail", "-c", first.rpartition("&& ")[2]]
    )  # .ci/run runs all of it, the installation too


@pytest.mark.parametrize("index", range(1, len(BLOCKS)))
def test_each_example_runs(clone: Path, index: int) -> None:
    kind, text = BLOCKS[index]
    run(
        clone,
        ["bash", "-euo", "pipefail", "-c", text] if kind == "sh" else [sys.executable, "-c", text],
    )


def test_the_sample_output_is_what_the_first_command_prints(edensim: Edensim) -> None:
    sample = re.findall(r"^```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[0].splitlines()
    printed = edensim(
        "simulate", ROOT / "traces" / "darknet-yolov3-tiny-96.trace.xz"
    ).stdout.splitlines()
    assert [line for line in sample if line not in printed] == []


def test_the_reading_order_names_seven_files() -> None:
    order = README.partition("## How to read the code")[2].partition("##")[0]
    assert len(re.findall(r"^\d\. `([^`]+)`", order, re.MULTILINE)) == 7


def test_every_file_that_is_named_exists() -> None:
    named = re.findall(
        r"`((?:edensim|configs|tests|traces)/[\w./-]*|[\w-]+\.cfg|\.ci/run)`", README
    )
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []
