"""Are results what was counted, and do they survive being saved, loaded and printed?"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.exceptions import InputError
from edensim.files import save_text
from edensim.results.assembly import result_of_counts
from edensim.results.run_result import RESULT_FORMAT, RunResult
from edensim.vocabulary import Command, RowState

ENERGY = EnergyBreakdown(
    activate=1.0,
    precharge=2.0,
    read=30.0,
    write=4.0,
    refresh=5.0,
    background_active=50.0,
    background_precharged=8.0,
)


def some_counts() -> Counts:
    """Two channels of one rank with four banks; latencies 3, 5, 5 and 40 cycles."""
    counts = Counts.empty(channels=2, ranks=1, banks_per_channel=4, cycles=1000)
    counts.commands[0, 1, Command.ACT] = 3
    counts.commands[1, 2, Command.ACT] = 2
    counts.commands[1, 2, Command.RD] = 4
    counts.commands[1, 2, Command.WRA] = 1
    counts.row_states[0, RowState.HIT] = 2
    counts.row_states[1, RowState.HIT] = 1
    counts.row_states[0, RowState.CONFLICT] = 2
    histogram = np.bincount([3, 5, 5, 9], minlength=10)
    return replace(
        counts,
        reads=5,
        writes=1,
        forwarded=1,
        read_latency_sum=53,
        read_latency_max=40,
        read_latency_histogram=histogram,
    )


def some_result(**changes: object) -> RunResult:
    config = {
        "dram": {"standard": "DDR4", "timings": {}},
        "trace": None,
        "energy": {"voltage_law": "linear"},
        "seed": 7,
    }
    memory = MemorySystem.nominal(load_standard("DDR4", speed_bin="2400R"), channels=2)
    result = result_of_counts(some_counts(), {"module": ENERGY}, memory, config)
    return replace(result, **changes)  # type: ignore[arg-type]


def test_totals_add_channels_and_banks():
    counts = some_counts()
    assert counts.total(Command.ACT) == 5
    assert counts.by_command()["ACT"] == 5
    assert counts.by_command()["REFab"] == 0
    assert counts.bursts == 5
    assert (counts.row_hits, counts.row_misses, counts.row_conflicts) == (3, 0, 2)


def test_counts_compare_by_value():
    assert some_counts() == some_counts()
    other = some_counts()
    other.closings[1, 3] += 1
    assert some_counts() != other


def test_counts_refuse_arrays_that_do_not_fit_each_other():
    counts = some_counts()
    with pytest.raises(ValueError, match="commands has shape"):
        replace(counts, closings=np.zeros((1, 4), np.int64))
    with pytest.raises(ValueError, match="rank_refresh_cycles"):
        replace(counts, rank_refresh_cycles=np.zeros((2, 2), np.int64))


@pytest.mark.parametrize("percent", [1, 25, 50, 75, 90, 99, 100])
@pytest.mark.parametrize("count", [1, 2, 3, 100, 101, 1000])
def test_percentiles_are_exact(percent, count):
    """Nearest rank: the smallest value with at least percent % of the values at or below it."""
    values = np.sort(np.random.default_rng(count).integers(20, 400, count))
    counts = replace(
        some_counts(),
        read_latency_histogram=np.bincount(values, minlength=500),
        read_latency_sum=int(values.sum()),
        read_latency_max=int(values[-1]),
    )
    expected = next(v for i, v in enumerate(values, 1) if 100 * i >= percent * count)
    assert counts.read_latency_percentile(percent) == expected


def test_latency_beyond_the_histogram_is_the_largest_seen():
    summary = some_counts().read_latency_summary()
    assert summary == {"mean": 53 / 4, "p50": 5, "p99": 40, "max": 40}


def test_without_reads_there_is_no_latency():
    counts = Counts.empty(1, 1, 4)
    assert set(counts.read_latency_summary().values()) == {None}


def test_energy_sums():
    assert ENERGY.background == 58.0
    assert ENERGY.total == 100.0
    assert replace(ENERGY, io=1000.0).total == 100.0
    assert (ENERGY + ENERGY).total == 200.0
    assert EnergyBreakdown.from_dict(ENERGY.to_dict()) == ENERGY
    assert {"activate", "precharge", "read", "write", "refresh", "background", "total"} <= set(
        ENERGY.to_dict()
    )


def test_result_json_has_the_documented_keys():
    values = some_result().to_dict()
    documented = {
        "cycles", "time_ns", "requests", "row_hits", "row_misses", "row_conflicts", "commands", "frontend",
        "read_latency_cycles", "bandwidth_GBps", "energy_pJ", "config", "version", "seed", "voltage_law",
    }  # fmt: skip
    assert documented <= set(values)
    assert "core" not in values
    assert values["time_ns"] == 833.0
    assert values["bandwidth_GBps"] == pytest.approx(5 * 64 / 833.0)
    assert values["requests"] == {"read": 5, "write": 1, "forwarded": 1, "coalesced": 0}
    assert values["average_power_mW"] == pytest.approx(100 / 833)
    assert (
        some_result(core={"cycles": 10, "instructions": 5, "ipc": 0.5}).to_dict()["core"]["ipc"]
        == 0.5
    )


def test_saved_and_loaded_is_the_same(tmp_path):
    for number, result in enumerate(
        [
            some_result(),
            some_result(core={"cycles": 10, "instructions": 5, "ipc": 0.5}, frontend={"tiles": 3}),
        ]
    ):
        path = tmp_path / f"{number}.json"
        result.save(path)
        assert RunResult.load(path) == result
        assert json.loads(path.read_text()) == result.to_dict()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.json", "1.json"]


def test_numpy_scalars_and_paths_in_the_config_are_saved(tmp_path):
    some_result(config={"n": np.int64(3), "x": np.float64(0.5), "trace": Path("a.trace")}).save(
        tmp_path / "r.json"
    )
    assert RunResult.load(tmp_path / "r.json").config == {"n": 3, "x": 0.5, "trace": "a.trace"}


def test_saving_replaces_the_file_and_follows_links(tmp_path):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    some_result().save(link)
    assert link.is_symlink()
    assert RunResult.load(target) == some_result()


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        some_result().save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    assert path.read_text() == "old"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    save_text(path, "hello")
    reader.join(timeout=10)
    assert read == ["hello"]
    assert path.is_fifo()


def test_places_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        some_result().save(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        some_result().save(tmp_path / "nowhere" / "r.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        some_result().save(tmp_path / "file" / "r.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_write_protected_file_is_refused(tmp_path):
    path = tmp_path / "r.json"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(InputError, match="write-protected"):
        some_result().save(path)


def _without(key: str) -> str:
    values = some_result().to_dict()
    del values[key]
    return json.dumps(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a complete result JSON"),
        (
            json.dumps(some_result().to_dict(), indent=1)[:-200],
            r"r\.json:\d+: not a complete result JSON",
        ),
        ("[1, 2]", "not an edensim result"),
        ("{}", "no key 'format'"),
        (
            json.dumps({**some_result().to_dict(), "format": RESULT_FORMAT + 1, "version": "9.9"}),
            "format 2 .written by edensim 9.9.; expected 1",
        ),
        (_without("cycles"), "key 'cycles' is missing"),
        (
            json.dumps({**some_result().to_dict(), "energy_pJ": {"total": 1}}),
            "key 'activate' is missing",
        ),
        (json.dumps({**some_result().to_dict(), "energy_pJ": 5}), "not an edensim result"),
        ("\x00\xff", "r.json"),
    ],
)
def test_files_that_are_no_result_are_refused(tmp_path, content, message):
    path = tmp_path / "r.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=message):
        RunResult.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        RunResult.load(tmp_path / "none.json")


def test_dataframe_has_one_row_with_dotted_columns():
    frame = some_result().to_dataframe()
    assert len(frame) == 1
    assert frame["energy_pJ.total"][0] == 100.0
    assert frame["config.dram.standard"][0] == "DDR4"
    assert frame["commands.ACT"][0] == 5


def test_summary_shows_units_and_shares():
    lines = some_result().summary().splitlines()
    text = "\n".join(lines)
    assert "1,000 memory cycles" in text
    assert "60.0 %" in text  # 3 hits of 5
    assert "ACT 5, RD 4, WRA 1" in text
    assert "voltage law linear" in text
    assert "GB/s" in text
    assert max(map(len, lines)) <= 120
    columns = {line.find("%") for line in lines if line.startswith("  ")}
    assert columns != {-1}


def test_summary_of_an_empty_run():
    memory = MemorySystem.nominal(load_standard("DDR4"))
    config = {"energy": {"voltage_law": "array"}, "seed": 0}
    result = result_of_counts(Counts.empty(1, 1, 4), {}, memory, config)
    assert "read latency" not in result.summary()
    json.dumps(result.to_dict(), allow_nan=False)
