"""Is the timeline valid Trace Event Format, and does it say what the commands did?"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edensim
from edensim.dram.standard import Standard, load_standard
from edensim.exceptions import InputError, TraceError
from edensim.tracefiles.commands import read_commands_csv, stream_commands_csv
from edensim.tracefiles.timeline import write_timeline

HEADER = "clock,command,channel,rank,bankgroup,bank,row,column\n"
REQUIRED = {
    "B": {"name", "ph", "ts", "pid", "tid"},
    "E": {"ph", "ts", "pid", "tid"},
    "M": {"name", "ph", "pid", "args"},
    "i": {"name", "ph", "ts", "s"},
}
Event = dict[str, Any]


def events_of(path: Path) -> list[Event]:
    """Events of a file that is valid: known phases with their keys, in order of time, slices balanced and nested on each track."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    document = json.loads(data)
    assert document["displayTimeUnit"] == "ns"
    events: list[Event] = document["traceEvents"]
    open_slices: Counter[tuple[int, int]] = Counter()
    last = 0.0
    for event in events:
        assert REQUIRED[event["ph"]] <= set(event)
        assert all(isinstance(event[key], int) for key in ("pid", "tid"))
        assert event["ts"] >= last
        last = event["ts"]
        open_slices[event["pid"], event["tid"]] += {"B": 1, "E": -1}.get(event["ph"], 0)
        assert open_slices[event["pid"], event["tid"]] >= 0
    assert not any(open_slices.values())
    return events


def slices_of(events: list[Event]) -> list[tuple[str, int, float, float]]:
    """(name, tid, begin, end) of every slice."""
    stacks: dict[tuple[int, int], list[Event]] = {}
    found = []
    for event in events:
        stack = stacks.setdefault((event["pid"], event["tid"]), [])
        if event["ph"] == "B":
            stack.append(event)
        elif event["ph"] == "E":
            begin = stack.pop()
            found.append((begin["name"], event["tid"], begin["ts"], event["ts"]))
    return sorted(found, key=lambda s: (s[2], -s[3]))


def timeline(tmp_path: Path, lines: str, standard: Standard, name: str = "out.json") -> list[Event]:
    (tmp_path / "in.csv").write_text(HEADER + lines)
    write_timeline(tmp_path / "in.csv", tmp_path / name, standard)
    return events_of(tmp_path / name)


@pytest.fixture(scope="module")
def ddr4() -> Standard:
    return load_standard("DDR4", ranks=2)


@pytest.mark.parametrize(
    ("policy", "refresh"), [("open", "all-bank"), ("closed", "all-bank"), ("capped", "none")]
)
def test_a_run_becomes_a_valid_timeline(
    tmp_path: Path, ddr4: Standard, policy: str, refresh: str
) -> None:
    trace = tmp_path / "small.trace"
    trace.write_text(
        "".join(
            f"{'ST' if i % 4 == 3 else 'LD'} {(i * 64 + (i // 5) * 8192 * 13) % (1 << 30):#x}\n"
            for i in range(3000)
        )
    )
    controller = {"row_policy": policy, "refresh": refresh}
    edensim.simulate(
        trace, dram={"channels": 2, "ranks": 2}, controller=controller, commands=tmp_path / "c.csv"
    )
    records = read_commands_csv(tmp_path / "c.csv")
    assert write_timeline(tmp_path / "c.csv", tmp_path / "out.json.gz", ddr4) == len(records)
    events = events_of(tmp_path / "out.json.gz")
    begun = Counter(event["name"].split()[0] for event in events if event["ph"] == "B")
    names = np.array(["ACT", "PREpb", "PREab", "RD", "WR", "RDA", "WRA", "REFab", "REFpb"])
    issued = Counter(names[records["command"]].tolist())
    assert begun["row"] == issued["ACT"]
    assert {name: begun[name] for name in ("RD", "WR", "RDA", "WRA", "REFab")} == {
        name: issued[name] for name in ("RD", "WR", "RDA", "WRA", "REFab")
    }
    tracks = {
        event["args"]["name"]
        for event in events
        if event["name" if "name" in event else "ph"] in ("process_name", "thread_name")
    }
    assert {"channel 1 rank 1", "bank group 3 bank 3", "all banks"} <= tracks


def test_slices_are_as_long_as_the_standard_says(tmp_path: Path, ddr4: Standard) -> None:
    timings, tck = ddr4.timings, ddr4.tck_ps / 1e6
    lines = "10,ACT,0,0,0,0,5,-1\n30,RD,0,0,0,0,5,3\n60,PREpb,0,0,0,0,-1,-1\n100,REFab,0,0,-1,-1,-1,-1\n"
    found = slices_of(timeline(tmp_path, lines, ddr4))
    expected = [
        ("row 5", 10, 60),
        ("RD", 30, 30 + timings["nBL"]),
        ("REFab", 100, 100 + timings["nRFC"]),
    ]
    assert [name for name, *_ in found] == [name for name, *_ in expected]
    for (_, _, begin, end), (_, first, last) in zip(found, expected, strict=True):
        assert (begin, end) == pytest.approx((first * tck, last * tck), abs=1e-9)


def test_an_auto_precharge_ends_its_row_when_the_device_does(
    tmp_path: Path, ddr4: Standard
) -> None:
    timings, tck = ddr4.timings, ddr4.tck_ps / 1e6
    (_, _, _, end), *_ = slices_of(
        timeline(tmp_path, "10,ACT,0,0,0,0,5,-1\n28,RDA,0,0,0,0,5,3\n", ddr4)
    )
    assert end == pytest.approx(max(10 + timings["nRAS"], 28 + timings["nRTP"]) * tck, abs=1e-9)
    (_, _, _, end), *_ = slices_of(
        timeline(tmp_path, "10,ACT,0,0,0,0,5,-1\n28,WRA,0,0,0,0,5,3\n", ddr4)
    )
    assert end == pytest.approx(
        max(10 + timings["nRAS"], 28 + ddr4.write_latency + timings["nWR"]) * tck, abs=1e-9
    )


def test_a_trace_that_breaks_the_standard_is_still_balanced(tmp_path: Path, ddr4: Standard) -> None:
    lines = "1,ACT,0,0,0,0,5,-1\n2,RD,0,0,0,0,5,0\n3,RD,0,0,0,0,5,1\n4,RDA,0,0,0,0,5,1\n5,ACT,0,0,0,0,6,-1\n6,PREab,0,0,-1,-1,-1,-1\n"
    lines += (
        "7,RD,0,0,0,1,9,0\n7,REFab,0,0,-1,-1,-1,-1\n8,REFab,0,0,-1,-1,-1,-1\n9,RDA,0,1,0,1,9,0\n"
    )
    assert len(slices_of(timeline(tmp_path, lines, ddr4))) == 9


def test_a_trace_without_bank_groups(tmp_path: Path) -> None:
    ddr3 = load_standard("DDR3")
    (tmp_path / "in.csv").write_text(
        "clock,command,rank,bank,row,column\n5,ACT,0,3,5,-1\n30,RD,0,3,5,0\n"
    )
    assert write_timeline(tmp_path / "in.csv", tmp_path / "out.json", ddr3) == 2
    assert "bank 3" in {
        event.get("args", {}).get("name") for event in events_of(tmp_path / "out.json")
    }


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "holds no command"),
        ("5,ACT,0,0,0,0,5,-1\n4,RD,0,0,0,0,5,0\n", "command 2: clock 4 after clock 5"),
        ("5,ACT,0,2,0,0,5,-1\n", "rank: found 2, expected 0 to 1"),
        ("5,ACT,-1,0,0,0,5,-1\n", "channel"),
        ("5,ACT,0,0,7,0,5,-1\n", "bankgroup: found 7"),
        ("5,ACT,0,0,-1,0,5,-1\n", "bankgroup: found -1"),
        ("5,ACT,0,0,0,9,5,-1\n", "bank: found 9"),
        ("5,ACTT,0,0,0,9,5,-1\n", "in.csv:2: unknown command 'ACTT'; did you mean 'ACT'"),
        ("5,ACT,0,0,0,0,5,-1\nx,RD,0,0,0,0,5,0\n", "in.csv:3: clock"),
    ],
)
def test_a_bad_trace_leaves_nothing_behind(
    tmp_path: Path, ddr4: Standard, lines: str, words: str
) -> None:
    (tmp_path / "in.csv").write_text(HEADER + lines)
    with pytest.raises(TraceError) as refused:
        write_timeline(tmp_path / "in.csv", tmp_path / "out.json", ddr4)
    assert words in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "in.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("name", ["out.txt", "out", "out.json.xz", "missing/out.json"])
def test_a_file_that_cannot_be_written_is_refused(
    tmp_path: Path, ddr4: Standard, name: str
) -> None:
    (tmp_path / "in.csv").write_text(HEADER + "5,ACT,0,0,0,0,5,-1\n")
    with pytest.raises(InputError, match="out"):
        write_timeline(tmp_path / "in.csv", tmp_path / name, ddr4)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_blocks_of_a_command_trace_are_the_whole(tmp_path: Path) -> None:
    lines = [f"{i},RD,0,0,{i % 4},{i % 3},{i},{i % 7}" for i in range(1, 500)]
    (tmp_path / "in.csv").write_text(HEADER + "\n".join(lines))
    blocks = list(stream_commands_csv(tmp_path / "in.csv", 300))
    assert len(blocks) > 10
    assert (np.concatenate(blocks) == read_commands_csv(tmp_path / "in.csv")).all()
    lines[400] = "401,RX,0,0,0,0,0,0"
    (tmp_path / "in.csv").write_text(HEADER + "\n".join(lines))
    with pytest.raises(TraceError, match=r"in\.csv:402: unknown command 'RX'"):
        list(stream_commands_csv(tmp_path / "in.csv", 300))
