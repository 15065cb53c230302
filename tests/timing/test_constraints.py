"""Is every constraint of every standard kept to the cycle: illegal one clock before its gap has passed, legal at it, and on no other node?

Legality is the twin's (by definition, from the history of commands). Each constraint is tried alone, so that no other one hides it; the usual
command pairs are tried under all constraints of their standard as well.
"""

from __future__ import annotations

import dataclasses
import functools

import pytest

from edensim.config.models import ControllerConfig
from edensim.dram.standard import Constraint, Standard, load_standard, standard_names
from edensim.reference.channel import Channel
from edensim.reference.history import IssueHistory, Target
from edensim.reference.records import Request
from edensim.reference.schedulers import frfcfs
from edensim.vocabulary import RANK_COMMANDS, Command, Level, cycles_from_ns

STANDARDS = standard_names()
HOME = Target(0, 0, 0)


class Device:
    """One channel of a standard: ask it what is legal when, and issue commands to it."""

    def __init__(self, standard: Standard) -> None:
        self.standard = standard
        self.history = IssueHistory(standard)

    def probe(self, command: Command, target: Target, clock: int) -> bool:
        """Whether the command would be legal."""
        return self.history.legal(command, target, clock)

    def issue(self, command: Command, target: Target, clock: int) -> None:
        self.history.issue(command, target, clock)

    def assert_earliest(self, command: Command, target: Target, clock: int) -> None:
        """Illegal one clock before, legal at `clock`."""
        assert not self.probe(command, target, clock - 1), (
            f"{command.name} is legal before clock {clock}"
        )
        assert self.probe(command, target, clock), f"{command.name} is not legal at clock {clock}"


@functools.cache
def standard(name: str) -> Standard:
    return load_standard(name, ranks=2)


def constraint_ids() -> list[tuple[str, int]]:
    return [(name, index) for name in STANDARDS for index in range(len(standard(name).constraints))]


def alone(name: str, constraint: Constraint) -> Device:
    return Device(dataclasses.replace(standard(name), constraints=(constraint,)))


def same_node_targets(constraint: Constraint, whole: Standard) -> tuple[Target, Target]:
    """Targets of the earlier and the later command: as far apart as the constraint's node allows, so that only this level joins them."""
    organization = whole.organization
    last_group, last_bank = organization.bankgroups - 1, organization.banks - 1
    apart = {
        Level.CHANNEL: Target(1, last_group, last_bank),
        Level.RANK: Target(0, last_group, last_bank),
        Level.BANKGROUP: Target(0, 0, last_bank),
        Level.BANK: HOME,
    }
    other_node = {
        Level.RANK: Target(1, 0, 0),
        Level.BANKGROUP: Target(0, last_group, 0),
        Level.BANK: Target(0, 0, last_bank),
    }
    return HOME, other_node[constraint.level] if constraint.sibling else apart[constraint.level]


def free_targets(
    constraint: Constraint, after: Command, before: Command, whole: Standard
) -> list[Target]:
    """Targets that the constraint leaves alone after a command to HOME."""
    organization = whole.organization
    if constraint.sibling:
        return [HOME] if constraint.level == Level.RANK else []
    if constraint.level == Level.CHANNEL:
        return []
    free = [Target(1, 0, 0)]
    if after not in RANK_COMMANDS and before not in RANK_COMMANDS:
        if constraint.level >= Level.BANKGROUP and organization.bankgroups > 1:
            free.append(Target(0, 1, 0))
        if constraint.level == Level.BANK:
            free.append(Target(0, 0, 1))
    return free


@pytest.mark.parametrize(("name", "index"), constraint_ids())
def test_constraint_is_tight(name: str, index: int) -> None:
    """On its node the later command is legal exactly from the gap on, counted from the window-th most recent earlier one."""
    constraint = standard(name).constraints[index]
    earlier, later = same_node_targets(constraint, standard(name))
    for after in constraint.after:
        for before in constraint.before:
            device = alone(name, constraint)
            issued = range(10, 10 + constraint.window)
            for clock in issued:
                if clock > 10:
                    assert device.probe(before, later, clock + constraint.gap_cycles), (
                        "the window is not full yet"
                    )
                device.issue(after, earlier, clock)
            earliest = issued[0] + constraint.gap_cycles
            if earliest - 1 > issued[-1]:
                device.assert_earliest(before, later, earliest)
            else:
                assert device.probe(before, later, issued[-1] + 1)


@pytest.mark.parametrize(("name", "index"), constraint_ids())
def test_constraint_holds_on_its_node_only(name: str, index: int) -> None:
    """Other nodes of the level are free at once."""
    constraint = standard(name).constraints[index]
    for after in constraint.after:
        for before in constraint.before:
            device = alone(name, constraint)
            for clock in range(10, 10 + constraint.window):
                device.issue(after, HOME, clock)
            for target in free_targets(constraint, after, before, standard(name)):
                assert device.probe(before, target, 11)


@pytest.mark.parametrize("name", STANDARDS)
def test_each_command_has_its_own_history(name: str) -> None:
    """A constraint after [RD, RDA] counts from the last RD and from the last RDA: a younger one does not hide the older one's window."""
    for constraint in standard(name).constraints:
        if len(constraint.after) < 2 or constraint.gap_cycles < 3 or constraint.window > 1:
            continue
        earlier, later = same_node_targets(constraint, standard(name))
        device = alone(name, constraint)
        device.issue(constraint.after[0], earlier, 10)
        device.issue(constraint.after[1], earlier, 11)
        device.assert_earliest(constraint.before[0], later, 11 + constraint.gap_cycles)


def bank_gap(whole: Standard, after: Command, before: Command) -> int:
    """The standard's gap between two commands to one bank."""
    return max(
        c.gap_cycles
        for c in whole.constraints
        if c.level == Level.BANK and after in c.after and before in c.before
    )


@pytest.mark.parametrize("name", STANDARDS)
def test_row_cycle_under_all_constraints(name: str) -> None:
    """ACT, RD, PREpb, ACT of one bank: nRCD; the later of nRAS after ACT and nRTP after RD; the later of nRC after ACT and nRP after PREpb.

    Where an activate takes two bus cycles, the rows of the table are up to a cycle off the named timings.
    """
    whole = standard(name)
    device = Device(whole)
    for after, before, timing in (
        (Command.ACT, Command.RD, "nRCD"),
        (Command.ACT, Command.PREpb, "nRAS"),
        (Command.PREpb, Command.ACT, "nRP"),
    ):
        assert (
            abs(
                bank_gap(whole, after, before)
                - whole.timings.get(timing, whole.timings.get(f"{timing}pb", -9))
            )
            <= 1
        )
    device.issue(Command.ACT, HOME, 100)
    read = 100 + bank_gap(whole, Command.ACT, Command.RD)
    device.assert_earliest(Command.RD, HOME, read)
    device.issue(Command.RD, HOME, read)
    precharge = max(
        100 + bank_gap(whole, Command.ACT, Command.PREpb),
        read + bank_gap(whole, Command.RD, Command.PREpb),
    )
    device.assert_earliest(Command.PREpb, HOME, precharge)
    device.issue(Command.PREpb, HOME, precharge)
    activate = max(
        100 + bank_gap(whole, Command.ACT, Command.ACT),
        precharge + bank_gap(whole, Command.PREpb, Command.ACT),
    )
    device.assert_earliest(Command.ACT, HOME, activate)


@pytest.mark.parametrize("name", STANDARDS)
def test_fifth_activate_waits_for_the_window(name: str) -> None:
    """ACTs as fast as ACT -> ACT allows, round the bank groups: the fifth comes nFAW after the first, unless its own gap is longer."""
    whole = standard(name)
    windows = [c for c in whole.constraints if c.window > 1]
    if not windows:
        pytest.skip(f"{name} has no activation window")
    organization = whole.organization
    targets = [
        Target(0, group, bank)
        for bank in range(organization.banks)
        for group in range(organization.bankgroups)
    ]
    device = Device(whole)
    clocks = [99]
    for target in targets[: windows[0].window + 1]:
        clocks.append(
            next(
                clock
                for clock in range(clocks[-1] + 1, 10_000)
                if device.probe(Command.ACT, target, clock)
            )
        )
        device.issue(Command.ACT, target, clocks[-1])
    gaps = [later - earlier for earlier, later in zip(clocks[1:-1], clocks[2:], strict=True)]
    assert sum(gaps) == max(windows[0].gap_cycles, sum(gaps[:-1]) + gaps[0])


@pytest.mark.parametrize("name", STANDARDS)
def test_refresh_keeps_the_rank_only(name: str) -> None:
    """After REFab no bank of the rank opens for nRFC; the other rank goes on."""
    whole = standard(name)
    if Command.REFab not in whole.commands:
        pytest.skip(f"{name} has no REFab")
    device = Device(whole)
    device.issue(Command.REFab, Target(0), 100)
    gap = next(
        c.gap_cycles
        for c in whole.constraints
        if Command.REFab in c.after and Command.ACT in c.before
    )
    assert whole.timings["nRFC"] - gap in (0, 1)  # one less where an activate takes two bus cycles
    for bank in (HOME, Target(0, whole.organization.bankgroups - 1, whole.organization.banks - 1)):
        device.assert_earliest(Command.ACT, bank, 100 + gap)
    assert device.probe(Command.ACT, Target(1, 0, 0), 101)


def test_a_rank_leaves_self_refresh_after_txs() -> None:
    """nRFC and 10 ns after the first request (clock 2000, waiting from 2001 on), not a clock earlier; the other rank goes on."""
    whole = standard("DDR4")
    controller = ControllerConfig(refresh="none", self_refresh_idle_cycles=100)
    channel = Channel(whole, controller, frfcfs)
    channel.offer(Request(0, 0, is_write=False, target=Target(0, 0, 0, 5, 0), bank=0), 2000)
    earliest = 2001 + whole.timings["nRFC"] + cycles_from_ns(10.0, whole.tck_ps)
    for command in (Command.ACT, Command.REFab):
        assert not channel.history.legal(command, HOME, earliest - 1)
        assert channel.history.legal(command, HOME, earliest)
        assert channel.history.legal(command, Target(1, 0, 0), 2001)
    assert channel.slept[:, 2].tolist() == [2001 - 100, 0]


def test_partition_with_its_own_trcd() -> None:
    """A bank with other gaps keeps those, its neighbours the standard's."""
    whole = standard("DDR4")
    faster = whole.gaps_with({**whole.timings, "nRCD": whole.timings["nRCD"] - 5})
    history = IssueHistory(whole, {0: faster})
    for target, nrcd in (
        (HOME, whole.timings["nRCD"] - 5),
        (Target(0, 0, 1), whole.timings["nRCD"]),
    ):
        history.issue(Command.ACT, target, 100)
        assert not history.legal(Command.RD, target, 100 + nrcd - 1)
        assert history.legal(Command.RD, target, 100 + nrcd)
