"""Read golden command traces of Ramulator 2.1, and translate its words to those of edensim."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edensim.dram.standard import Standard, load_standard
from edensim.tracefiles.commands import read_commands_csv
from edensim.vocabulary import COMMAND
from tests.locations import DATA, SHARED

#: The folder of each case; whole cases beside the checkout are added to those that it carries.
FOLDERS = {
    path.stem: path.parent
    for folder in (SHARED / "golden" / "ramulator-2.1", DATA / "ramulator-2.1")
    for path in folder.glob("*.json")
}
CASES = sorted(FOLDERS)
SCHEDULERS = {"FRFCFS": "frfcfs", "FRFCFSRowHit": "frfcfs-row-hit"}


def peer_file(name: str, suffix: str) -> Path:
    """Locate a file of a case: `json`, `trace.xz` or `commands.csv.xz`."""
    return FOLDERS[name] / f"{name}.{suffix}"


@cache
def peer_case(name: str) -> dict[str, Any]:
    """Read the peer's configuration and its statistics."""
    return json.loads(peer_file(name, "json").read_text())


def peer_timings(case: dict[str, Any]) -> dict[str, int]:
    """Select the peer's timings in cycles."""
    return {
        name: value for name, value in case["timings"].items() if name not in ("rate", "tCK_ps")
    }


def peer_dram(case: dict[str, Any]) -> dict[str, Any]:
    """Make the `dram` section of the same device.

    Timings follow from its names; only those that the peer overrides (`DDR4_2400R nRCD=9`) are
    given.
    """
    speed_bin, *overrides = case["speed_preset"].split()
    return {
        "standard": case["standard"],
        "organization": case["organization_preset"].removeprefix(case["standard"] + "_"),
        "speed_bin": speed_bin.removeprefix(case["standard"] + "_"),
        "ranks": case["organization"]["rank"],
        "timings": {
            name: int(value) for name, value in (override.split("=") for override in overrides)
        },
    }


def peer_controller(case: dict[str, Any]) -> dict[str, Any]:
    """Make the `controller` section of the same policies."""
    return {
        "scheduler": SCHEDULERS[case["scheduler"]],
        "refresh": "all-bank" if case["refresh"] else "none",
        "address_mapping": case["address_mapping"],
    }


def peer_standard(case: dict[str, Any]) -> Standard:
    """Load the standard that the peer's names stand for."""
    dram = peer_dram(case)
    return load_standard(dram.pop("standard"), **dram)


def peer_commands(name: str) -> np.ndarray:
    """Read the commands of a case as COMMAND records."""
    return read_commands_csv(peer_file(name, "commands.csv.xz"))


def differences(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Describe the first command in which two lists differ, for a readable failure."""
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return f"command {index}: ours {mine}, the peer's {other} (fields {COMMAND.names})"
    return "" if len(ours) == len(theirs) else f"{len(ours)} commands, the peer has {len(theirs)}"
