"""The reference engine as a choice: the same result as the compiled engine, and schedulers in Python."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edensim import simulate
from edensim.exceptions import ConfigError, InputError, ProtocolError
from edensim.reference.schedulers import Queue
from edensim.vocabulary import REQUEST, SourceKind

PARTITIONED = {
    "channels": 2,
    "trcd_ns": 9.0,
    "partitions": [{"banks": "0-3", "rows": "0-1", "vdd_V": 1.0}, {"banks": "6", "vdd_V": 1.1}],
    "changes": [{"at_cycle": 900, "vdd_V": 1.1, "settling_ns": 50.0}],
}
SLEEPY = {"power_down": "idle", "power_down_idle_cycles": 5, "self_refresh_idle_cycles": 300}
ERRORS = {"model": "uniform", "ber": 0.01}


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Small traces of each source kind, which meet few rows, and a network of three layers."""
    random = np.random.default_rng(1)
    lines = (64 * random.integers(0, 1 << 14, 600)).tolist()
    writes = (random.random(600) < 0.3).tolist()
    (tmp_path / "saturating.ls").write_text(
        "".join(f"{'ST' if w else 'LD'} {a}\n" for a, w in zip(lines, writes, strict=True))
    )
    (tmp_path / "timed.ds3").write_text(
        "".join(
            f"0x{a:X} {'WRITE' if w else 'READ'} {9 * i}\n"
            for i, (a, w) in enumerate(zip(lines, writes, strict=True))
        )
    )
    (tmp_path / "loads.core").write_text(
        "".join(f"{a % 17} {a}{f' {lines[-i]}' * w}\n" for i, (a, w) in enumerate(zip(lines[:300], writes[:300], strict=True), 1))
    )  # fmt: skip
    records = np.zeros(400, REQUEST)
    records["address"], records["is_write"], records["writeback"] = lines[:400], writes[:400], -1
    records["tensor"] = random.integers(-1, 3, 400)
    from edensim.tracefiles.native import NativeWriter

    writer = NativeWriter(tmp_path / "tensors.parquet", SourceKind.SATURATING, "test")
    writer.write(records)
    writer.close()
    (tmp_path / "net.csv").write_text(
        "Layer,IFMAP H,IFMAP W,Filter H,Filter W,Channels,Num Filter,Strides,\n"
        "a,10,10,3,3,4,8,1,\nb,8,8,3,3,8,8,1,\nc,6,6,1,1,8,16,1,\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("trace", "sections"),
    [
        ("saturating.ls", {}),
        ("saturating.ls", {"dram": PARTITIONED, "errors": ERRORS}),
        ("timed.ds3", {"dram": {"ranks": 2}, "controller": SLEEPY}),
        ("loads.core", {"source": {"llc_kB": 1}, "controller": {"row_policy": "closed"}}),
        ("tensors.parquet", {"dram": PARTITIONED, "errors": ERRORS}),
    ],
)
def test_every_key_of_a_trace_s_result_is_the_same(
    trace: str, sections: dict[str, Any], traces: Path
) -> None:
    compiled = simulate(traces / trace, **sections, commands=traces / "compiled.csv")
    reference = simulate(
        traces / trace, **sections, commands=traces / "reference.csv", engine="reference"
    )
    assert reference.to_dict() == compiled.to_dict()
    ours, theirs = (
        sorted((traces / f"{name}.csv").read_text().splitlines())
        for name in ("reference", "compiled")
    )
    assert ours == theirs


@pytest.mark.parametrize("machine", ["tpu", "eyeriss", "gpu"])
def test_every_key_of_a_machine_s_result_is_the_same(machine: str, traces: Path) -> None:
    sections: dict[str, Any] = {
        "network": str(traces / "net.csv"),
        "frontend": machine,
        "dram": {"trcd_ns": 9.0},
        "errors": ERRORS,
        "baselines": ["nominal"],
    }
    reference = simulate(**sections, engine="reference")
    assert len(reference.layers) == 3
    assert reference.to_dict() == simulate(**sections).to_dict()


def test_what_the_reference_engine_does_not_run_is_refused(traces: Path) -> None:
    with pytest.raises(ConfigError, match="runs tiled machines only .*'cpu'"):
        simulate(network=str(traces / "net.csv"), frontend="cpu", engine="reference")
    with pytest.raises(InputError, match=r"found 'refrence'; did you mean 'reference'\?"):
        simulate(traces / "timed.ds3", engine="refrence")


def closest_row(queue: Queue) -> Iterable[Any]:
    """Prefer requests whose row is close to the row that their bank has open, then older ones."""

    def distance(request: Any) -> int:
        open_row = queue.open_rows[request.bank]
        return 0 if open_row is None else abs(request.target.row - open_row)

    return sorted(queue.requests, key=distance)


def test_a_scheduler_of_the_user_s_own(traces: Path) -> None:
    """In thirty lines: more row hits than first come, first served, and no request is lost."""
    first_come = simulate(traces / "saturating.ls", controller={"scheduler": "fcfs"})
    closest = simulate(traces / "saturating.ls", engine="reference", scheduler=closest_row)
    assert closest.requests["read"] == first_come.requests["read"]
    assert closest.row_hits > first_come.row_hits
    with pytest.raises(InputError, match="the compiled engine runs no Python function"):
        simulate(traces / "saturating.ls", scheduler=closest_row)


def test_a_scheduler_that_makes_up_a_request_is_refused(traces: Path) -> None:
    with pytest.raises(ProtocolError, match="chose a request that is not in the queue"):
        simulate(traces / "saturating.ls", engine="reference", scheduler=lambda queue: [object()])
