"""Are traces read from pipes, with byte order marks, and from hostile compressed files?"""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zstandard

from edensim.exceptions import TraceError
from edensim.tracefiles.reader import open_trace

TEXT = b"".join(b"LD 0x%x\n" % (64 * n) for n in range(20_000))


@contextmanager
def fifo(folder: Path, content: bytes) -> Iterator[Path]:
    path = folder / "trace.fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield path
    writer.join()


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, zstandard.compress])
def test_pipes_are_read_whole_and_once(compress: object, tmp_path: Path) -> None:
    with fifo(tmp_path, compress(TEXT)) as path:  # type: ignore[operator]
        trace = open_trace(path)
        addresses = np.concatenate(list(trace.chunks()))["address"]
    assert (addresses == 64 * np.arange(20_000)).all()
    assert trace.position(7) == f"{path}: record 8"
    with pytest.raises(TraceError, match="pipe can be read only once"):
        list(trace.chunks())


def test_vectors_from_a_pipe(tmp_path: Path) -> None:
    with fifo(tmp_path, b"R 0,0,0,1,5\n") as path:
        trace = open_trace(path, encode=lambda *vector: sum(vector))
        assert int(next(trace.chunks())["address"][0]) == 6


def test_a_pipe_of_one_byte_is_refused(tmp_path: Path) -> None:
    with fifo(tmp_path, b"x") as path, pytest.raises(TraceError, match="not recognised"):
        open_trace(path)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_a_trace(name: str) -> None:
    command = [sys.executable, "-m", "edensim", "simulate", name, "--json", "-"]
    done = subprocess.run(command, input=TEXT[:9000], capture_output=True, check=True)
    assert b'"requests"' in done.stdout


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_byte_order_marks_are_skipped(mark: bytes, compress: object, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(compress(mark + TEXT))  # type: ignore[operator]
    records = np.concatenate(list(open_trace(path).chunks()))
    assert (records["address"] == 64 * np.arange(20_000)).all()


def test_utf16_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("LD 0x40\n", encoding="utf-16")
    with pytest.raises(TraceError, match="UTF-16"):
        open_trace(path)


def test_numbers_of_thousands_of_digits_are_refused(tmp_path: Path) -> None:
    for line in ("LD " + "9" * 5000, "R 0,0,0,0," + "9" * 5000, "0x" + "f" * 5000 + " READ 1"):
        (tmp_path / "trace").write_text(line + "\n")
        with pytest.raises(TraceError, match="line 1: ") as caught:
            list(open_trace(tmp_path / "trace", encode=lambda *vector: 0).chunks())
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "compress", [gzip.compress, lzma.compress, zstandard.ZstdCompressor(level=19).compress]
)
def test_memory_does_not_grow_with_the_ratio_of_compression(
    compress: object, tmp_path: Path
) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(compress(b"LD 0x40\n" * 25_000_000))  # type: ignore[operator]
    code = f"""
import resource
from edensim.tracefiles.streams import Stream
from pathlib import Path
view = memoryview(bytearray(1 << 20))
with Stream(Path({str(path)!r})) as stream:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while stream.fill(view): pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kB
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.compress])
def test_damage_of_compressed_files_is_named(compress: object, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    whole = compress(TEXT)  # type: ignore[operator]
    random = np.random.default_rng(5)
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 6)):
            data[place] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(1, len(data) + 1)])
        message = str(path)
        try:
            list(open_trace(path).chunks())
        except TraceError as error:
            message = str(error)
        assert message.startswith(str(path))
