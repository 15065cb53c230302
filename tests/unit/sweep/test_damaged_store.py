"""Damaged rows of a sweep store are found, named and run again; what is intact is kept."""

import sqlite3

import pytest

from edensim.sweep.result import load_sweep
from edensim.sweep.store import NAME
from edensim.sweep.sweep import sweep

OVER = {"dram.trcd_ns": [10.0, 12.5], "dram.vdd_V": [1.1, 1.2]}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the bytes of a finished store, the run, and its results."""
    folder = tmp_path_factory.mktemp("whole")
    trace = folder / "a.trace"
    trace.write_text("LD 0x0\nST 0x2000\n")
    run = {"trace": str(trace)}
    done = sweep(run, OVER, out=folder / "out", workers=1)
    return (folder / "out" / NAME).read_bytes(), run, done


def _damaged(tmp_path, stored, statement):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / NAME).write_bytes(stored[0])
    with sqlite3.connect(folder / NAME) as connection:
        connection.execute(statement)
    connection.close()
    return folder


FIRST = "WHERE key = (SELECT key FROM plan WHERE position = 0)"
DAMAGE = {
    "digit": f"UPDATE results SET result = replace(result, '\"cycles\": ', '\"cycles\": 1') {FIRST}",
    "cut": f"UPDATE results SET result = substr(result, 1, 50) {FIRST}",
    "digits": f"UPDATE results SET result = replace(result, ': 0', ': 0' || hex(zeroblob(4000))) {FIRST}",
    "bytes": f"UPDATE results SET result = CAST(x'7bff' AS TEXT) {FIRST}",
    "blob": f"UPDATE results SET result = x'00ff' {FIRST}",
    "infinity": f"UPDATE results SET result = replace(result, ': 0', ': 1e999') {FIRST}",
}


@pytest.mark.parametrize("has_digests", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_results_are_named_and_run_again(tmp_path, stored, damage, has_digests):
    if damage == "digit" and not has_digests:
        pytest.skip("a store of an older version cannot tell")
    folder = _damaged(tmp_path, stored, DAMAGE[damage])
    if not has_digests:
        with sqlite3.connect(folder / NAME) as connection:
            connection.execute("DROP TABLE digests")
        connection.close()
    with pytest.warns(UserWarning, match=r"dram\.trcd_ns=10\.0, dram\.vdd_V=1\.1"):
        loaded = load_sweep(folder)
    assert loaded.texts == stored[2].texts[1:]
    with pytest.warns(UserWarning, match="1 points are damaged; they run again"):
        again = sweep(stored[1], OVER, out=folder, workers=1)
    assert again.simulated == 1
    assert again.texts == stored[2].texts
    assert load_sweep(folder).texts == stored[2].texts


@pytest.mark.parametrize(
    "swept", ["'{\"dram.trcd_ns\": 1'", "x'ff00'", "CAST(x'7bff7d' AS TEXT)", "'[1]'"]
)
def test_damaged_plans_are_named_and_written_again(tmp_path, stored, swept):
    folder = _damaged(tmp_path, stored, f"UPDATE plan SET swept = {swept} WHERE position = 1")
    with pytest.warns(UserWarning, match="point 2 of the plan"):
        loaded = load_sweep(folder)
    assert len(loaded) == 3
    again = sweep(stored[1], OVER, out=folder, workers=1)
    assert again.simulated == 0
    assert again.texts == stored[2].texts
