"""A package with one plug-in of each kind, built by pip and installed into a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = """
[metadata]
name = edensim-example
version = 0.1
[options]
py_modules = edensim_example
[options.entry_points]
edensim.standards =
    example = edensim_example:standards
edensim.error_models =
    striped = edensim_example:striped
edensim.machines =
    copier = edensim_example:copier
edensim.tracefiles =
    hexlist = edensim_example:HEXLIST
edensim.schedulers =
    newest = edensim_example:newest
"""

CODE = '''
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edensim.bit_errors.models import CellDistribution, error_model
from edensim.engine.tiles import Schedule, run_tiled
from edensim.tracefiles.formats import Format
from edensim.vocabulary import REQUEST, TILE, TRANSFER, SourceKind


def standards():
    return Path(__file__).with_name("standards")


@error_model(12, "striped")
def striped(weak_fraction: float, failure_probability: float = 0.5) -> CellDistribution:
    """Weak cells in stripes."""
    return CellDistribution(weak_fraction, failure_probability, failure_probability, bitline_spread=2.0)


@dataclass(frozen=True)
class Copier:
    layout: object
    name: str = "copier"
    clock_MHz: float = 1000.0
    depth: int = 2
    outstanding: int = 0

    def run(self, engine):
        return run_tiled(engine, self)

    def schedules(self):
        tile = (0, 10, 1, 1, 0, 0)
        transfers = [(0, 4096, 0, 1, 0, 0), (8192, 4096, 0, 1, 1, 0)]
        return (Schedule(np.array([tile], TILE), np.array(transfers, TRANSFER)),)

    def counters(self):
        return {"copied_bytes": 4096}

    def layer_counters(self):
        return ({},)


def copier(network, layout, section):
    return Copier(layout)


def read_hexlist(path, records_per_chunk):
    addresses = [int(word[1:], 16) for word in path.read_text().split()]
    records = np.zeros(len(addresses), REQUEST)
    records["address"], records["writeback"], records["tensor"] = addresses, -1, -1
    yield records, np.arange(1, len(addresses) + 1)


HEXLIST = Format(
    "hexlist", SourceKind.SATURATING, "'@ADDRESS'", re.compile(rb"@[0-9a-f]+$"), read=read_hexlist
)


def newest(queue):
    return reversed(queue.requests)
'''

USES = """
import json, sys
import edensim
from edensim.bit_errors.models import ErrorModel

trace = sys.argv[1]
print(ErrorModel.of("striped", weak_fraction=0.1).name)
result = edensim.simulate(trace, dram={"standard": "MYDDR"}, errors={"model": "striped", "ber": 0.1})
print(json.dumps([result.requests["read"], result.bit_errors["flips"] > 0]))
newest = edensim.simulate(trace, engine="reference", controller={"scheduler": "newest"})
oldest = edensim.simulate(trace, controller={"scheduler": "fcfs"})
print(json.dumps([newest.requests["read"], newest.cycles != oldest.cycles]))
runs = [
    edensim.simulate(network="lenet", frontend="copier", baselines=[], engine=engine)
    for engine in ("compiled", "reference")
]
print(json.dumps([runs[0].frontend, runs[0].to_dict() == runs[1].to_dict()]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the package is installed."""
    source = tmp_path_factory.mktemp("source")
    (source / "setup.cfg").write_text(SETUP)
    (source / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    (source / "edensim_example.py").write_text(CODE)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "--no-build-isolation", "--no-deps", "--no-index", str(source)]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True)
    if "No module named" in ran.stderr:
        pytest.skip(f"pip and setuptools are needed: {ran.stderr}")
    assert ran.returncode == 0, ran.stderr
    (folder / "standards").mkdir()
    (folder / "standards" / "MYDDR.yaml").write_text("extends: DDR4\nname: MYDDR\n")
    (folder / "requests.txt").write_text(
        "".join(f"@{64 * (i * 37 % 5000):x}\n" for i in range(300))
    )
    return folder


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})  # fmt: skip


def test_one_of_each_kind_is_used_from_python(site: Path) -> None:
    (site / "uses.py").write_text(USES)
    ran = run(site, str(site / "uses.py"), str(site / "requests.txt"))
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("[")]
    assert lines == [[300, True], [300, True], [{"copied_bytes": 4096}, True]]


def test_names_are_taken_by_the_command_line(site: Path) -> None:
    trace = str(site / "requests.txt")
    ran = run(site, "-m", "edensim", "simulate", trace, "--set", "controller.scheduler=newest")
    assert ran.returncode == 2
    assert "the compiled engine has no 'newest'" in ran.stderr
    ran = run(site, "-m", "edensim", "simulate", trace, "--engine", "reference", "--json", "-", "--set", "controller.scheduler=newest", "--set", "trace_format=hexlist", "--set", "dram.standard=MYDDR")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["requests"]["read"] == 300
    assert "MYDDR" in run(site, "-m", "edensim", "standards").stdout
