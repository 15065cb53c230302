"""Does every trace format, in every compression and chunking, give the records that its lines say?"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from edensim.tracefiles import lines as line_reader
from edensim.tracefiles.formats import named
from edensim.tracefiles.reader import open_trace
from edensim.vocabulary import REQUEST, SourceKind
from tests.locations import ROOT

Row = tuple[int, int, int, int, int]  # address, is_write, clock, gap, writeback

CASES: dict[str, tuple[str, SourceKind, list[Row]]] = {
    "ramulator-ls": (
        "# made by hand\n\nLD 0x12340\r\nST 4096\n  ld\t0XfF \n",
        SourceKind.SATURATING,
        [(0x12340, 0, 0, 0, -1), (4096, 1, 0, 0, -1), (255, 0, 0, 0, -1)],
    ),
    "ramulator1": (
        "0x12345680 R\n64 W",
        SourceKind.SATURATING,
        [(0x12345680, 0, 0, 0, -1), (64, 1, 0, 0, -1)],
    ),
    "ramulator-core": (
        "3 20734016\n8 20841280 20841344\n0 0x40 0x80\r\n2147483647 4611686018427387904 \n",
        SourceKind.CORE,
        [
            (20734016, 0, 0, 3, -1),
            (20841280, 0, 0, 8, 20841344),
            (64, 0, 0, 0, 128),
            (1 << 62, 0, 0, 2147483647, -1),
        ],
    ),
    "dramsim3": (
        "0x1FF96FC0 WRITE   160\n40 read 161\n",
        SourceKind.TIMED,
        [(0x1FF96FC0, 1, 160, 0, -1), (0x40, 0, 161, 0, -1)],
    ),
    "dramsys-stl": (
        "# clkMhz 800\n31:\tread 0x400\n33: (128) write\t0x420 0xdeadBEEF\n40 : write 1024\n",
        SourceKind.TIMED,
        [
            (0x400, 0, 31, 0, -1),
            (0x420, 1, 33, 0, -1),
            (0x440, 1, 33, 0, -1),
            (0x480, 1, 33, 0, -1),
            (1024, 1, 40, 0, -1),
        ],
    ),
    "scalesim": (
        # prefetch before the start; one 64-byte line counts once a row; -1 and a trailing 1.0 are padding, a 1 after a 0 is not
        "-37.0,0.0,1.0,63.0,64.0\n-36.0,128.0,-1,1.0,1.0\n5,640,1.0,0.0,1.0,1.0\n6, 1.0,\n",
        SourceKind.TIMED,
        [
            (0, 0, 0, 0, -1),
            (64, 0, 0, 0, -1),
            (128, 0, 1, 0, -1),
            (640, 0, 42, 0, -1),
            (0, 0, 42, 0, -1),
            (0, 0, 43, 0, -1),
        ],
    ),
    "gem5": (
        "r,100,64,0,5000\n12,w,0x40,8,3,6000,4198400\nw,128,4,7000\n",
        SourceKind.SATURATING,
        [(100, 0, 0, 0, -1), (128, 0, 0, 0, -1), (64, 1, 0, 0, -1), (128, 1, 0, 0, -1)],
    ),
    "lackey": (
        "==12== Lackey\nI  0401ab70,3\nI  0401ab73,2\n L 1fff000728,8\nI  0401ab75,4\n S 3c,8\n"
        "I  0401ab79,1\nI  0401ab7a,1\nI  0401ab7b,1\n M 80,4\n--12-- end\n",
        SourceKind.SATURATING,
        [
            (0x1FFF000728, 0, 0, 1, -1),
            (0x3C, 1, 0, 0, -1),
            (0x40, 1, 0, 0, -1),
            (0x80, 0, 0, 2, -1),
            (0x80, 1, 0, 0, -1),
        ],
    ),
    "pinatrace": (
        "0x7f3b1c00: R 0x7ffd00000000\n0x7f3b1c04: W     0x7ffd00000038 16 0x1234 5678\n#eof\n",
        SourceKind.SATURATING,
        [
            (0x7FFD00000000, 0, 0, 0, -1),
            (0x7FFD00000038, 1, 0, 0, -1),
            (0x7FFD00000040, 1, 0, 0, -1),
        ],
    ),
    "dramsim2-k6": (
        "0x10000 P_MEM_WR 0\n0x10040 P_MEM_RD 7\n0x40 P_FETCH 8\n0x80 P_LOCK_RD 8\n"
        "0xC0 P_LOCK_WR 9\n0x100 BOFF 10\n",
        SourceKind.TIMED,
        [
            (0x10000, 1, 0, 0, -1),
            (0x10040, 0, 7, 0, -1),
            (0x40, 0, 8, 0, -1),
            (0x80, 0, 8, 0, -1),
            (0xC0, 0, 9, 0, -1),
            (0x100, 1, 10, 0, -1),
        ],
    ),
    "usimm": (
        "0 W 0x1fffff00\n12 R 0x1fffff40 0x400001\n3 R 0x40 400002\n",
        SourceKind.SATURATING,
        [(0x1FFFFF00, 1, 0, 0, -1), (0x1FFFFF40, 0, 0, 12, -1), (0x40, 0, 0, 3, -1)],
    ),
    "prospero": (
        "0 W 140734192927288 16\n5 R 64 8\n",
        SourceKind.TIMED,
        [(140734192927288, 1, 0, 0, -1), (140734192927296, 1, 0, 0, -1), (64, 0, 5, 0, -1)],
    ),
}


def rows(records: np.ndarray) -> list[Row]:
    return [
        tuple(int(record[name]) for name in ("address", "is_write", "clock", "gap", "writeback"))
        for record in records
    ]  # type: ignore[misc]


def all_records(path: Path, size: int = 1 << 15) -> np.ndarray:
    return np.concatenate(list(open_trace(path).chunks(size)))


@pytest.mark.nojit
@pytest.mark.boundscheck
@pytest.mark.public_compiler
@pytest.mark.parametrize("name", CASES)
def test_lines_become_records(name: str, tmp_path: Path) -> None:
    text, kind, expected = CASES[name]
    path = tmp_path / "trace.txt"
    path.write_bytes(text.encode())
    trace = open_trace(path)
    assert (trace.format, trace.kind) == (name, kind)
    records = np.concatenate(list(trace.chunks()))
    assert records.dtype == REQUEST
    assert rows(records) == expected
    assert set(records["tensor"]) == {-1}
    assert rows(np.concatenate(list(trace.chunks()))) == expected  # it starts again


def test_named_format_overrides_recognition(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("31: read 0x40\n2: write 0x80\n")
    assert [
        r[2] for r in rows(np.concatenate(list(open_trace(path, format="dramsys-rstl").chunks())))
    ] == [31, 33]
    assert [r[2] for r in rows(all_records(path))] == [31, 2]


def test_relative_stl_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.rstl.xz"
    path.write_bytes(lzma.compress(b"31: read 0x40\n2: write 0x80\n" * 2))
    assert [r[2] for r in rows(all_records(path))] == [31, 33, 64, 66]


def test_scalesim_ofmap_traces_are_writes(tmp_path: Path) -> None:
    for name, is_write in (
        ("layer0_OFMAP_DRAM_TRACE.csv", 1),
        ("IFMAP_DRAM_TRACE.csv", 0),
        ("dram_write.csv", 1),
    ):
        (tmp_path / name).write_text("0.0,64.0,128.0\n")
        assert [r[1] for r in rows(all_records(tmp_path / name))] == [is_write, is_write]


def test_gem5_is_timed_with_a_clock(tmp_path: Path) -> None:
    path = tmp_path / "gem5.txt"
    path.write_text(CASES["gem5"][0])
    trace = open_trace(path, tck_ps=833)
    assert trace.kind == SourceKind.TIMED
    assert [r[2] for r in rows(np.concatenate(list(trace.chunks())))] == [6, 6, 7, 8]


def test_address_vectors_go_through_the_map(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_text("R 0,1,2,100,32\n\nW 1,0,3,2,7,5\r\n")
    seen: list[tuple[int, ...]] = []

    def encode(*vector: int) -> int:
        seen.append(vector)
        return 64 * len(seen)

    trace = open_trace(path, encode=encode)
    assert trace.format == "ramulator-rw"
    assert rows(np.concatenate(list(trace.chunks()))) == [(64, 0, 0, 0, -1), (128, 1, 0, 0, -1)]
    assert seen == [(0, 1, 0, 2, 100, 32), (1, 0, 3, 2, 7, 5)]
    assert trace.line_of(1) == 3


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "gz twice": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "xz twice": lambda data: lzma.compress(data[:1000]) + lzma.compress(data[1000:]),
    "zst twice": lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compression_is_told_by_content(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.xz"  # the name lies
    text = "".join(f"LD {64 * i}\n" for i in range(50000)).encode()
    path.write_bytes(COMPRESSIONS[compression](text))
    records = all_records(path)
    np.testing.assert_array_equal(records["address"], 64 * np.arange(50000))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1, 7, 8191, 1 << 20])
def test_chunk_size_changes_nothing(name: str, size: int, tmp_path: Path) -> None:
    text, _, _ = CASES[name]
    path = tmp_path / "trace"
    path.write_bytes(
        b"".join(line + b"\n" for line in text.encode().splitlines())
        * (1 if name == "scalesim" else 300)
    )
    whole = all_records(path)
    chunks = list(open_trace(path).chunks(size))
    assert all(0 < len(chunk) <= size for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


@pytest.mark.parametrize("name", CASES)
def test_block_size_changes_nothing(name: str, tmp_path: Path) -> None:
    text, _, expected = CASES[name]
    path = tmp_path / "trace"
    path.write_bytes(text.encode())
    for block in range(max(len(line) for line in text.encode().split(b"\n")) + 1, len(text) + 2):
        parts = [
            records for records, _ in line_reader.parsed(path, named(name), 0, 1 << 15, block=block)
        ]
        assert rows(np.concatenate(parts)) == expected


def test_wide_rows_cross_the_end_of_the_record_buffer(tmp_path: Path) -> None:
    path = tmp_path / "ifmap.csv"
    path.write_text(
        "".join(
            f"{row}.0,{','.join(str(64 * (100 * row + i)) for i in range(100))}\n"
            for row in range(200)
        )
    )
    records = all_records(path, 1000)
    np.testing.assert_array_equal(records["address"], 64 * np.arange(20000))
    np.testing.assert_array_equal(records["clock"], np.arange(20000) // 100)


@pytest.mark.parametrize("name", CASES)
def test_position_names_the_line(name: str, tmp_path: Path) -> None:
    text, _, expected = CASES[name]
    path = tmp_path / "trace"
    path.write_text(text)
    trace = open_trace(path)
    found = [trace.line_of(record) for record in range(len(expected))]
    assert found == sorted(found)
    data = text.split("\n")
    assert all(
        data[line - 1].strip() and not data[line - 1].startswith(("#", "=")) for line in found
    )
    assert trace.position(len(expected) - 1) == f"{path}: line {found[-1]}"
    with pytest.raises(IndexError):
        trace.line_of(len(expected))


def test_position_far_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("".join(f"# {i}\nLD {i}\n" for i in range(100000)))
    assert open_trace(path).line_of(99999) == 200000


def test_numbers_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    texts = [
        "0",
        "00000000000000000000000000007",
        "0x000000000000000000000000000f",
        "4611686018427387904",
        "0x4000000000000000",
        "999999999999999999",
    ]
    path.write_text("".join(f"LD {text}\n" for text in texts))
    np.testing.assert_array_equal(
        all_records(path)["address"],
        [int(text, 16) if "x" in text else int(text) for text in texts],
    )


def test_committed_recording() -> None:
    trace = open_trace(ROOT / "traces" / "darknet-yolov3-tiny-96.trace.xz")
    assert (trace.format, trace.kind) == ("ramulator-core", SourceKind.CORE)
    records = np.concatenate(list(trace.chunks()))
    assert len(records) == 100000
    assert int(records["gap"].sum()) == 123834469
    assert int(records["address"].max()) == 6516352


@pytest.mark.parametrize("size", [1, 2, 1 << 15])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_are_read_by_the_names_of_their_columns(
    separator: str, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "trace.csv"
    text = '# made by hand\nCycle,Type,"Address",size,PC\n3,R,0x40,8,1\n\n4,store,120,16,2\r\n'
    path.write_text(text.replace(",", separator))
    trace = open_trace(path)
    assert (trace.format, trace.kind) == ("csv", SourceKind.TIMED)
    records = np.concatenate(list(trace.chunks(size)))
    assert rows(records) == [(64, 0, 3, 0, -1), (120, 1, 4, 0, -1), (128, 1, 4, 0, -1)]
    assert [trace.line_of(index) for index in range(3)] == [3, 5, 5]


def test_tables_with_gaps_can_drive_a_core(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("gap,addr,rw\n3,64,0\n")
    assert open_trace(path).kind == SourceKind.SATURATING
    assert open_trace(path, as_core=True).kind == SourceKind.CORE
