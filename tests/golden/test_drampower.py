"""Do the energies of command traces equal DRAMPower 6.2's, component by component?

Every component agrees to 1e-6, far inside the 0.1 % that the total needs, because the same formulas meet the same counts.
"""

from __future__ import annotations

import csv
import functools
import json
import lzma
from typing import Any

import numpy as np
import pytest

from edensim.dram.command_counts import counts_from_commands
from edensim.dram.standard import Constraint, Currents, Organization, Standard, load_standard
from edensim.vocabulary import COMMAND, Command, Level
from tests.locations import DATA
from tests.oracles.energies import memory_energy
from tests.oracles.ramulator import CASES, peer_file

ENERGIES = DATA / "drampower-6.2" / "energies.json"
MEMSPEC = DATA / "drampower-6.2" / "memspec_ddr4_8gb_x8_2400r.json"

#: Energies of the command traces that are at hand.
EXPECTED: dict[str, dict[str, Any]] = {
    case: energies
    for case, energies in json.loads(ENERGIES.read_text()).items()
    if case.split("@")[0] in CASES
}

#: DRAMPower's names of our components. A component it does not list is 0.
NAMES = {
    "activate": "ACT",
    "precharge": "PRE",
    "read": "RD",
    "write": "WR",
    "refresh": "REF_AB",
    "background_active": "BG_ACT_shared",
    "background_precharged": "BG_PRE",
}


def memspec_standard() -> Standard:
    """The device of the golden memspec, without going through configs/."""
    spec = json.loads(MEMSPEC.read_text())
    cycles, power, size = spec["memtimingspec"], spec["mempowerspec"], spec["memarchitecturespec"]
    gaps = {
        Command.ACT: cycles["RAS"],
        Command.RD: cycles["RTP"],
        Command.WR: cycles["WL"] + 4 + cycles["WR"],
    }
    return Standard(
        name="DDR4",
        organization=Organization(
            "8Gb_x8",
            8192,
            size["width"],
            64,
            size["nbrOfRanks"],
            4,
            4,
            size["nbrOfRows"],
            size["nbrOfColumns"],
            8,
        ),
        speed_bin="2400R",
        rate_MTps=2400,
        tck_ps=round(cycles["tCK"] * 1e12),
        commands=tuple(Command)[:8],
        timings={
            "nRAS": cycles["RAS"],
            "nRP": cycles["RP"],
            "nBL": size["burstLength"] // 2,
            "nRFC": cycles["RFC1"],
        },
        constraints=tuple(
            Constraint(Level.BANK, (after,), (Command.PREpb,), str(gap), gap)
            for after, gap in gaps.items()
        ),
        read_latency=cycles["RL"] + 4,
        write_latency=cycles["WL"] + 4,
        currents=Currents(
            vdd_V=power["vdd"],
            **{
                f"idd{ours}_mA": 1000 * power[f"idd{theirs}"]
                for ours, theirs in zip(
                    "0 2n 2p 3n 3p 4r 4w 5 6".split(),
                    "0 2n 2p 3n 3p 4r 4w 5B 6n".split(),
                    strict=True,
                )
            },
        ),
        source=MEMSPEC.name,
    )


@functools.cache
def read_golden_commands(name: str) -> np.ndarray[Any, Any]:
    """COMMAND records of a Ramulator golden trace."""
    with lzma.open(peer_file(name, "commands.csv.xz"), "rt") as file:
        table = list(csv.DictReader(file))
    commands = np.zeros(len(table), COMMAND)
    for field in ("clock", "rank", "bankgroup", "bank", "row", "column"):
        commands[field] = [int(row[field]) for row in table]
    commands["command"] = [Command[row["command"]] for row in table]
    return commands


@pytest.fixture(scope="module", params=["memspec", "shipped"])
def standard(request: pytest.FixtureRequest) -> Standard:
    """The device as the golden numbers had it, and as configs/dram/DDR4.yaml has it."""
    if request.param == "memspec":
        return memspec_standard()
    return load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", ranks=1)


@pytest.mark.parametrize("case", EXPECTED)
def test_every_component_equals_drampower(case, standard):
    expected = EXPECTED[case]
    commands = read_golden_commands(case.split("@")[0])
    assert commands["clock"].max() == expected["last_command_clock"]
    counts = counts_from_commands(commands, standard, end_clock=expected["end_clock"])
    energy = memory_energy(
        counts, standard, vdd_V=expected["vdd_V"], voltage_law="linear"
    ).to_dict()
    for ours, theirs in NAMES.items():
        assert energy[ours] == pytest.approx(
            1e12 * expected["core_energy_J"].get(theirs, 0.0), rel=1e-6
        ), ours
    assert energy["total"] == pytest.approx(1e12 * expected["core_total_J"], rel=1e-6)
