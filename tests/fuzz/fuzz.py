"""Feed damaged files to every reader of edensim, as the command line does.

Each file is mutated from a small one in `corpus/`, by a random number generator whose seed is the
seed of the run and the number of the file, so that any file can be made again. A worker process
reads it with a limit of time and memory. A failure is a traceback, a hang of more than 10 s, or a
growth of more than 1 GB; NaN, infinity and negative percentages in the output are reported too.

    python -m tests.fuzz.fuzz --files 100000 --seed 1 [--readers module,npz] [--keep DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
LIMIT_S = 10.0
LIMIT_BYTES = 10**9
FILE = "FILE"
#: A store is no file of the corpus: it names its trace, so each run makes one.
STORE = "store"

#: Each reader: the file of the corpus that is mutated, and the arguments of a command that reads it.
READERS: dict[str, tuple[str, list[str]]] = {
    "run-explain": ("run.yaml", ["explain", FILE]),
    "run-simulate": ("run.yaml", ["simulate", FILE]),
    "run-network": ("network.yaml", ["explain", FILE]),
    "standard": ("standard.yaml", ["explain", "--set", f"dram.standard={FILE}"]),
    "module": ("module.yaml", ["ber", FILE, "--trcd-ns", "7.5"]),
    "module-vdd": ("module.yaml", ["ber", FILE, "--vdd-V", "1.15"]),
    "network-json": ("network.json", ["networks", FILE]),
    "network-tpu": (
        "network.json",
        ["explain", "--set", f"network={FILE}", "--set", "frontend=tpu"],
    ),
    "cfg": ("net.cfg", ["networks", FILE]),
    "topology": ("topology.csv", ["networks", FILE]),
    "onnx": ("network.onnx", ["networks", FILE]),
    "trace-ls": ("small.ls.trace", ["simulate", FILE]),
    "trace-dramsim3": ("small.ds3.trace", ["simulate", FILE]),
    "trace-core": ("small.core.trace", ["simulate", FILE]),
    "trace-lackey": ("small.lackey.trace", ["convert", FILE, "-o", "out.trace"]),
    "commands-check": ("commands.csv", ["check", FILE]),
    "commands-energy": ("commands.csv", ["energy", FILE]),
    "result": ("result.json", ["plot", FILE, "--kind", "rows", "-o", "out.svg"]),
    "result-latency": ("result.json", ["plot", FILE, "--kind", "latency", "-o", "out.svg"]),
    "result-csv": (
        "results.csv",
        [
            "plot",
            FILE,
            "--kind",
            "pareto",
            "--x",
            "cycles",
            "--y",
            "energy_pJ.total",
            "-o",
            "out.svg",
        ],
    ),
    "npz": ("map.npz", ["fit", FILE, "-o", "out.yaml"]),
    "npy": ("array.npy", ["inject", FILE, "--ber", "0.001"]),
    "program": ("test.prog", ["profile", "vendor_a", "--program", FILE, "-o", "out.csv", "-q"]),
    "store": (
        STORE,
        [
            "plot",
            FILE,
            "--kind",
            "pareto",
            "--x",
            "cycles",
            "--y",
            "energy_pJ.total",
            "-o",
            "out.svg",
        ],
    ),
}

HOSTILE = [
    b"0", b"-1", b"9" * 5000, b"1e999", b"-1e999", b"nan", b"inf", b".inf", b"1e308", b"1e-308",
    b"2147483648", b"9223372036854775807", b"9223372036854775808", b"65535", b"1000000", b"0.0",
    b"[]", b"{}", b"null", b'""', b"true", b"\x8b", b"\xff\xfe", b"\0", b"~", b"[" * 3000,
]  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_STRANGE = re.compile(r"(?<![\w./-])(nan|inf)(?![\w./-])|(?<![\w.])-\d+(\.\d+)? ?%")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a file with one to three faults."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if not content:
            return content
        at = rng.randrange(len(content))
        numbers = list(_NUMBER.finditer(content))
        way = rng.randrange(8)
        if way <= 2 and numbers:
            number = rng.choice(numbers)
            content = content[: number.start()] + rng.choice(HOSTILE) + content[number.end() :]
        elif way == 3:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif way == 4:
            content = content[:at] + content[at + rng.randrange(1, 40) :]
        elif way == 5:
            content = content[:at] + rng.choice(HOSTILE) + content[at:]
        elif way == 6:
            lines = content.splitlines(keepends=True)
            first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[first] = lines[second] if rng.random() < 0.5 else b""
            content = b"".join(lines)
        else:
            content = content[:at]
    return content


def damaged_store(rng: random.Random, path: Path) -> None:
    """Write a folder with a sweep store, of which one value of one row is mutated."""
    shutil.copy(path.parent / "whole" / "results.sqlite", path)
    connection = sqlite3.connect(path / "results.sqlite")
    column, table = rng.choice([("result", "results"), ("swept", "plan"), ("key", "results")])
    rows = connection.execute(f"SELECT key, {column} FROM {table}").fetchall()
    key, value = rng.choice(rows)
    damaged = mutated(value.encode(), rng)
    with contextlib.suppress(sqlite3.IntegrityError):
        connection.execute(
            f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE key = ?", (damaged, key)
        )
    connection.commit()
    connection.close()


def make(reader: str, number: int, seed: int, folder: Path) -> Path:
    """Write the mutated file of a number, and return its path."""
    rng = random.Random(f"{reader}-{seed}-{number}")
    name = READERS[reader][0]
    if reader == "store":
        path = folder / "store"
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        damaged_store(rng, path)
        return path
    path = folder / f"input.{name.partition('.')[2]}"
    path.write_bytes(mutated((CORPUS / name).read_bytes(), rng))
    return path


def read(reader: str, path: Path) -> tuple[str, str]:
    """Run the command that reads a file in this process; return what went wrong, if anything."""
    from edensim.cli import run_command_line

    out, err = io.StringIO(), io.StringIO()
    arguments = [each.replace(FILE, str(path)) for each in READERS[reader][1]]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command_line(arguments)
    except BaseException as problem:
        frame = traceback.extract_tb(problem.__traceback__)[-1]
        words = (str(problem).splitlines() or [""])[0][:200]
        return "traceback", f"{type(problem).__name__} {frame.filename}:{frame.lineno}: {words}"
    if "out of memory" in err.getvalue():
        return "memory", err.getvalue()[-200:]
    if code not in (0, 1, 2):
        return "exit code", f"{code}: {err.getvalue()[-200:]}"
    quoted = ("assumed:", "source")  # lines that repeat a text of the file
    said = [line for line in out.getvalue().splitlines() if not any(q in line for q in quoted)]
    strange = _STRANGE.search("\n".join(said)) if code == 0 else None
    return ("strange", strange[0]) if strange else ("", "")


def _grown(reset: bool) -> int:
    """Return the highest resident memory since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]


def worker(pipe, folder: Path) -> None:
    """Read files one after the other."""
    os.chdir(folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * LIMIT_BYTES,) * 2)
    while True:
        reader, path = pipe.recv()
        before = _grown(reset=True)
        kind, detail = read(reader, path)
        grown = _grown(reset=False) - before
        if not kind and grown > LIMIT_BYTES:
            kind, detail = "memory", f"{grown:,} bytes"
        pipe.send((kind, detail))


class Worker:
    """A process that reads files, started anew after a hang or a crash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=worker, args=(theirs, self.folder), daemon=True)
        self.process.start()
        theirs.close()

    def read(self, reader: str, path: Path) -> tuple[str, str]:
        begin_s = time.monotonic()
        self.pipe.send((reader, path))
        try:
            if self.pipe.poll(LIMIT_S):
                return self.pipe.recv()
            kind, detail = "hang", f"over {time.monotonic() - begin_s:.0f} s"
        except EOFError:
            kind, detail = "crash", "the process died"
        self.close()
        self.start()
        return kind, detail

    def close(self) -> None:
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def fuzz(
    files: int,
    seed: int,
    seconds: float = float("inf"),
    readers: list[str] | None = None,
    keep: Path | None = None,
) -> tuple[int, list[dict[str, object]]]:
    """Read mutated files, reader after reader in turn; return how many, and the failures.

    The unchanged files are read first, in this process: what is compiled then is not compiled in
    a worker's time.
    """
    from edensim.sweep.sweep import sweep

    failures: list[dict[str, object]] = []
    names = readers or list(READERS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("small.ls.trace",):
            shutil.copy(CORPUS / name, folder)
        before = Path.cwd()
        os.chdir(folder)
        for reader in names:
            source = CORPUS / READERS[reader][0]
            if reader == "store":
                source = folder / "whole"
                sweep("small.ls.trace", {"dram.trcd_ns": [10.0, 12.5]}, out=source, workers=1)
            kind, detail = read(reader, source)
            if kind:
                failures.append({"reader": reader, "number": -1, "kind": kind, "detail": detail})
        os.chdir(before)
        worker_process, done, end_s = Worker(folder), 0, time.monotonic() + seconds
        for number in range(files):
            if time.monotonic() > end_s:
                break
            reader = names[number % len(names)]
            path = make(reader, number, seed, folder)
            kind, detail = worker_process.read(reader, path)
            done += 1
            if kind:
                failures.append(
                    {"reader": reader, "number": number, "kind": kind, "detail": detail}
                )
                if keep is not None:
                    target = keep / f"{reader}-{kind}-{zlib.crc32(detail.encode()):08x}"
                    if not target.exists():
                        target.mkdir(parents=True)
                        (shutil.copytree if path.is_dir() else shutil.copy)(
                            path, target / path.name
                        )
                        (target / "detail.txt").write_text(json.dumps(failures[-1]))
        worker_process.close()
    return done, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--files", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", type=lambda text: text.split(","), default=None)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    done, failures = fuzz(
        options.files, options.seed, options.seconds, options.readers, options.keep
    )
    counts = Counter((each["reader"], each["kind"], each["detail"]) for each in failures)
    for (reader, kind, detail), count in sorted(counts.items()):
        sys.stdout.write(f"{reader}: {kind}: {detail} ({count})\n")
    sys.stdout.write(f"{done:,} files, seed {options.seed}: {len(failures)} failures\n")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
