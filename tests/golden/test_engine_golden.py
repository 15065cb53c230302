"""Does edensim, from trace file to command file, issue the commands that Ramulator 2.1 issued, clock for clock, field for field?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edensim
from edensim.tracefiles.commands import read_commands_csv
from edensim.vocabulary import Command
from tests.oracles.ramulator import (
    CASES,
    differences,
    peer_case,
    peer_commands,
    peer_controller,
    peer_dram,
    peer_file,
    peer_standard,
    peer_timings,
)

#: Requests the peer may hold when it stops, because its last request was accepted: two queues and one active request per bank (two ranks).
HELD = 32 + 32 + 32


@pytest.mark.parametrize("name", CASES)
def test_our_standard_has_the_peers_timings(name: str) -> None:
    case = peer_case(name)
    standard = peer_standard(case)
    assert {timing: standard.timings[timing] for timing in peer_timings(case)} == peer_timings(case)
    assert (standard.tck_ps, standard.rate_MTps) == (
        case["timings"]["tCK_ps"],
        case["timings"]["rate"],
    )


@pytest.mark.parametrize("name", CASES)
def test_the_peers_commands_are_the_first_of_ours(name: str, tmp_path: Path) -> None:
    """The peer stops when its last request is accepted; ours drains its queues, so its list goes on."""
    case = peer_case(name)
    path = tmp_path / "commands.csv"
    trace = peer_file(name, "trace.xz")
    result = edensim.simulate(
        trace,
        dram=peer_dram(case),
        controller=peer_controller(case),
        source={"kind": "saturating"},
        commands=path,
    )
    ours, theirs = read_commands_csv(path), peer_commands(name)
    assert len(theirs) == case["commands"]
    if np.array_equal(ours[: len(theirs)], theirs):
        assert (
            len(ours) <= len(theirs) + 3 * HELD + 2
        )  # PRE, ACT, RD for each request it held, and a refresh
    else:
        assert differences(ours[: len(theirs)], theirs) == ""
    for key, theirs_in_all in case["stats"].items():
        if key.startswith("row_"):
            assert 0 <= getattr(result, key) - theirs_in_all <= HELD, key
    done = [int(np.isin(theirs["command"], (column,)).sum()) for column in (Command.RD, Command.WR)]
    assert (result.requests["read"], result.requests["write"]) == (
        case["requests"] - case["writes"],
        case["writes"],
    )
    assert (
        0
        <= case["requests"]
        - sum(done)
        - result.requests["forwarded"]
        - result.requests["coalesced"]
        <= HELD
    )
