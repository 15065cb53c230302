"""Timing legality by definition: every command on every node, against every constraint."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from edensim.dram.standard import Constraint, Organization, Standard
from edensim.vocabulary import RANK_COMMANDS, Command, Level

#: A node of the hierarchy of one channel: () is the channel itself, then there are (rank,),
#: (rank, bank group) and (rank, bank group, bank).
Node = tuple[int, ...]

#: Earlier commands of a node that can still matter if gaps differ between banks: as many as could
#: have issued within the longest gap.
LOOK_BACK = 600


class Target(NamedTuple):
    """Where a command goes in its channel; -1 marks a level that it does not address."""

    rank: int
    bankgroup: int = -1
    bank: int = -1
    row: int = -1
    column: int = -1


class Issue(NamedTuple):
    """One command in the history of a node, and the gap of every constraint at that time."""

    clock: int
    gaps: tuple[int, ...]


def flat_bank(organization: Organization, target: Target) -> int:
    """Return the index of a bank in its channel."""
    return (
        target.rank * organization.bankgroups + target.bankgroup
    ) * organization.banks + target.bank


def bank_targets(organization: Organization) -> list[Target]:
    """List every bank of a channel in the order of its index."""
    return [
        Target(rank, bankgroup, bank)
        for rank in range(organization.ranks)
        for bankgroup in range(organization.bankgroups)
        for bank in range(organization.banks)
    ]


class IssueHistory:
    """What was issued when on every node of one channel, and what is therefore legal.

    `module_gaps` has the gap of every constraint, in the order of `standard.constraints`, and
    `bank_gaps` those of banks with timings of their own. A constraint uses the gap of the bank that
    its earlier command addressed, or that of the module if it addressed a whole rank. Nothing is
    legal before `settled_at`, and on a rank before its `awake_at`.
    """

    def __init__(
        self, standard: Standard, bank_gaps: Mapping[int, tuple[int, ...]] | None = None
    ) -> None:
        self.standard = standard
        self.module_gaps = tuple(constraint.gap_cycles for constraint in standard.constraints)
        self.bank_gaps = dict(bank_gaps or {})
        self.settled_at = 0
        self.awake_at = [0] * standard.organization.ranks
        self._issues: dict[tuple[Node, Command], list[Issue]] = defaultdict(list)
        self._rules: dict[Command, list[tuple[int, Constraint]]] = defaultdict(list)
        for index, constraint in enumerate(standard.constraints):
            for command in set(constraint.before):
                self._rules[command].append((index, constraint))
        self._nodes: dict[tuple[bool, int, int, int], dict[Level, list[Node]]] = {}

    def nodes(self, command: Command, target: Target) -> dict[Level, list[Node]]:
        """Find the nodes that a command touches at each level: a path, or all below a rank."""
        whole_rank = command in RANK_COMMANDS
        key = (whole_rank, target.rank, target.bankgroup, target.bank)
        if key not in self._nodes:
            self._nodes[key] = self._find_nodes(whole_rank, target)
        return self._nodes[key]

    def _find_nodes(self, whole_rank: bool, target: Target) -> dict[Level, list[Node]]:
        organization = self.standard.organization
        bankgroups = [(target.rank, target.bankgroup)]
        banks = [(target.rank, target.bankgroup, target.bank)]
        if whole_rank:
            bankgroups = [(target.rank, bankgroup) for bankgroup in range(organization.bankgroups)]
            banks = [
                (*bankgroup, bank) for bankgroup in bankgroups for bank in range(organization.banks)
            ]
        return {
            Level.CHANNEL: [()],
            Level.RANK: [(target.rank,)],
            Level.BANKGROUP: list(bankgroups),
            Level.BANK: list(banks),
        }

    def _siblings(self, node: Node) -> list[Node]:
        """List the other nodes under the same parent."""
        organization = self.standard.organization
        width = (1, organization.ranks, organization.bankgroups, organization.banks)[len(node)]
        return [(*node[:-1], index) for index in range(width) if index != node[-1]] if node else []

    def _allows(self, index: int, window: int, issues: list[Issue], clock: int) -> bool:
        """Tell whether the window-th last command, and those before it, are far enough behind.

        If there is only one gap, the most recent of them decides. If banks have timings of their
        own, the gap of an earlier command may reach further.
        """
        if len(issues) < window:
            return True
        if not self.bank_gaps:
            return clock >= issues[-window].clock + issues[-window].gaps[index]
        return all(
            clock >= issue.clock + issue.gaps[index]
            for issue in issues[: len(issues) - window + 1][-LOOK_BACK:]
        )

    def legal(self, command: Command, target: Target, clock: int) -> bool:
        """Tell whether every constraint allows a command at this clock."""
        if clock < max(self.settled_at, self.awake_at[target.rank]):
            return False
        nodes = self.nodes(command, target)
        for index, constraint in self._rules[command]:
            for addressed in nodes[constraint.level]:
                for node in self._siblings(addressed) if constraint.sibling else (addressed,):
                    for after in constraint.after:
                        issues = self._issues.get((node, after))
                        if issues is not None and not self._allows(
                            index, constraint.window, issues, clock
                        ):
                            return False
        return True

    def issue(self, command: Command, target: Target, clock: int) -> None:
        """Record a command."""
        whole_rank = command in RANK_COMMANDS
        gaps = (
            self.module_gaps
            if whole_rank
            else self.bank_gaps.get(flat_bank(self.standard.organization, target), self.module_gaps)
        )
        record = Issue(clock, gaps)
        for nodes in self.nodes(command, target).values():
            for node in nodes:
                self._issues[node, command].append(record)
