"""Which command is legal when: ready clocks of every node, and what an issued command does to them."""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.controller.state import BANK, BANK_BASE, GROUP, GROUP_BASE, RANK, RANK_BASE
from edensim.vocabulary import COMMANDS


@jit(forceinline=True)
def legal_at(s, t, bank, command):
    """Earliest clock at which a bank's command is legal."""
    at = max(
        s["ready"][t["ready_at"][bank, RANK] + command],
        s["ready"][t["ready_at"][bank, GROUP] + command],
    )
    return max(at, s["ready"][t["ready_at"][bank, BANK] + command])


@jit
def rank_legal_at(s, t, rank, command):
    """Earliest clock at which a rank-wide command is legal."""
    at = s["ready"][RANK_BASE + rank * COMMANDS + command]
    if t["deep_before"][command]:
        for group in range(rank * t["groups_per_rank"], (rank + 1) * t["groups_per_rank"]):
            at = max(at, s["ready"][GROUP_BASE + group * COMMANDS + command])
        for bank in range(rank * t["banks_per_rank"], (rank + 1) * t["banks_per_rank"]):
            at = max(at, s["ready"][BANK_BASE + bank * COMMANDS + command])
    return at


@jit
def rank_quiet_at(s, t, rank, command):
    """Earliest clock at which a bank command is legal on every bank of a rank."""
    at = 0
    for bank in range(rank * t["banks_per_rank"], (rank + 1) * t["banks_per_rank"]):
        at = max(at, legal_at(s, t, bank, command))
    return at


@jit(forceinline=True)
def push(s, node, clock):
    """Not before `clock`."""
    s["ready"][node] = max(s["ready"][node], clock)


@jit(forceinline=True)
def constrain_bank(s, t, bank, command, clock):
    """Apply the rules that follow a command to one bank."""
    k = s["bank_class"][bank]
    for i in range(t["rule_start"][command], t["rule_stop"][command]):
        push(
            s,
            t["ready_at"][bank, t["rule_level"][i]] + t["rule_next"][i],
            clock + t["rule_gap"][k, i],
        )
    if t["sibling_start"][command] < t["sibling_stop"][command]:
        constrain_siblings(s, t, bank, command, clock, k)
    if t["window_of"][command]:
        constrain_windows(s, t, bank, command, clock, k)


@jit
def constrain_rank(s, t, rank, command, clock):
    """Apply the rules that follow a rank-wide command: to the rank and everything below it."""
    k = s["module_class"]
    for i in range(t["rule_start"][command], t["rule_stop"][command]):
        after = clock + t["rule_gap"][k, i]
        level = t["rule_level"][i]
        if level == RANK:
            push(s, RANK_BASE + rank * COMMANDS + t["rule_next"][i], after)
        elif level == GROUP:
            for group in range(rank * t["groups_per_rank"], (rank + 1) * t["groups_per_rank"]):
                push(s, GROUP_BASE + group * COMMANDS + t["rule_next"][i], after)
        else:
            for bank in range(rank * t["banks_per_rank"], (rank + 1) * t["banks_per_rank"]):
                push(s, BANK_BASE + bank * COMMANDS + t["rule_next"][i], after)
    first = rank * t["banks_per_rank"]
    constrain_siblings(s, t, first, command, clock, k)
    if t["window_of"][command]:
        constrain_windows(s, t, first, command, clock, k)


@jit
def constrain_siblings(s, t, bank, command, clock, k):
    """Rules between different nodes under one parent; a rank-wide command has none below the rank."""
    rank = t["rank_of"][bank]
    group = t["group_of"][bank]
    for i in range(t["sibling_start"][command], t["sibling_stop"][command]):
        after = clock + t["rule_gap"][k, i]
        level = t["rule_level"][i]
        if level == RANK:
            for other in range(t["ranks"]):
                if other != rank:
                    push(s, RANK_BASE + other * COMMANDS + t["rule_next"][i], after)
        elif level == GROUP:
            for other in range(rank * t["groups_per_rank"], (rank + 1) * t["groups_per_rank"]):
                if other != group:
                    push(s, GROUP_BASE + other * COMMANDS + t["rule_next"][i], after)
        else:
            for other in range(group * t["banks_per_group"], (group + 1) * t["banks_per_group"]):
                if other != bank:
                    push(s, BANK_BASE + other * COMMANDS + t["rule_next"][i], after)


@jit
def constrain_windows(s, t, bank, command, clock, k):
    """Rules that count from the n-th most recent command (tFAW): a ring of issue clocks per node."""
    for w in range(t["windows"]):
        if t["window_after"][w] == command:
            level = t["window_level"][w]
            node = (
                t["rank_of"][bank]
                if level == RANK
                else (t["group_of"][bank] if level == GROUP else bank)
            )
            at = s["history_at"][w, node]
            s["history"][w, node, at] = clock
            at += 1
            if at == t["window_length"][w]:
                at = 0
            s["history_at"][w, node] = at
            oldest = s["history"][w, node, at]  # the window-th most recent, this one included
            if oldest > 0:
                push(
                    s,
                    t["ready_at"][bank, level] + t["window_before"][w],
                    oldest + t["window_gap"][k, w],
                )
