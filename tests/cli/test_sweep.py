"""Does a sweep lose nothing that is finished, whatever ends it: Ctrl-C, the death of a worker, of the sweep, of a cluster's worker or scheduler?

Real processes, and a real Dask cluster of two workers on this machine.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edensim as edensim_package
from edensim.sweep.result import load_sweep
from tests.cli.conftest import Edensim, environment

Refused = Callable[..., str]

#: Seconds after which a test gives up waiting for what must happen.
PATIENCE_s = 60

#: Twelve simulations, each a fifth of a second or more.
POINTS = 12
OVER = (
    "--over",
    "controller.read_queue=32:42:2",
    "--over",
    "dram.timings.nRCD=14,16",
    "--out",
    "out",
)


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first run on a machine compiles, and says so on standard error."""
    path = tmp_path_factory.mktemp("traces") / "tiny.trace"
    path.write_text("LD 0x40\n" * 10)
    edensim_package.simulate(path)


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random lines, so that a simulation lasts long enough to be killed in."""
    path = tmp_path_factory.mktemp("traces") / "long.trace"
    lines = np.random.default_rng(1).integers(0, 1 << 24, 400_000) * 64
    path.write_text("".join(f"LD {address:#x}\n" for address in lines.tolist()))
    return path


@pytest.fixture
def begin(tmp_path: Path, long_trace: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sweep in the background; it is ended with the test."""
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "edensim", "sweep", str(long_trace), *OVER, *arguments]
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def finished(folder: Path) -> dict[str, str]:
    """Results in a store, also while a sweep is writing it."""
    path = folder / "out" / "results.sqlite"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        try:
            return dict(connection.execute("SELECT key, result FROM results"))
        except sqlite3.OperationalError:  # not made yet
            return {}


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to happen; returns what came out."""
    end = time.monotonic() + PATIENCE_s
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def children(process: int) -> list[int]:
    """Processes that a process has started and that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # ended meanwhile
                continue
            if int(parent) == process and state != "Z":
                found.append(int(entry.name))
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run_now(output: str) -> int:
    """How many points a sweep says it has run."""
    match = re.search(r"(\d+) run now", output)
    return int(match[1]) if match else 0


def test_a_sweep_writes_its_tables_and_runs_nothing_twice(
    edensim: Edensim, trace: Path, tmp_path: Path
) -> None:
    command = (
        "sweep",
        trace.name,
        "--over",
        "dram.vdd_V=1.1,1.2",
        "--over",
        "dram.trcd_ns=7:13:2",
        "--out",
        "out",
        "--workers",
        "2",
    )
    first = edensim(*command)
    assert (first.returncode, first.stderr) == (0, "")
    assert (
        first.stdout == "out: 8 points, 8 run now, in 4 simulations; results.csv, results.parquet\n"
    )
    tables = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(tables) == {"results.csv", "results.parquet", "results.sqlite"}
    again = edensim(*command)
    assert again.stdout == "out: 8 points, all finished before; results.csv, results.parquet\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == tables
    assert (edensim(*command, "--quiet").stdout, edensim(*command, "--quiet").stderr) == ("", "")


def test_a_run_file_pairs_and_settings(edensim: Edensim, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\ndram:\n  channels: 2\n")
    pairs = ("--over", "dram.vdd_V=1.1,1.2", "--over", "dram.trcd_ns=9,13", "--paired")
    done = edensim("sweep", "run.yaml", *pairs, "--set", "seed=7", "--out", "out", "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    swept = load_sweep(tmp_path / "out")
    assert swept.values == (
        {"dram.vdd_V": 1.1, "dram.trcd_ns": 9},
        {"dram.vdd_V": 1.2, "dram.trcd_ns": 13},
    )
    assert all(
        result.config["dram"]["channels"] == 2 and result.seed == 7 for result in swept.results
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--over", "dram.vdd=1,2"), "--over dram.vdd: unknown key; did you mean 'dram.vdd_V'?"),
        (("--over", "dram.vdd_V="), "the list of values is empty"),
        (
            ("--over", "dram.vdd_V=1.1,low"),
            "--over dram.vdd_V=low: expected a number above 0, found the text 'low'",
        ),
        (("--over", "dram.vdd_V=1.1,99"), "--over dram.vdd_V=99: expected "),
        (
            ("--over", "dram.vdd_V=1.1", "--workers", "0"),
            "--workers: expected a whole number from 1, found 0",
        ),
        (
            ("--over", "dram.vdd_V=1.1", "--scheduler", "tcp://127.0.0.1:9"),
            "--scheduler tcp://127.0.0.1:9: cannot be reached",
        ),
        (
            ("--over", "dram.vdd_V=1.1", "--scheduler", "nonsense://x"),
            "--scheduler nonsense://x: cannot be reached",
        ),
        (
            ("--over", "dram.vdd_V=1.1", "--out", "small.trace"),
            "small.trace: is a file; expected a folder",
        ),
        (("--over", "dram.vdd_V=1.1", "--out", "no/such"), "no/such: folder 'no' does not exist"),
        (("--over", "trace=small.trace,missing.trace"), "missing.trace: no such file"),
        ((), "Missing option '--over'"),
    ],
)
def test_refused_before_anything_runs(
    refused: Refused, trace: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused("sweep", trace.name, "--out", "out", *arguments)


def test_a_store_of_another_version(edensim: Edensim, trace: Path, tmp_path: Path) -> None:
    command = (
        "sweep",
        trace.name,
        "--over",
        "dram.vdd_V=1.1,1.2",
        "--out",
        "out",
        "--workers",
        "1",
    )
    assert edensim(*command).returncode == 0
    with closing(
        sqlite3.connect(tmp_path / "out" / "results.sqlite", isolation_level=None)
    ) as connection:
        connection.execute("UPDATE about SET value = '0.0.1' WHERE name = 'version'")
    done = edensim(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edensim: out/results.sqlite: results of edensim 0.0.1, this is ")


def test_a_full_disk(trace: Path, tmp_path: Path) -> None:
    """No file may grow beyond what a few points take."""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    command = [
        sys.executable,
        "-m",
        "edensim",
        "sweep",
        trace.name,
        "--over",
        "controller.read_queue=1:30:1",
        "--out",
        "out",
        "--workers",
        "1",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_files,
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"edensim: out/results.sqlite: cannot be written: .*; \d+ of 30 points are finished and kept, .*\n",
        done.stderr,
    )
    kept = finished(tmp_path)
    assert 0 < len(kept) < 30
    resumed = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert run_now(resumed.stdout) == 30 - len(kept)
    assert kept.items() <= finished(tmp_path).items()


def test_kill_a_worker(begin: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    sweep = begin("--workers", "2")
    until(lambda: finished(tmp_path))
    before = finished(tmp_path)
    os.kill(until(lambda: children(sweep.pid))[0], signal.SIGKILL)
    output, complaints = sweep.communicate(timeout=PATIENCE_s)
    assert (sweep.returncode, complaints) == (0, "")
    assert run_now(output) == POINTS
    assert len(load_sweep(tmp_path / "out")) == POINTS
    assert before.items() <= finished(tmp_path).items()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_end_the_whole_sweep(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path, how: signal.Signals
) -> None:
    sweep = begin("--workers", "2")
    until(lambda: len(finished(tmp_path)) >= 2)
    workers = children(sweep.pid)
    assert len(workers) == 2
    if how == signal.SIGINT:
        os.killpg(sweep.pid, how)  # as Ctrl-C does: sweep and workers
    else:
        sweep.send_signal(how)
    _, complaints = sweep.communicate(timeout=PATIENCE_s)
    until(lambda: not any(map(alive, workers)))  # no worker outlives its sweep
    if how == signal.SIGINT:
        assert sweep.returncode == 130
        told = r"edensim: interrupted after \d+ of 12 points; finished points are kept in out, the same command goes on from there\n"
        assert re.fullmatch(told, complaints)
    kept = finished(tmp_path)
    assert 2 <= len(kept) < POINTS
    assert len(load_sweep(tmp_path / "out")) == len(kept)

    resumed = begin("--workers", "2")
    output, complaints = resumed.communicate(timeout=PATIENCE_s)
    assert (resumed.returncode, complaints) == (0, "")
    assert run_now(output) == POINTS - len(kept)
    assert kept.items() <= finished(tmp_path).items()


@pytest.mark.parametrize("safe_path", ["0", "1"])
def test_a_script_needs_no_main_guard(trace: Path, tmp_path: Path, safe_path: str) -> None:
    """Workers import edensim alone, not the script, and nothing that lies in the current folder."""
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the current folder')")
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "script.py"
    script.write_text(
        "import edensim\n"
        f"swept = edensim.sweep({trace.name!r}, {{'dram.trcd_ns': [9, 13]}}, workers=2)\n"
        "print(len(swept.results))\n"
    )
    variables = {**environment(), "PYTHONSAFEPATH": safe_path if safe_path == "1" else ""}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


# ------------------------------------------------------------------------------------------------------------------------- Dask cluster


@contextmanager
def dask_cluster(
    folder: Path, workers: int
) -> Iterator[tuple[str, subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]]:
    """Address, scheduler process and worker processes of a cluster on this machine."""
    log = (folder / "cluster.log").open("wb")
    with ExitStack() as stack:
        stack.enter_context(log)

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=folder,
                env=environment(),
                stdout=log,
                stderr=log,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        file = folder / "scheduler.json"
        scheduler = start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
        )
        until(lambda: file.exists() and file.read_text().endswith("}"))
        found = re.search(r"tcp://[\d.]+:\d+", file.read_text())
        assert found is not None
        crew = [
            start(
                "worker",
                found[0],
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--local-directory",
                str(folder / f"w{index}"),
            )
            for index in range(workers)
        ]
        yield found[0], scheduler, crew


def test_dask_cluster_loses_a_worker(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    with dask_cluster(tmp_path, 2) as (address, _, workers):
        sweep = begin("--scheduler", address)
        until(lambda: finished(tmp_path))
        workers[0].kill()
        output, complaints = sweep.communicate(timeout=PATIENCE_s)
        assert (sweep.returncode, complaints) == (0, "")
        assert run_now(output) == POINTS
        assert len(load_sweep(tmp_path / "out")) == POINTS


def test_dask_scheduler_is_lost(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    with dask_cluster(tmp_path, 1) as (address, scheduler, _):
        sweep = begin("--scheduler", address)
        until(lambda: finished(tmp_path))
        scheduler.kill()
        _, complaints = sweep.communicate(timeout=PATIENCE_s)
        assert sweep.returncode == 1
        assert "the scheduler was lost" in complaints
        assert "Traceback" not in complaints
        kept = finished(tmp_path)
    resumed = begin("--workers", "2")
    output, _ = resumed.communicate(timeout=PATIENCE_s)
    assert (resumed.returncode, run_now(output)) == (0, POINTS - len(kept))


def test_dask_cluster_without_workers(edensim: Edensim, trace: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    with dask_cluster(tmp_path, 0) as (address, _, _):
        done = edensim(
            "sweep",
            trace.name,
            "--over",
            "dram.vdd_V=1.1,1.2",
            "--out",
            "out",
            "--scheduler",
            address,
        )
    assert (done.returncode, done.stderr) == (
        2,
        f"edensim: --scheduler {address}: the cluster has no workers\n",
    )
