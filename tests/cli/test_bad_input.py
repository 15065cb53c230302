"""Is every kind of bad input refused with a clear message, exit code 2, and nothing half-written?"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Edensim, environment

Refused = Callable[..., str]


def test_missing_trace(refused: Refused) -> None:
    assert "missing.trace" in refused("simulate", "missing.trace", "--json", "out.json")


def test_empty_trace(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty.trace").touch()
    assert "empty" in refused(
        "simulate", "empty.trace", "--json", "out.json", "--commands", "out.csv"
    )


def test_directory_as_trace(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    message = refused("simulate", "folder")
    assert "folder" in message.partition(":")[2]


def test_format_that_cannot_be_told(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "poem.trace").write_text("shall I compare thee\nto a summer's day\n")
    assert "format not recognised" in refused("simulate", "poem.trace")


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_cut_off_archive(
    refused: Refused, tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    data = compress(
        "".join(f"LD {(i * 7919 * 64) % (1 << 30):#x}\n" for i in range(50_000)).encode()
    )
    path = tmp_path / f"cut.trace{suffix}"
    path.write_bytes(data[: len(data) // 2])
    message = refused("simulate", path.name, "--json", "out.json", "--commands", "out.csv")
    assert path.name in message


@pytest.mark.parametrize("bad", ["LD 0x12z4", "LD", "LDD 0x40", "LD -64", "LD 1e6", "garbage"])
def test_bad_line_in_the_middle_of_a_large_trace(
    refused: Refused, tmp_path: Path, bad: str
) -> None:
    lines = [f"LD {i * 64:#x}" for i in range(200_000)]
    lines[123_455] = bad
    (tmp_path / "large.trace").write_text("\n".join(lines) + "\n")
    assert "large.trace: line 123456: " in refused(
        "simulate", "large.trace", "--json", "out.json", "--commands", "out.csv"
    )


def test_address_beyond_the_capacity(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "far.trace").write_text("LD 0x0\nLD 0x40\nLD 0xffffffffff\n")
    message = refused("simulate", "far.trace", "--commands", "out.csv")
    assert "far.trace: line 3" in message
    assert "0xffffffffff" in message
    (tmp_path / "core.trace").write_text("3 64\n# a comment\n3 64 1099511627776\n")
    message = refused("simulate", "core.trace", "--json", "out.json", "--commands", "out.csv")
    assert "core.trace: line 3: address 0x10000000000 is beyond the capacity of" in message


def test_negative_numbers(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "core.trace").write_text("3 64\n3 -64\n")
    assert (
        "core.trace: line 2: expected 'BUBBLES LOAD [WRITEBACK]', found '3 -64' (a number is negative)"
        in refused("simulate", "core.trace")
    )
    (tmp_path / "timed.trace").write_text("0x40 READ 1\n0x80 READ -1\n")
    assert "timed.trace: line 2" in refused("simulate", "timed.trace")
    (tmp_path / "negative.csv").write_text(
        "clock,command,channel,rank,bankgroup,bank,row,column\n1,ACT,0,0,0,-7,0,-1\n"
    )
    assert "negative.csv:2: bank: expected -1.." in refused("energy", "negative.csv")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dram.chanels=2", "did you mean 'dram.channels'?"),
        ("channels=2", "did you mean 'dram.channels'?"),
        ("dram.channels=two", "expected a whole number from 1 to 64"),
        ("dram.channels=1e6", "expected a whole number from 1 to 64, found 1000000.0"),
        ("vdd=1.05", "did you mean 'dram.vdd_V'?"),
        ("dram.tRCD=9", "did you mean 'dram.trcd_ns'?"),
        ("dram.speed_bin=2400", "did you mean '2400R'?"),
        ("dram.ranks=3", "power of two"),
        ("dram.standard=DDR9", "unknown standard 'DDR9'"),
        ("dram.organization=8Gb_x7", "has no '8Gb_x7'"),
        ("dram.speed_bin=2401R", "has no '2401R'; did you mean '2400R'?"),
        ("dram.timings.nrcd=9", "did you mean 'nRCD'?"),
        ("dram.timings.nRCD=0", "expected a whole number from 1"),
        ("dram.timings.nRCD=-9", "expected a whole number from 0"),
        ("dram.timings.nRCD=1e1", "expected a whole number from 0 to 1000000, found 10.0"),
        ("dram.timings.nRCD=9.5", "expected a whole number"),
        ("dram.trcd_ns=soon", "expected a number above 0"),
        ("dram.trcd_ns=0", "expected a number above 0"),
        ("dram.trcd_ns=-1.0", "expected a number above 0"),
        ("dram.vdd_V=9.9", "dram.vdd_V"),
        ("controller.read_queue=0", "expected a whole number from 1 to 512"),
        ("controller.write_queue=-1", "expected a whole number from 1 to 512"),
        ("controller.write_low_watermark=0.9", "watermark"),
        ("controller.scheduler=frfcfs-rowhit", "did you mean 'frfcfs-row-hit'?"),
        ("controller.address_mapping=RoBaRaCoCc", "did you mean 'RoBaRaCoCh'?"),
        ("controller.refresh=off", "expected one of all-bank, none, per-bank"),
        ("trace_format=ramulator", "trace format"),
    ],
)
def test_bad_configuration(refused: Refused, trace: Path, override: str, expected: str) -> None:
    message = refused(
        "simulate", trace.name, "--set", override, "--json", "out.json", "--commands", "out.csv"
    )
    assert expected in message


def test_bad_run_file_names_file_and_line(refused: Refused, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\ndram:\n  speed_bin: 2401R\n")
    assert "run.yaml:3: dram.speed_bin: DDR4 has no '2401R'" in refused("simulate", "run.yaml")
    (tmp_path / "run.yaml").write_text(
        f"trace: {trace.name}\ndram:\n  channels: 1\n  channels: 2\n"
    )
    assert "run.yaml:4: duplicate key" in refused("simulate", "run.yaml")
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\ndram:\n  speed_bni: 2400R\n")
    assert "run.yaml:3: dram.speed_bni: unknown key; did you mean 'dram.speed_bin'?" in refused(
        "simulate", "run.yaml"
    )
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\nsource:\n  instructions: 1e6\n")
    assert "run.yaml:3: source.instructions: expected a whole number from 1" in refused(
        "simulate", "run.yaml"
    )
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\nsource:\n  instructions: '1e6'\n")
    assert "run.yaml:3: source.instructions: expected a whole number from 1" in refused(
        "simulate", "run.yaml"
    )
    (tmp_path / "run.yaml").write_text(f"trace: {trace.name}\ncontroller:\n  read_queue: [32]\n")
    assert (
        "run.yaml:3: controller.read_queue: expected a whole number from 1 to 512, found a list"
        in refused("simulate", "run.yaml")
    )
    (tmp_path / "run.yaml").write_text("dram:\n  channels: 1\n")
    assert "names no trace" in refused("simulate", "run.yaml")
    (tmp_path / "run.yaml").write_text("trace: missing.trace\n")
    assert "missing.trace" in refused("simulate", "run.yaml")


@pytest.mark.parametrize("option", ["--json", "--commands"])
def test_outputs_that_cannot_be_written(
    refused: Refused, trace: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "folder").mkdir()
    assert "does not exist" in refused("simulate", trace.name, option, "nowhere/out")
    assert "is a folder" in refused("simulate", trace.name, option, "folder")
    assert "is also an input" in refused("simulate", trace.name, option, trace.name)


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs a folder that nobody can write to"
)
@pytest.mark.parametrize("output", ["/proc/out", "/proc/self/out"])
def test_a_folder_that_takes_no_files(refused: Refused, trace: Path, output: str) -> None:
    for option in ("--json", "--commands"):
        assert f"{output}: cannot be written: " in refused("simulate", trace.name, option, output)
    for suffix in (".ls", ".parquet", ".stl.xz"):
        assert f"{output}{suffix}: cannot be written: " in refused(
            "convert", trace.name, output + suffix
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("option", ["--json", "--commands"])
def test_a_full_disk(refused: Refused, trace: Path, option: str) -> None:
    assert "/dev/full: cannot be written: No space left on device" in refused(
        "simulate", trace.name, "--quiet", option, "/dev/full"
    )
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is write-protected from root"
)
def test_write_protected_outputs(refused: Refused, trace: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("kept")
    (tmp_path / "kept.json").chmod(0o444)
    assert "kept.json: cannot be written: no permission" in refused(
        "simulate", trace.name, "--json", "kept.json"
    )
    assert (tmp_path / "kept.json").read_text() == "kept"


def test_two_outputs_in_one_file(refused: Refused, trace: Path) -> None:
    assert "is also another output" in refused(
        "simulate", trace.name, "--json", "out", "--commands", "out"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("simulate",),
        ("simulte", "a"),
        ("simulate", "a", "b"),
        ("simulate", "a", "--jsn", "x"),
        ("energy", "a", "--end-clock", "x"),
    ],
)
def test_usage(edensim: Edensim, arguments: tuple[str, ...]) -> None:
    done = edensim(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--help" in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["energy", "check"])
def test_bad_command_traces(refused: Refused, tmp_path: Path, command: str) -> None:
    header = "clock,command,channel,rank,bankgroup,bank,row,column\n"
    assert "missing.csv" in refused(command, "missing.csv")
    (tmp_path / "bad.csv").write_text(header + "1,ACT,0,0,0,0,0,-1\n2,ATC,0,0,0,0,0,-1\n")
    assert "bad.csv:3: unknown command 'ATC'; did you mean 'ACT'?" in refused(command, "bad.csv")
    (tmp_path / "bad.csv").write_text("clock,comand\n1,ACT\n")
    assert "did you mean 'command'?" in refused(command, "bad.csv")
    (tmp_path / "bad.csv").write_text("")
    assert "bad.csv" in refused(command, "bad.csv")


def test_convert_to_what_cannot_be_told(refused: Refused, trace: Path) -> None:
    assert "did you mean" in refused("convert", trace.name, "out.ds3", "--to", "dramsim")
    assert "is also an input" in refused("convert", trace.name, trace.name)


@pytest.fixture
def long_trace(tmp_path: Path) -> Path:
    """Some seconds of work: 30 million reads of one line."""
    path = tmp_path / "long.trace.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(30):
            file.write(b"LD 0x0\n" * 1_000_000)
    return path


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="needs /proc to see when the run has begun"
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "long.trace.gz", "--json", "out.json", "--commands", "out.csv"),
        ("convert", "long.trace.gz", "out.parquet"),
    ],
)
def test_interrupt_leaves_no_file_and_says_how_far_it_came(
    long_trace: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "edensim", *arguments]
    with interruptible(command, tmp_path, environment()) as process:
        while process.poll() is None and not reads(process.pid, long_trace):
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert re.search(
        r"^edensim: interrupted after [0-9,]+ requests; no output file was written$",
        stderr,
        re.MULTILINE,
    )
    assert "Traceback" not in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [long_trace.name]


def test_interrupt_during_the_first_compilation(trace: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-m", "edensim", "simulate", trace.name, "--json", "out.json"]
    variables = {
        **environment(),
        "EDENSIM_CACHE": str(cache),
        "NUMBA_DISABLE_JIT": "0",
        "NUMBA_BOUNDSCHECK": "0",
    }
    with interruptible(command, tmp_path, variables) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        end = time.monotonic() + 60
        while (
            process.poll() is None and time.monotonic() < end
        ):  # again, as people do: LLVM's callbacks can swallow a signal
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        stdout, stderr = process.communicate(timeout=60)
    assert "compiling" in line
    assert (process.returncode, stdout) == (130, "")
    assert stderr == "edensim: interrupted after 0 requests; no output file was written\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [trace]


def interruptible(
    command: list[str], folder: Path, variables: dict[str, str]
) -> subprocess.Popen[str]:
    """A process that Ctrl-C ends, even where these tests run in the background of a shell, which lets its children ignore it."""
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed
    )


def reads(process: int, file: Path) -> bool:
    """Whether a process has a file open."""
    links = Path(f"/proc/{process}/fd").iterdir()
    with suppress(OSError):
        return any(os.readlink(link) == str(file) for link in links)
    return False
