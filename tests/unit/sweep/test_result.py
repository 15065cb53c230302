"""Are finished points kept whatever happens to the store, and do tables hold what points do?"""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edensim
from edensim.config.loading import load_config
from edensim.exceptions import EdensimError, InputError
from edensim.sweep.grid import Point, plan
from edensim.sweep.result import load_sweep, pareto_front
from edensim.sweep.store import NAME, Store, locked
from edensim.sweep.task import make_task, run_cluster_task, trace_digest
from edensim.sweep.worker_pool import run_on_workers


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "small.trace"
    path.write_text("".join(f"LD {(i * 7919 % 4096) * 64:#x}\n" for i in range(300)))
    return path


OVER: dict[str, list[Any]] = {"dram.vdd_V": [1.2, 1.15], "controller.scheduler": ["fcfs", "frfcfs"]}


@pytest.fixture
def folder(trace: Path, tmp_path: Path) -> Path:
    """A finished sweep."""
    edensim.sweep(trace, OVER, out=tmp_path / "out", workers=1)
    return tmp_path / "out"


def test_table_files_and_dataframe_are_the_same(folder: Path) -> None:
    swept = load_sweep(folder)
    frame = swept.to_dataframe()
    assert list(frame.columns[:2]) == list(OVER)
    assert len(frame) == len(swept) == 4
    assert frame["energy_pJ.total"].tolist() == [result.energy_pJ.total for result in swept.results]
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "results.parquet"), frame, check_dtype=False
    )
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["energy_pJ.total"]) for row in rows] == frame["energy_pJ.total"].tolist()
    assert [row["controller.scheduler"] for row in rows] == ["fcfs", "frfcfs", "fcfs", "frfcfs"]


def test_a_larger_grid_runs_only_what_is_new(folder: Path, trace: Path) -> None:
    wider = edensim.sweep(trace, {**OVER, "dram.vdd_V": [1.2, 1.15, 1.1]}, out=folder, workers=1)
    assert (len(wider), wider.simulated) == (6, 2)
    narrower = edensim.sweep(trace, OVER, out=folder, workers=1)
    assert (len(narrower), narrower.simulated) == (4, 0)
    assert len(pd.read_csv(folder / "results.csv")) == 4


def test_missing_tables_are_written_again(folder: Path, trace: Path) -> None:
    for name in ("results.csv", "results.parquet"):
        (folder / name).unlink()
        edensim.sweep(trace, OVER, out=folder)
        assert (folder / name).is_file()


def test_a_changed_trace_is_another_run(folder: Path, trace: Path) -> None:
    trace.write_text(trace.read_text() + "LD 0x40\n")
    assert edensim.sweep(trace, OVER, out=folder, workers=1).simulated == 4


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("format", "99", "format 99"), ("version", "0.0.7", "edensim 0.0.7, this is")],
)
def test_another_format_or_version_is_refused(
    folder: Path, trace: Path, name: str, value: str, message: str
) -> None:
    with sqlite3.connect(folder / NAME) as connection:
        connection.execute("UPDATE about SET value = ? WHERE name = ?", (value, name))
    connection.close()
    for use in (lambda: load_sweep(folder), lambda: edensim.sweep(trace, OVER, out=folder)):
        with pytest.raises(InputError, match=message):
            use()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_store_cut_short_is_refused(folder: Path, trace: Path, keep: float) -> None:
    content = (folder / NAME).read_bytes()
    (folder / NAME).write_bytes(content[: int(len(content) * keep)])
    for use in (lambda: load_sweep(folder), lambda: edensim.sweep(trace, OVER, out=folder)):
        with pytest.raises(InputError, match=r"results.sqlite: damaged or cut short"):
            use()


@pytest.mark.parametrize("content", [b"this is no database, but a poem" * 100, b"\0" * 5000])
def test_something_else_in_its_place_is_refused(folder: Path, content: bytes) -> None:
    (folder / NAME).write_bytes(content)
    with pytest.raises(InputError, match=r"results.sqlite: "):
        load_sweep(folder)


def test_a_sweep_that_ended_before_its_first_commit_begins_anew(folder: Path, trace: Path) -> None:
    (folder / NAME).write_bytes(b"")
    assert edensim.sweep(trace, OVER, out=folder, workers=1).simulated == 4


def test_a_folder_without_a_sweep(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results of a sweep"):
        load_sweep(tmp_path)


def test_one_sweep_at_a_time(folder: Path, trace: Path) -> None:
    with locked(folder), pytest.raises(InputError, match="another sweep is running"):
        edensim.sweep(trace, OVER, out=folder)


def test_a_full_disk_keeps_what_is_finished(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = {"controller.read_queue": list(range(1, 40))}
    planned = Store.set_plan

    def filling(store: Store, points: list[Point]) -> None:
        planned(store, points)
        [(pages,)] = store.connection.execute("PRAGMA page_count")
        store.connection.execute(
            f"PRAGMA max_page_count = {pages + 8}"
        )  # SQLite's own 'database or disk is full'

    with monkeypatch.context() as patch:
        patch.setattr(Store, "set_plan", filling)
        with pytest.raises(
            EdensimError, match=r"disk is full; [1-9]\d* of 39 points are finished and kept"
        ) as told:
            edensim.sweep(trace, over, out=tmp_path / "out", workers=1)
    assert told.value.exit_code == 1
    kept = len(load_sweep(tmp_path / "out"))
    assert 0 < kept < 39
    resumed = edensim.sweep(trace, over, out=tmp_path / "out", workers=1)
    assert (len(resumed), resumed.simulated) == (39, 39 - kept)


def test_a_full_disk_for_the_tables(
    folder: Path, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "results.csv").unlink()

    def full(*_: object) -> None:
        raise InputError("results.csv: cannot be written: No space left on device")

    monkeypatch.setattr("edensim.sweep.result.save_text", full)
    with pytest.raises(
        EdensimError, match="No space left on device; finished points are kept"
    ) as told:
        edensim.sweep(trace, OVER, out=folder)
    assert told.value.exit_code == 1
    assert len(load_sweep(folder)) == 4


def test_a_task_that_ends_each_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edensim.sweep.worker_pool.sys.executable", "/bin/false")
    news = [
        item
        for item in run_on_workers("no:function", [{"task": 0}, {"task": 1}], 2)
        if item is not None
    ]
    assert sorted(index for index, _ in news) == [0, 1]
    assert news[0][1] == {
        "failed": "its worker process ended with exit code 1, 3 times",
        "exit_code": 1,
    }


def test_points_that_fail_do_not_take_others_along(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.trace", tmp_path / "bad.trace"
    good.write_text("LD 0x40\n" * 100)
    bad.write_text("LD 0x40\n" * 1000 + "LD oops\n")
    with pytest.raises(
        InputError, match=r"1 of 2 points failed; the first, trace=.*bad.trace: .*line 1001"
    ) as told:
        edensim.sweep({}, {"trace": [str(bad), str(good)]}, out=tmp_path / "out", workers=1)
    assert "Traceback" not in str(told.value)
    assert [values["trace"] for values in load_sweep(tmp_path / "out").values] == [str(good)]


def test_a_data_frame_needs_an_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = load_sweep(folder)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(EdensimError, match=r'pip install "edensim\[pandas\]"'):
        swept.to_dataframe()


def test_results_survive_in_json(folder: Path) -> None:
    swept = load_sweep(folder)
    assert [result.to_dict() for result in swept.results] == [
        json.loads(text) for text in swept.texts
    ]
    assert swept.keys == tuple(OVER)
    assert swept.expected == 4


def test_pareto_front_of_a_known_set() -> None:
    energies, times = [1, 2, 3, 2, 1, 4, float("nan")], [5, 3, 1, 3, 6, 1, 0]
    assert pareto_front(energies, times).tolist() == [True, True, True, True, False, False, False]
    assert pareto_front([], []).tolist() == []
    with pytest.raises(ValueError, match="equal number"):
        pareto_front([1, 2], [1])


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=40))
def test_pareto_front_is_what_no_point_beats(points: list[tuple[int, int]]) -> None:
    beaten = [
        any(e <= energy and t <= time and (e, t) != (energy, time) for e, t in points)
        for energy, time in points
    ]
    front = pareto_front(np.array([e for e, _ in points]), [t for _, t in points])
    assert front.tolist() == [not is_beaten for is_beaten in beaten]


def test_a_cluster_s_worker_with_other_code_runs_nothing(trace: Path) -> None:
    """Its results would be kept under the key of this code."""
    [point] = plan(load_config(None, [f"trace={trace}"]), [{"dram.vdd_V": 1.1}], trace_digest)
    task = make_task([point])
    assert "results" in run_cluster_task(task)[0]
    [outcome] = run_cluster_task({**task, "code": "other"})
    assert "its code differs" in outcome["failed"]
