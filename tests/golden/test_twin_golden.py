"""Does the SimPy twin issue the commands that Ramulator 2.1 issued, and do those obey the standards?"""

from __future__ import annotations

import dataclasses
import lzma

import msgspec
import numpy as np
import pytest

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.protocol import check_commands
from edensim.reference.simulation import simulate_reference
from edensim.vocabulary import REQUEST
from tests.oracles.ramulator import (
    CASES,
    differences,
    peer_case,
    peer_commands,
    peer_controller,
    peer_file,
    peer_standard,
)

PREFIX = 1500


def peer_requests(name: str) -> np.ndarray:
    lines = lzma.decompress(peer_file(name, "trace.xz").read_bytes()).split(b"\n")[:PREFIX]
    requests = np.zeros(PREFIX, dtype=REQUEST)
    requests["address"] = [int(line.split()[1], 16) for line in lines]
    requests["is_write"] = [line.startswith(b"ST") for line in lines]
    return requests


@pytest.mark.parametrize("name", CASES)
def test_twin_issues_the_peers_commands(name: str) -> None:
    """The first requests of each case, as long as the peer has not seen more requests than the twin."""
    case = peer_case(name)
    standard = peer_standard(case)
    controller = msgspec.convert(peer_controller(case), ControllerConfig)
    memory = MemorySystem.nominal(standard, address_mapping=case["address_mapping"])
    source = SourceConfig(kind="saturating")
    run = simulate_reference(memory, controller, source, [peer_requests(name)])
    assert run.commands is not None
    theirs = peer_commands(name)
    horizon = run.last_accepted_clock + 1
    ours = run.commands[run.commands["clock"] <= horizon]
    assert differences(ours, theirs[theirs["clock"] <= horizon]) == ""
    assert len(ours) > 0.9 * PREFIX


@pytest.mark.parametrize("name", CASES)
def test_the_peers_commands_obey_the_standard(name: str) -> None:
    """All of each golden list, replayed by the checker."""
    case = peer_case(name)
    assert check_commands(peer_commands(name), peer_standard(case)) is None


@pytest.mark.parametrize(
    "name",
    [name for name in ("ddr3_1600k_dnn", "ddr4_2400r_dnn", "ddr4_2400r_seq") if name in CASES],
)
def test_one_cycle_less_is_noticed(name: str) -> None:
    """The checker sees a golden list as illegal once any of the constraints it is tight on grows by a cycle."""
    case = peer_case(name)
    standard = peer_standard(case)
    commands = peer_commands(name)[:4000]
    noticed = set()
    for index, constraint in enumerate(standard.constraints):
        stricter = list(standard.constraints)
        stricter[index] = dataclasses.replace(constraint, gap_cycles=constraint.gap_cycles + 1)
        if (
            check_commands(commands, dataclasses.replace(standard, constraints=tuple(stricter)))
            is not None
        ):
            noticed.add(constraint.gap)
    assert {"nRCD", "nRFC"} <= noticed
