"""Golden command traces of Ramulator 2.1 in ../shared, and the words that the peer and edensim use for the same thing."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from edensim.dram.standard import Standard, load_standard
from edensim.tracefiles.commands import read_commands_csv
from edensim.vocabulary import COMMAND
from tests.locations import SHARED

GOLDEN = SHARED / "golden" / "ramulator-2.1"
CASES = sorted(path.stem for path in GOLDEN.glob("*.json"))
SCHEDULERS = {"FRFCFS": "frfcfs", "FRFCFSRowHit": "frfcfs-row-hit"}

needs_golden = pytest.mark.skipif(
    not CASES, reason="shared/golden/ramulator-2.1 is not beside this checkout"
)


@cache
def peer_case(name: str) -> dict[str, Any]:
    """What the peer was told, and its statistics."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def peer_timings(case: dict[str, Any]) -> dict[str, int]:
    """The peer's timings in cycles."""
    return {
        name: value for name, value in case["timings"].items() if name not in ("rate", "tCK_ps")
    }


def peer_dram(case: dict[str, Any]) -> dict[str, Any]:
    """The `dram` section that says the same: names, and what they do not say (`DDR4_2400R nRCD=9`), but no other timing."""
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
    """The `controller` section that says the same."""
    return {
        "scheduler": SCHEDULERS[case["scheduler"]],
        "refresh": "all-bank" if case["refresh"] else "none",
        "address_mapping": case["address_mapping"],
    }


def peer_standard(case: dict[str, Any]) -> Standard:
    """Our standard for the peer's names."""
    dram = peer_dram(case)
    return load_standard(dram.pop("standard"), **dram)


def peer_commands(name: str) -> np.ndarray:
    """COMMAND records of a case."""
    return read_commands_csv(GOLDEN / f"{name}.commands.csv.xz")


def differences(ours: np.ndarray, theirs: np.ndarray) -> str:
    """The first command in which two lists differ, for a readable failure."""
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return f"command {index}: ours {mine}, the peer's {other} (fields {COMMAND.names})"
    return "" if len(ours) == len(theirs) else f"{len(ours)} commands, the peer has {len(theirs)}"
