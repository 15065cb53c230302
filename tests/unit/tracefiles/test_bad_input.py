"""Is every bad trace file refused by a message that says file, place, what was found and what was expected?"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard

from edensim.exceptions import TraceError
from edensim.tracefiles.reader import open_trace


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(TraceError) as caught:
        for _ in open_trace(path, **options).chunks():  # type: ignore[arg-type]
            pass
    return str(caught.value)


BAD_LINES = {
    "ramulator-ls": (
        "LD 0x40",
        [
            "LD -5",
            "LD 1e6",
            "LD 12.5",
            "LD 4611686018427387905",
            "LD 0xffffffffffffffffffff",
            "LD",
            "LX 5",
            "LD 5 6",
            "ST 0x",
            "nonsense",
        ],
    ),
    "ramulator1": ("0x40 R", ["0x40 X", "0x40", "-1 R", "zz R", "0x40R", "0x40 R 5"]),
    "ramulator-core": (
        "3 64",
        ["3", "-3 64", "3 64 -1", "2147483648 64", "3 64 64 64", "3 1e6", "three 64"],
    ),
    "dramsim3": (
        "0x40 READ 1",
        [
            "0x40 READ",
            "0x40 FETCH 1",
            "0xg READ 1",
            "0x40 READ -1",
            "0x40 READ 0x10",
            "0x40 READ 1 2",
        ],
    ),
    "dramsys-stl": (
        "1: read 0x40",
        [
            "1 read 0x40",
            "1: load 0x40",
            "-1: read 0x40",
            "1: (0) read 0x40",
            "1: (9999) read 0x40",
            "1: (8 read 0x40",
            "1: read 0x40 data",
        ],
    ),
    "scalesim": (
        "1.0,64.0",
        ["1.0", "1.0,-5.0", "1.0,64.5", "a,64", "1.0;64", "-1.0,64", "1.0,1e30"],
    ),
    "gem5": (
        "r,64,8,0,5",
        [
            "u,64,8,0,5",
            "x,64,8,0,5",
            "r,64,0,0,5",
            "r,64,8",
            "r,-64,8,0,5",
            "r,64,9999,0,5",
            "r,64,8,0,5,6,7",
        ],
    ),
    "lackey": (" L 40,8", [" X 40,8", " L 40", " L -40,8", " L 40,0", " L zz,8", " L 40,8192"]),
}
BAD_LINES |= {
    "pinatrace": (
        "0x40: R 0x80",
        ["0x40 R 0x80", "0x40: X 0x80", "zz: R 0x80", "0x40: R", "0x40: R 0x80 0", "0x40: R 80a"],
    ),
    "dramsim2-k6": (
        "0x40 P_MEM_RD 5",
        [
            "0x40 P_INT_ACK 5",
            "0x40 P_MEM_RD",
            "zz P_MEM_RD 5",
            "0x40 P_MEM_RD -5",
            "0x40 P_MEM_R 5",
        ],
    ),
    "usimm": ("3 R 0x40 0x80", ["-3 R 0x40", "3 X 0x40", "3 R", "3 R zz", "3 R 0x40 0x80 5"]),
    "prospero": (
        "3 R 64 8",
        ["-3 R 64 8", "3 X 64 8", "3 R 64", "3 R 64 0", "3 R zz 8", "3 R 64 8 8"],
    ),
}
REASONS = {
    "LD 1e6": "needs 0x",
    "0x40: R 80a": "needs 0x",
    "LD -5": "negative",
    "LD 4611686018427387905": "above 2^62",
    "LD 0xffffffffffffffffffff": "above 2^62",
    "2147483648 64": "2^31",
    "1: (0) read 0x40": "size",
    "-1.0,64": "before the first",
    "u,64,8,0,5": "neither a read nor a write",
}


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name, (_, lines) in BAD_LINES.items() for line in lines]
)
def test_bad_line_is_named(name: str, line: str, tmp_path: Path) -> None:
    good = BAD_LINES[name][0]
    path = tmp_path / "trace"
    path.write_text(f"{good}\n\n{good}\n{line}\n{good}\n")
    message = refusal(path)
    assert message.startswith(f"{path}: line 4: expected '")
    assert f"found {line!r}" in message
    assert REASONS.get(line, "") in message


def test_bad_line_deep_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"LD 0x12340\n" * 734011 + b"LD what\n" + b"LD 0x12340\n" * 1000)
    assert (
        refusal(path)
        == f"{path}: line 734012: expected 'LD ADDRESS' or 'ST ADDRESS', found 'LD what'"
    )


def test_bad_first_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("requests of today\nLD 1\nLD 2\n")
    assert refusal(path).startswith(f"{path}: line 1: expected 'LD ADDRESS'")


def test_long_lines_are_quoted_in_part(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("LD 1\nLD " + "x" * 5000 + "\n")
    assert len(refusal(path)) < 300
    path.write_bytes(b"LD 1\nLD " + b"x" * (5 << 20) + b"\n")
    assert "longer than" in refusal(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"\n\n# nothing\n", "only blank lines and comments"),
        (
            b"hello world, this is text\nmore of it\n",
            "format not recognised: the first line is 'hello world",
        ),
        (bytes(range(256)) * 10, "format not recognised"),
        (b"gem5\x01\x02\x03", "decode_packet_trace.py"),
        (b"0,ACT,0,0,0,0,0\n", "command trace"),
        (b"PAR1 and then nothing", "Parquet"),
    ],
)
def test_what_is_no_trace_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert expected in message


def test_unrecognised_lists_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("???\n")
    assert "ramulator-ls, ramulator1" in refusal(path)


def test_ambiguous_lists_the_candidates(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("LD 1\n3 64\n")
    assert "it could be ramulator-ls or ramulator-core" in refusal(path)
    assert "line 2" in refusal(path, format="ramulator-ls")


def test_places_that_are_no_files(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.ls") == f"{tmp_path / 'missing.ls'}: no such file"
    assert "is a directory" in refusal(tmp_path)


def test_misspelt_format_has_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("LD 1\n")
    assert "did you mean 'ramulator-ls'?" in refusal(path, format="ramulater-ls")


def test_named_format_that_it_is_not(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("LD 1\n")
    assert "line 1: expected 'HEX_ADDRESS READ|WRITE|IFETCH CYCLE', found 'LD 1'" in refusal(
        path, format="dramsim3"
    )
    assert "expected edensim" in refusal(path, format="edensim")


def test_address_vectors_need_a_map(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("R 0,1,2,100,32\n")
    assert "address map" in refusal(path)

    def encode(*_: int) -> int:
        raise ValueError("row 100 is above 99")

    with pytest.raises(
        TraceError, match="line 1: 'R 0,1,2,100,32' is not in the memory: row 100 is above 99"
    ):
        list(open_trace(path, encode=encode).chunks())
    path.write_text("R 0,1,2,100,32\nR 0,1\n")
    with pytest.raises(TraceError, match="line 2: expected 'R|W CHANNEL"):
        list(open_trace(path, encode=lambda *_: 0).chunks())


CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("codec", CODECS)
def test_cut_off_files(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    rng = np.random.default_rng(1)
    packed = CODECS[codec](
        "".join(f"LD {address}\n" for address in rng.integers(0, 1 << 40, 100000)).encode()
    )
    for length in (len(packed) - 1, len(packed) // 2):
        path.write_bytes(packed[:length])
        message = refusal(path)
        assert message.startswith(f"{path}: cut off: the {codec} data end early, after ")
        assert int(message.split("(record ")[1].rstrip(")")) > 10000
    path.write_bytes(packed[:20])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_files(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    packed = bytearray(CODECS[codec]("".join(f"LD {i * 7919}\n" for i in range(50000)).encode()))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = b"\xff" * 50
    path.write_bytes(packed)
    assert refusal(path).startswith(f"{path}: ")


def test_parquet_inside_a_compression(tmp_path: Path) -> None:
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress(b"PAR1 and more"))
    assert "Parquet file inside gzip" in refusal(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("address,typ\n1,R\n", "unknown column 'typ'; did you mean 'type'"),
        ("type,cycle\nR,1\n", "format not recognised"),
        ("address,addr\n1,1\n", "a second column of address"),
        ("address,type\n1,R\n2,X\n", "line 3: expected read or write, found 'X'"),
        ("address,type\n1,R\n12ab,R\n", "line 3: address: expected a whole number from 0 to"),
        ("address,type\n1\n", "line 2: expected 2 columns, found 1"),
        ("address,type\n", "no request"),
        (f"address,type\n{'9' * 5000},R\n", "line 2: address: expected a whole number"),
        ("address,size\n5,0\n", "line 2: size: expected 1 to 4096, found 0"),
    ],
)
def test_bad_tables_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    found = refusal(path)
    assert found.startswith(str(path))
    assert message in found


def test_hexadecimal_addresses_need_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("1234ab00 R\n1234ab40 W\n")
    assert "line 1: " in refusal(path)
    assert "a hexadecimal number needs 0x before it" in refusal(path)
