"""What a user waits for: `--help`, a warm run of an 8,000-record trace, and the first run ever, which compiles. Wall and CPU seconds."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import workloads as shared


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a process."""
    begin = time.perf_counter()
    user, system, _, _ = shared.process_seconds(command, environment)
    return time.perf_counter() - begin, user + system


def main() -> None:
    """Time the three and print a table."""
    arguments = shared.parser(__doc__, runs=7).parse_args()
    results: dict[str, Any] = {}
    print(f"{'what':28}{'wall s':>8}{'CPU s':>8}   (best of runs)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dnn.ls"
        shared.write_text(path, *shared.trace("dnn", 8000))
        environment = {"EDENSIM_CACHE": str(Path(folder) / "cache")}
        run = shared.edensim_command("simulate", str(path))
        for what, command, runs in (
            ("first run ever (compiles)", run, 1),
            ("warm run, 8,000 records", run, arguments.runs),
            ("--help", shared.edensim_command("--help"), arguments.runs),
        ):
            times = [timed(command, environment) for _ in range(runs)]
            results[what] = {
                "wall_s": [wall for wall, _ in times],
                "cpu_s": [cpu for _, cpu in times],
            }
            print(
                f"{what:28}{min(results[what]['wall_s']):8.2f}{min(results[what]['cpu_s']):8.2f}",
                flush=True,
            )
    shared.finish(arguments, {"benchmark": "start", "figures": results})


if __name__ == "__main__":
    main()
