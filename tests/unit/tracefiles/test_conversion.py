"""Does `convert` keep every record, refuse what would be lost, and leave no half-written file?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edensim.exceptions import InputError, TraceError
from edensim.tracefiles.conversion import convert
from edensim.tracefiles.reader import open_trace
from edensim.vocabulary import REQUEST, SourceKind

ADDRESSES = st.integers(0, 1 << 62)
SUFFIXES = st.sampled_from(["", ".gz", ".xz", ".zst"])
#: What each text format keeps, as strategies; the rest stays at what the format cannot say.
FIELDS: dict[str, dict[str, st.SearchStrategy[int]]] = {
    ".ls": {"is_write": st.integers(0, 1)},
    ".ramulator1": {"is_write": st.integers(0, 1)},
    ".core": {"gap": st.integers(0, (1 << 31) - 1), "writeback": st.integers(-1, 1 << 62)},
    ".ds3": {"is_write": st.integers(0, 1), "clock": ADDRESSES},
    ".stl": {"is_write": st.integers(0, 1), "clock": ADDRESSES},
    ".parquet": {
        "is_write": st.integers(0, 1),
        "clock": ADDRESSES,
        "gap": st.integers(0, (1 << 31) - 1),
        "writeback": st.integers(-1, 1 << 62),
        "tensor": st.integers(-1, (1 << 31) - 1),
    },
}
EMPTY = {"writeback": -1, "tensor": -1}


def read(path: Path, size: int = 1 << 15) -> np.ndarray:
    return np.concatenate(list(open_trace(path).chunks(size)))


def write_native(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = {
        name: pa.array(
            [row.get(name, EMPTY.get(name, 0)) for row in rows], pa.from_numpy_dtype(REQUEST[name])
        )
        for name in REQUEST.names or ()
    }
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize("target", FIELDS)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_round_trip(target: str, data: st.DataObject, tmp_path: Path) -> None:
    record = st.fixed_dictionaries({"address": ADDRESSES, **FIELDS[target]})
    rows = data.draw(st.lists(record, min_size=1, max_size=30))
    suffix = "" if target == ".parquet" else data.draw(SUFFIXES)
    source, middle, back = (
        tmp_path / "in.parquet",
        tmp_path / f"out{target}{suffix}",
        tmp_path / "back.parquet",
    )
    write_native(source, rows)
    assert convert(source, middle) == len(rows)
    assert convert(middle, back) == len(rows)
    np.testing.assert_array_equal(read(back), read(source))
    np.testing.assert_array_equal(read(middle, 7), read(source))


def test_native_keeps_kind_and_origin(tmp_path: Path) -> None:
    (tmp_path / "a.core").write_text("3 64 128\n")
    convert(tmp_path / "a.core", tmp_path / "a.parquet")
    assert open_trace(tmp_path / "a.parquet").kind == SourceKind.CORE
    metadata = pq.read_schema(tmp_path / "a.parquet").metadata
    assert metadata[b"edensim.trace.version"] == b"1"
    assert metadata[b"edensim.trace.origin"] == b"a.core (ramulator-core)"
    assert open_trace(tmp_path / "a.parquet").position(0) == f"{tmp_path / 'a.parquet'}: record 1"


def test_native_is_streamed_by_row_groups(tmp_path: Path) -> None:
    (tmp_path / "a.ls").write_text("LD 64\n" * 300000)
    done: list[int] = []
    assert convert(tmp_path / "a.ls", tmp_path / "a.parquet", progress=done.append) == 300000
    assert done == [131072, 262144, 300000]
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    chunks = list(open_trace(tmp_path / "a.parquet").chunks(1000))
    assert max(len(chunk) for chunk in chunks) <= 1000
    assert sum(len(chunk) for chunk in chunks) == 300000


@pytest.mark.parametrize(
    ("source", "target", "lost"),
    [
        ("3 64\n", "out.ls", "instructions between records"),
        ("0 64\n0 64 128\n", "out.ds3", "write-backs of .*line 2"),
        ("0x40 READ 7\n", "out.ls", "arrival clocks"),
        ("LD 1\nLD 2\nST 3\n", "out.core", "writes .*line 3"),
    ],
)
def test_losses_are_refused_unless_allowed(
    source: str, target: str, lost: str, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text(source)
    with pytest.raises(InputError, match=lost):
        convert(tmp_path / "in", tmp_path / target)
    assert os.listdir(tmp_path) == ["in"]
    assert convert(tmp_path / "in", tmp_path / target, lossy=True) == source.count("\n")


def test_failure_keeps_the_old_output(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("LD 1\nLD what\n")
    (tmp_path / "out.parquet").write_text("old")
    with pytest.raises(TraceError, match="line 2"):
        convert(tmp_path / "in", tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["in", "out.parquet"]


@pytest.mark.parametrize(
    ("output", "to", "message"),
    [
        ("out.txt", None, "no output format has the suffix '.txt'"),
        ("out.parqet", None, "did you mean '.parquet'"),
        ("out.ls", "lackey", "can be read, not written"),
        ("out.ls", "ramulator_ls", "did you mean 'ramulator-ls'"),
        ("out.parquet.gz", None, "compressed inside"),
        ("no/such/out.ls", None, "does not exist"),
    ],
)
def test_outputs_that_cannot_be(output: str, to: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("LD 1\n")
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "in", tmp_path / output, to=to)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("LD 1\nST 2\n")
    for suffix in (".parquet", ".ls.gz", ".ls.xz", ".ls.zst"):
        convert(tmp_path / "in", tmp_path / f"a{suffix}")
        convert(tmp_path / "in", tmp_path / f"b{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"adress": [1]}, "unknown column 'adress'; did you mean 'address'"),
        ({"is_write": [1]}, "no column 'address'"),
        ({"address": [1.5]}, "holds double; expected integers"),
        ({"address": [1, None]}, "record 2: column 'address' is empty"),
        ({"address": [1, -5]}, "record 2: address is -5"),
        ({"address": [1], "is_write": [2]}, "record 1: is_write is 2; expected 0 to 1"),
        ({"address": [1], "gap": [1 << 31]}, "record 1: gap is 2147483648"),
        ({"address": pa.array([], pa.int64())}, "no rows"),
    ],
)
def test_bad_tables_are_refused(table: dict[str, Any], message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(TraceError, match=message):
        list(open_trace(tmp_path / "a.parquet").chunks())


def test_tables_of_other_tools(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"address": pa.array([64, 128], pa.uint64()), "is_write": [False, True]}),
        tmp_path / "a.parquet",
    )
    records = read(tmp_path / "a.parquet")
    assert records["address"].tolist() == [64, 128]
    assert records["is_write"].tolist() == [0, 1]
    assert records["writeback"].tolist() == [-1, -1]


def test_cut_off_and_newer_tables(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("LD 1\n" * 1000)
    convert(tmp_path / "in", tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(data[:-20])
    with pytest.raises(TraceError, match="damaged or cut-off"):
        open_trace(tmp_path / "b.parquet")
    table = pa.table({"address": [1]}).replace_schema_metadata({"edensim.trace.version": "2"})
    pq.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(TraceError, match="version '2'"):
        open_trace(tmp_path / "c.parquet")
