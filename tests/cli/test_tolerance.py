"""Does `edensim tolerance` write what it found, also where it is interrupted, and refuse what cannot be reached?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks are run by torch (extra torch)")
if find_spec("sklearn") is None:
    pytest.skip("the digits are scikit-learn's (extra torch)", allow_module_level=True)

from edensim.eden.tolerance import Tolerance  # noqa: E402
from tests.locations import ROOT


def test_a_target_that_the_clean_network_misses_is_refused(refused) -> None:
    assert "target: 99.90% is above what lenet reaches without errors, 98.89%" in refused(
        "tolerance", "lenet", "--target", "0.999", "-o", "t.json"
    )


def test_what_was_found_outlasts_ctrl_c(edensim, tmp_path: Path) -> None:
    options = ["tolerance", "lenet", "--images", "100", "--repeats", "2", "-o", "t.json"]
    command = [sys.executable, "-m", "edensim", *options, "--repeats", "20"]
    here = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(command, cwd=tmp_path, env=here, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "t.json").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "--resume t.json goes on" in said
    assert not Tolerance.load(tmp_path / "t.json").complete
    done = edensim(*options)
    assert done.returncode == 0, done.stderr
    found = Tolerance.load(tmp_path / "t.json")
    assert found.complete
    assert f"tolerable BER            {found.ber:.3g}" in done.stdout
