"""Does the SimPy twin issue the commands that Ramulator 2.1 issued, and do those obey the standards? (needs ../shared)"""

from __future__ import annotations

import dataclasses
import json
import lzma
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edensim.config import ControllerConfig, SourceConfig
from edensim.dram.address import address_map
from edensim.dram.standard import Standard, load_standard
from edensim.reference import check_commands, simulate_reference
from edensim.tracefiles.commands import read_commands_csv
from edensim.vocabulary import COMMAND, REQUEST

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "ramulator-2.1"
CASES = sorted(path.stem for path in GOLDEN.glob("*.json"))
PREFIX = 1500
SCHEDULERS = {"FRFCFS": "frfcfs", "FRFCFSRowHit": "frfcfs-row-hit"}

pytestmark = pytest.mark.skipif(not CASES, reason="shared/golden/ramulator-2.1 is not beside this checkout")


def peer_standard(case: dict[str, Any]) -> Standard:
    """The standard with exactly the timings that the peer used."""
    timings = {name: value for name, value in case["timings"].items() if name not in ("rate", "tCK_ps")}
    known = load_standard(case["standard"]).timings
    return load_standard(
        case["standard"],
        organization=case["organization_preset"],
        speed_bin=case["speed_preset"].split()[0],
        ranks=case["organization"]["rank"],
        timings={name: value for name, value in timings.items() if name in known},
    )


def peer_commands(name: str) -> np.ndarray:
    return read_commands_csv(GOLDEN / f"{name}.commands.csv.xz")


def peer_requests(name: str) -> np.ndarray:
    lines = lzma.decompress((GOLDEN / f"{name}.trace.xz").read_bytes()).split(b"\n")[:PREFIX]
    requests = np.zeros(PREFIX, dtype=REQUEST)
    requests["address"] = [int(line.split()[1], 16) for line in lines]
    requests["is_write"] = [line.startswith(b"ST") for line in lines]
    return requests


def differences(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The first command in which two lists differ, for a readable failure."""
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return f"command {index}: ours {mine}, the peer's {other} (fields {COMMAND.names})"
    return "" if len(ours) == len(theirs) else f"{len(ours)} commands, the peer has {len(theirs)}"


@pytest.mark.parametrize("name", CASES)
def test_twin_issues_the_peers_commands(name: str) -> None:
    """The first requests of each case, as long as the peer has not seen more requests than the twin."""
    case = json.loads((GOLDEN / f"{name}.json").read_text())
    standard = peer_standard(case)
    controller = msgspec.convert({"scheduler": SCHEDULERS[case["scheduler"]], "refresh": "all-bank" if case["refresh"] else "none"}, ControllerConfig)
    mapping = address_map(case["address_mapping"], standard.organization, channels=1)
    run = simulate_reference(standard, controller, SourceConfig(kind="saturating"), peer_requests(name), mapping)
    theirs = peer_commands(name)
    horizon = run.last_accepted_clock + 1
    ours = run.commands[run.commands["clock"] <= horizon]
    assert differences(ours, theirs[theirs["clock"] <= horizon]) == ""
    assert len(ours) > 0.9 * PREFIX


@pytest.mark.parametrize("name", CASES)
def test_the_peers_commands_obey_the_standard(name: str) -> None:
    """All of each golden list, replayed by the checker."""
    case = json.loads((GOLDEN / f"{name}.json").read_text())
    assert check_commands(peer_commands(name), peer_standard(case)) is None


@pytest.mark.parametrize("name", CASES[:1] + CASES[-1:])
def test_one_cycle_less_is_noticed(name: str) -> None:
    """The checker sees a golden list as illegal once any of the constraints it is tight on grows by a cycle."""
    case = json.loads((GOLDEN / f"{name}.json").read_text())
    standard = peer_standard(case)
    commands = peer_commands(name)[:4000]
    noticed = set()
    for index, constraint in enumerate(standard.constraints):
        stricter = list(standard.constraints)
        stricter[index] = dataclasses.replace(constraint, gap_cycles=constraint.gap_cycles + 1)
        if check_commands(commands, dataclasses.replace(standard, constraints=tuple(stricter))) is not None:
            noticed.add(constraint.gap)
    assert {"nRCD", "nRFC"} <= noticed
