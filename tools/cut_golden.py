"""Cut a golden case of Ramulator 2.1 to its first requests, small enough for tests/data.

    python tools/cut_golden.py CASE.json tests/data/ramulator-2.1 [--requests 2000]

The peer stops when its last request is accepted, so its run of a shorter trace would have issued
exactly the commands up to the clock at which the shorter trace's last request was accepted. The
SimPy reference engine, which accepts requests at the peer's clocks, says when that was; the
commands themselves are the peer's. Statistics of the whole run do not hold for a part of it and
are left out.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path

import msgspec
import numpy as np

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.address import address_map
from edensim.reference.simulation import simulate_reference
from edensim.vocabulary import REQUEST
from tests.oracles.ramulator import peer_controller, peer_standard


def main() -> None:
    """Write the three files of the cut case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    case = json.loads(options.case.read_text())
    whole = options.case.with_suffix("")
    with lzma.open(f"{whole}.trace.xz", "rt") as file:
        trace = file.readlines()[: options.requests]
    requests = np.zeros(len(trace), dtype=REQUEST)
    requests["address"] = [int(line.split()[1], 16) for line in trace]
    requests["is_write"] = [line.startswith("ST") for line in trace]
    standard = peer_standard(case)
    run = simulate_reference(
        standard,
        msgspec.convert(peer_controller(case), ControllerConfig),
        SourceConfig(kind="saturating"),
        requests,
        address_map(case["address_mapping"], standard.organization, channels=1),
    )
    with lzma.open(f"{whole}.commands.csv.xz", "rt") as file:
        header, *commands = file
    commands = [line for line in commands if int(line.partition(",")[0]) <= run.last_accepted_clock]
    case |= {
        "name": f"{case['name']}_first{len(trace)}",
        "stats": {},
        "requests": len(trace),
        "writes": int(requests["is_write"].sum()),
        "commands": len(commands),
    }
    cut = options.folder / case["name"]
    cut.with_suffix(".json").write_text(json.dumps(case, indent=1) + "\n")
    for suffix, lines in ((".trace.xz", trace), (".commands.csv.xz", [header, *commands])):
        text = "".join(lines).encode()
        cut.with_suffix(suffix).write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
