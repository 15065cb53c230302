"""Which command is legal when: ready clocks per level, and what an issued command does to them."""

from __future__ import annotations

from edensim.core.jit import jit
from edensim.core.state import BANK, GROUP, RANK


@jit
def legal_at(s, t, bank, command):
    """Earliest clock at which a bank's command is legal."""
    at = s["bank_ready"][bank, command]
    at = max(at, s["group_ready"][t["group_of"][bank], command])
    return max(at, s["rank_ready"][t["rank_of"][bank], command])


@jit
def rank_legal_at(s, t, rank, command):
    """Earliest clock at which a rank-wide command is legal."""
    at = s["rank_ready"][rank, command]
    if t["deep_before"][command]:
        for group in range(rank * t["groups_per_rank"], (rank + 1) * t["groups_per_rank"]):
            at = max(at, s["group_ready"][group, command])
        for bank in range(rank * t["banks_per_rank"], (rank + 1) * t["banks_per_rank"]):
            at = max(at, s["bank_ready"][bank, command])
    return at


@jit
def constrain_bank(s, t, bank, command, clock):
    """Apply the rules that follow a command to one bank."""
    k = t["bank_class"][bank]
    rank = t["rank_of"][bank]
    group = t["group_of"][bank]
    for i in range(t["rule_start"][command, RANK], t["rule_stop"][command, RANK]):
        after = clock + t["rule_gap"][k, i]
        if s["rank_ready"][rank, t["rule_next"][i]] < after:
            s["rank_ready"][rank, t["rule_next"][i]] = after
    for i in range(t["rule_start"][command, GROUP], t["rule_stop"][command, GROUP]):
        after = clock + t["rule_gap"][k, i]
        if s["group_ready"][group, t["rule_next"][i]] < after:
            s["group_ready"][group, t["rule_next"][i]] = after
    for i in range(t["rule_start"][command, BANK], t["rule_stop"][command, BANK]):
        after = clock + t["rule_gap"][k, i]
        if s["bank_ready"][bank, t["rule_next"][i]] < after:
            s["bank_ready"][bank, t["rule_next"][i]] = after
    constrain_siblings(s, t, rank, group, bank, command, clock, k)
    if t["window_of"][command]:
        constrain_windows(s, t, rank, group, bank, command, clock, k)


@jit
def constrain_rank(s, t, rank, command, clock):
    """Apply the rules that follow a rank-wide command: to the rank and everything below it."""
    k = 0
    for i in range(t["rule_start"][command, RANK], t["rule_stop"][command, RANK]):
        after = clock + t["rule_gap"][k, i]
        s["rank_ready"][rank, t["rule_next"][i]] = max(s["rank_ready"][rank, t["rule_next"][i]], after)
    for i in range(t["rule_start"][command, GROUP], t["rule_stop"][command, GROUP]):
        after = clock + t["rule_gap"][k, i]
        for group in range(rank * t["groups_per_rank"], (rank + 1) * t["groups_per_rank"]):
            s["group_ready"][group, t["rule_next"][i]] = max(s["group_ready"][group, t["rule_next"][i]], after)
    for i in range(t["rule_start"][command, BANK], t["rule_stop"][command, BANK]):
        after = clock + t["rule_gap"][k, i]
        for bank in range(rank * t["banks_per_rank"], (rank + 1) * t["banks_per_rank"]):
            s["bank_ready"][bank, t["rule_next"][i]] = max(s["bank_ready"][bank, t["rule_next"][i]], after)
    for i in range(t["sibling_start"][command, RANK], t["sibling_stop"][command, RANK]):
        constrain_other_ranks(s, t, rank, t["rule_next"][i], clock + t["rule_gap"][k, i])
    if t["window_of"][command]:
        constrain_windows(s, t, rank, rank * t["groups_per_rank"], rank * t["banks_per_rank"], command, clock, k)


@jit
def constrain_other_ranks(s, t, rank, command, after):
    for other in range(t["ranks"]):
        if other != rank and s["rank_ready"][other, command] < after:
            s["rank_ready"][other, command] = after


@jit
def constrain_siblings(s, t, rank, group, bank, command, clock, k):
    """Rules between different nodes under one parent."""
    for i in range(t["sibling_start"][command, RANK], t["sibling_stop"][command, RANK]):
        constrain_other_ranks(s, t, rank, t["rule_next"][i], clock + t["rule_gap"][k, i])
    for i in range(t["sibling_start"][command, GROUP], t["sibling_stop"][command, GROUP]):
        for other in range(rank * t["groups_per_rank"], (rank + 1) * t["groups_per_rank"]):
            if other != group:
                s["group_ready"][other, t["rule_next"][i]] = max(s["group_ready"][other, t["rule_next"][i]], clock + t["rule_gap"][k, i])
    for i in range(t["sibling_start"][command, BANK], t["sibling_stop"][command, BANK]):
        for other in range(group * t["banks_per_group"], (group + 1) * t["banks_per_group"]):
            if other != bank:
                s["bank_ready"][other, t["rule_next"][i]] = max(s["bank_ready"][other, t["rule_next"][i]], clock + t["rule_gap"][k, i])


@jit
def constrain_windows(s, t, rank, group, bank, command, clock, k):
    """Rules that count from the n-th most recent command (tFAW): a ring of issue clocks per node."""
    for w in range(t["windows"]):
        if t["window_after"][w] == command:
            level = t["window_level"][w]
            node = rank if level == RANK else (group if level == GROUP else bank)
            length = t["window_length"][w]
            at = s["history_at"][w, node]
            s["history"][w, node, at] = clock
            at += 1
            if at == length:
                at = 0
            s["history_at"][w, node] = at
            oldest = s["history"][w, node, at]  # the length-th most recent, this one included
            if oldest > 0:
                after = oldest + t["window_gap"][k, w]
                before = t["window_before"][w]
                if level == RANK:
                    s["rank_ready"][node, before] = max(s["rank_ready"][node, before], after)
                elif level == GROUP:
                    s["group_ready"][node, before] = max(s["group_ready"][node, before], after)
                else:
                    s["bank_ready"][node, before] = max(s["bank_ready"][node, before], after)
