"""Replay a command list of any simulator against a standard: timing constraints and bank states.

The checker is independent of both engines. It knows commands, clocks and the standard, but neither
queues nor requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.dram.standard import Constraint, Standard
from edensim.exceptions import ProtocolError
from edensim.vocabulary import COLUMN_COMMANDS, COMMAND, COMMANDS, RANK_COMMANDS, Command, Level

#: gaps_of(clock, channel, bank, row) returns the gaps in cycles of all constraints, in the order of
#: the standard, at the operating point of a row. Row -1 means the bank as a whole, bank -1 the
#: module. A bank has the gaps of the row that it opened last.
GapsOf = Callable[[int, int, int, int], Sequence[int]]

NEVER = -(1 << 60)
#: Commands that are converted from arrays to Python numbers at a time.
BLOCK = 1 << 16


#: Fields of a COMMAND record in order.
_FIELDS: Final = ("clock", "command", "channel", "rank", "bankgroup", "bank", "row", "column")


@dataclass(frozen=True, slots=True)
class Violation:
    """The first command that breaks a rule.

    Attributes
    ----------
    index : int
        Its position in the list, from 0.
    clock, command, channel, rank, bankgroup, bank
        The command, as it stands in the list.
    rule : str
        The rule in words.
    earlier_clock : int
        Clock of the command that forbids this one; -1 if the rule is not about time.
    earliest_legal_clock : int
        The clock from which all timing constraints allow the command; -1 if the rule is not about
        time.
    """

    index: int
    clock: int
    command: str
    channel: int
    rank: int
    bankgroup: int
    bank: int
    rule: str
    earlier_clock: int = -1
    earliest_legal_clock: int = -1

    def __str__(self) -> str:
        """Describe the violation in one line."""
        place = f"channel {self.channel} rank {self.rank}"
        if self.bank >= 0:
            place += f" bank group {max(self.bankgroup, 0)} bank {self.bank}"
        text = (
            f"command {self.index + 1}: clock {self.clock}: {self.command} to {place}: {self.rule}"
        )
        if self.earlier_clock >= 0:
            text += (
                f"; earlier command at clock {self.earlier_clock}, earliest legal clock "
                f"{self.earliest_legal_clock}"
            )
        return text


@dataclass(frozen=True, slots=True)
class _Rule:
    """One constraint for one pair of commands."""

    index: int
    level: int
    after: int
    gap: int
    window: int
    sibling: bool
    text: str


def _rules_by_command(standard: Standard) -> list[list[_Rule]]:
    rules: list[list[_Rule]] = [[] for _ in range(COMMANDS)]
    for index, constraint in enumerate(standard.constraints):
        for before in dict.fromkeys(constraint.before):
            for after in dict.fromkeys(constraint.after):
                text = rule_text(constraint, after, before)
                rules[before].append(
                    _Rule(
                        index,
                        constraint.level,
                        after,
                        constraint.gap_cycles,
                        constraint.window,
                        constraint.sibling,
                        text,
                    )
                )
    return rules


def rule_text(constraint: Constraint, after: Command, before: Command) -> str:
    """Describe a constraint as violations do: ``rank: ACT -> ACT >= nFAW (26) window 4``."""
    place = ("other " if constraint.sibling else "") + constraint.level.name.lower()
    window = f" window {constraint.window}" if constraint.window > 1 else ""
    gap = f"{constraint.gap} ({constraint.gap_cycles})"
    return f"{place}: {after.name} -> {before.name} >= {gap}{window}"


class _ChannelState:
    """Last issues on each node, and open rows, of one channel.

    Nodes are numbered: the channel first, then ranks, bank groups and banks.
    """

    def __init__(self, standard: Standard, rules: list[list[_Rule]]) -> None:
        organization = standard.organization
        ranks, groups, banks = organization.ranks, organization.bankgroups, organization.banks
        self.clock = NEVER
        self.changes = 0
        self.open_row: list[int | None] = [None] * (ranks * groups * banks)
        first_group, first_bank = 1 + ranks, 1 + ranks + ranks * groups
        nodes = first_bank + ranks * groups * banks
        self.path = [
            (0, 1 + b // (groups * banks), first_group + b // banks, first_bank + b)
            for b in range(ranks * groups * banks)
        ]
        self.below = [
            (
                (0,),
                (1 + rank,),
                tuple(range(first_group + rank * groups, first_group + (rank + 1) * groups)),
                tuple(
                    range(
                        first_bank + rank * groups * banks, first_bank + (rank + 1) * groups * banks
                    )
                ),
            )
            for rank in range(ranks)
        ]
        self.siblings = self._siblings(nodes, first_group, first_bank, groups, banks)
        self.last = [NEVER] * (nodes * COMMANDS)
        self.last_gaps: list[Sequence[int] | None] = [None] * (
            nodes * COMMANDS
        )  # None: the standard's
        self.in_force: list[Sequence[int] | None] = [None] * len(self.open_row)  # of each bank
        windows: dict[tuple[int, int], int] = {}
        for rule in (rule for command_rules in rules for rule in command_rules if rule.window > 1):
            key = (rule.level, rule.after)
            windows[key] = max(rule.window, windows.get(key, 0))
        starts = (0, 1, first_group, first_bank, nodes)
        self.recent = {
            node * COMMANDS + after: deque[tuple[int, Sequence[int] | None]](maxlen=window)
            for (level, after), window in windows.items()
            for node in range(starts[level], starts[level + 1])
        }

    def begin_epochs(self, change_clocks: Sequence[int]) -> None:
        """Forget the timings of the rows opened last, if operating points have changed."""
        while self.changes < len(change_clocks) and change_clocks[self.changes] <= self.clock:
            self.in_force = [None] * len(self.in_force)
            self.changes += 1

    @staticmethod
    def _siblings(
        nodes: int, first_group: int, first_bank: int, groups: int, banks: int
    ) -> list[list[int]]:
        siblings: list[list[int]] = [[]]
        for first, end, width in (
            (1, first_group, first_group - 1),
            (first_group, first_bank, groups),
            (first_bank, nodes, banks),
        ):
            for node in range(first, end):
                parent = first + (node - first) // width * width
                siblings.append([other for other in range(parent, parent + width) if other != node])
        return siblings


class CommandChecker:
    """A checker of a command list that comes in pieces.

    Parameters
    ----------
    standard : Standard
        The standard whose rules the commands must keep.
    channels : int, optional
        The number of channels; by default, there may be any number.
    bank_gaps : mapping of int to sequence of int, optional
        The gaps in cycles of each constraint, for banks with timings of their own, by the index of
        the bank in its channel.
    gaps_of : callable, optional
        Finds the gaps of a row at a clock (`GapsOf`), if they differ between rows or change.
    change_clocks : sequence of int, optional
        The clocks at which operating points change. All banks are closed there, and the timings of
        rows opened before no longer hold.

    Attributes
    ----------
    commands : int
        The number of commands that were replayed and are legal.
    violation : Violation or None
        The first violation.
    """

    def __init__(
        self,
        standard: Standard,
        *,
        channels: int | None = None,
        bank_gaps: Mapping[int, Sequence[int]] | None = None,
        gaps_of: GapsOf | None = None,
        change_clocks: Sequence[int] = (),
    ) -> None:
        self.standard = standard
        self.change_clocks = change_clocks
        self.channels = channels
        own = tuple(constraint.gap_cycles for constraint in standard.constraints)
        self.gaps_of = gaps_of or (
            None
            if bank_gaps is None
            else lambda _clock, _channel, bank, _row: bank_gaps.get(bank, own)
        )
        self.commands = 0
        self.violation: Violation | None = None
        self._known = frozenset(int(command) for command in standard.commands)
        self._rules = _rules_by_command(standard)
        self._states: dict[int, _ChannelState] = {}

    def feed(self, commands: NDArray[Any]) -> Violation | None:
        """Replay the next piece of the list.

        Parameters
        ----------
        commands : ndarray of COMMAND, [n]
            The commands, in order of clock in each channel.

        Returns
        -------
        Violation or None
            The first violation so far, after which nothing more is checked.
        """
        for start in range(0, len(commands), BLOCK):
            block = commands[start : start + BLOCK]
            for record in zip(*(block[name].tolist() for name in _FIELDS), strict=True):
                if self.violation is not None:
                    return self.violation
                broken = self._replay(record)
                if broken is None:
                    self.commands += 1
                    continue
                clock, command, channel, rank, bankgroup, bank, *_ = record
                name = Command(command).name if 0 <= command < COMMANDS else str(command)
                self.violation = Violation(
                    self.commands, clock, name, channel, rank, bankgroup, bank, *broken
                )
        return self.violation

    def _replay(self, record: tuple[int, ...]) -> tuple[str, int, int] | None:
        """Check one command, whose values are those of `_FIELDS`, and note it.

        Returns what it breaks: the rule, the earlier clock and the earliest legal clock.
        """
        clock, command, channel, rank, bankgroup, bank, row, column = record
        organization = self.standard.organization
        bankgroup = max(bankgroup, 0) if organization.bankgroups == 1 else bankgroup
        unfit = self._unfit(command, channel, rank, bankgroup, bank, row, column)
        if unfit is not None:
            return unfit, -1, -1
        state = self._states.get(channel)
        if state is None:
            state = self._states[channel] = _ChannelState(self.standard, self._rules)
        if clock <= state.clock:
            rule = (
                "two commands in one clock on this channel"
                if clock == state.clock
                else f"clock goes back from {state.clock}"
            )
            return rule, -1, -1
        state.clock = clock
        state.begin_epochs(self.change_clocks)
        whole_rank = command in RANK_COMMANDS
        flat = (
            -1
            if whole_rank
            else (rank * organization.bankgroups + bankgroup) * organization.banks + bank
        )
        if (
            self.gaps_of is not None
            and flat >= 0
            and (command in (Command.ACT, Command.REFpb) or state.in_force[flat] is None)
        ):
            state.in_force[flat] = self.gaps_of(
                clock, channel, flat, row if command == Command.ACT else -1
            )
        early = self._timing(state, clock, command, rank, flat)
        if early is not None:
            return early
        broken = self._bank_state(state, command, rank, flat, row)
        if broken is not None:
            return broken, -1, -1
        gaps = None
        if self.gaps_of is not None:
            gaps = state.in_force[flat] if flat >= 0 else self.gaps_of(clock, channel, -1, -1)
        self._note(state, clock, command, rank, flat, gaps)
        return None

    def _unfit(
        self,
        command: int,
        channel: int,
        rank: int,
        bankgroup: int,
        bank: int,
        row: int,
        column: int,
    ) -> str | None:
        """Say what the standard lacks of a command or of its coordinates."""
        organization = self.standard.organization
        if command not in self._known:
            return f"{self.standard.name} has no such command"
        limits: list[tuple[str, int, int, int]] = [
            ("channel", channel, 0, self.channels or 1 << 15),
            ("rank", rank, 0, organization.ranks),
        ]
        if command not in RANK_COMMANDS:
            limits += [
                ("bank group", bankgroup, 0, organization.bankgroups),
                ("bank", bank, 0, organization.banks),
            ]
        if command == Command.ACT:
            limits += [("row", row, 0, organization.rows)]
        elif command in COLUMN_COMMANDS:
            limits += [
                ("row", row, -1, organization.rows),
                ("column", column, -1, organization.bursts_per_row),
            ]
        for name, value, low, end in limits:
            if not low <= value < end:
                return f"{name} {value} is outside 0..{end - 1}"
        return None

    def _timing(
        self, state: _ChannelState, clock: int, command: int, rank: int, flat: int
    ) -> tuple[str, int, int] | None:
        """Find the constraint that this command breaks by the most cycles."""
        worst: tuple[int, str, int] | None = None
        last, path = state.last, state.path[flat]
        for rule in self._rules[command]:
            level = rule.level
            nodes: Iterable[int] = (path[level],) if flat >= 0 else state.below[rank][level]
            if rule.sibling:
                nodes = [other for node in nodes for other in state.siblings[node]]
            for node in nodes:
                slot = node * COMMANDS + rule.after
                if rule.window == 1:
                    earlier, gaps = last[slot], state.last_gaps[slot]
                else:
                    recent = state.recent[slot]
                    if len(recent) < rule.window:
                        continue
                    earlier, gaps = recent[-rule.window]
                legal = earlier + (rule.gap if gaps is None else gaps[rule.index])
                if clock < legal and (worst is None or legal > worst[0]):
                    worst = (legal, rule.text, earlier)
        return None if worst is None else (worst[1], worst[2], worst[0])

    @staticmethod
    def _bank_state(
        state: _ChannelState, command: int, rank: int, flat: int, row: int
    ) -> str | None:
        """Say which rule on the states of rows a command breaks, or note the new states."""
        banks = (
            (flat,)
            if flat >= 0
            else tuple(
                node - state.below[0][Level.BANK][0] for node in state.below[rank][Level.BANK]
            )
        )
        open_row = state.open_row[banks[0]]
        if command == Command.ACT:
            if open_row is not None:
                return f"ACT to a bank with row {open_row} open"
            state.open_row[flat] = row
        elif command in COLUMN_COMMANDS:
            if open_row is None:
                return f"{Command(command).name} to a closed bank"
            if row not in (open_row, -1):
                return f"{Command(command).name} to row {row} while row {open_row} is open"
            if command in (Command.RDA, Command.WRA):
                state.open_row[flat] = None
        elif command in (Command.REFab, Command.REFpb):
            opened = [bank for bank in banks if state.open_row[bank] is not None]
            if opened:
                return (
                    f"{Command(command).name} while bank {opened[0]} of the channel has row "
                    f"{state.open_row[opened[0]]} open"
                )
        else:
            for bank in banks:
                state.open_row[bank] = None
        return None

    @staticmethod
    def _note(
        state: _ChannelState,
        clock: int,
        command: int,
        rank: int,
        flat: int,
        gaps: Sequence[int] | None,
    ) -> None:
        nodes = (
            state.path[flat]
            if flat >= 0
            else [node for level in state.below[rank] for node in level]
        )
        for node in nodes:
            slot = node * COMMANDS + command
            state.last[slot] = clock
            state.last_gaps[slot] = gaps
            if slot in state.recent:
                state.recent[slot].append((clock, gaps))


def check_commands(
    commands: NDArray[Any] | Iterable[NDArray[Any]],
    standard: Standard,
    *,
    channels: int | None = None,
    bank_gaps: Mapping[int, Sequence[int]] | None = None,
    gaps_of: GapsOf | None = None,
    change_clocks: Sequence[int] = (),
) -> Violation | None:
    """Find the first violation in a command list, None if there is none.

    Levels that a command does not address are not looked at. A column command may leave out its row
    and column (-1).

    Parameters
    ----------
    commands : ndarray of COMMAND, [commands], or iterable of such pieces in order
        The command list.
    standard, channels, bank_gaps, gaps_of, change_clocks
        As for `CommandChecker`.
    """
    checker = CommandChecker(
        standard,
        channels=channels,
        bank_gaps=bank_gaps,
        gaps_of=gaps_of,
        change_clocks=change_clocks,
    )
    pieces = (commands,) if isinstance(commands, np.ndarray) else commands
    for piece in pieces:
        if piece.dtype != COMMAND:
            raise TypeError(f"expected COMMAND records, found {piece.dtype}")
        violation = checker.feed(piece)
        if violation is not None:
            return violation
    return None


def require_legal(
    commands: NDArray[Any] | Iterable[NDArray[Any]],
    standard: Standard,
    *,
    channels: int | None = None,
    bank_gaps: Mapping[int, tuple[int, ...]] | None = None,
) -> None:
    """Raise ProtocolError with the first violation, if there is one."""
    violation = check_commands(commands, standard, channels=channels, bank_gaps=bank_gaps)
    if violation is not None:
        raise ProtocolError(str(violation))
