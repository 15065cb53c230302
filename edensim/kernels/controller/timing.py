"""Timing constraints: when a command is legal, and what an issued command does to later ones."""

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.kernels.controller.limits import (
    BANK,
    BASES,
    GROUP,
    MAX_BANKS,
    MAX_CLASSES,
    MAX_RULES,
    MAX_WINDOWS,
    RANK,
    RANK_BASE,
)
from edensim.vocabulary import COMMANDS

#: What never changes during a run: the organization, the timing rules and the policies. Gaps and
#: other cycles that an operating point decides are given for each timing class.
TIMING = register(
    "TIMING",
    np.dtype(
        [
            ("banks", np.int64),
            ("ranks", np.int64),
            ("banks_per_rank", np.int64),
            ("groups_per_rank", np.int64),
            ("banks_per_group", np.int64),
            # By level: nodes in a rank, and nodes under one parent.
            ("per_rank", np.int64, (3,)),
            ("siblings", np.int64, (3,)),
            ("rank_of", np.uint32, (MAX_BANKS,)),
            ("group_of", np.uint32, (MAX_BANKS,)),
            # A bank's rank, its bank group and itself, the first node under the parent of each, and
            # where the ready clocks of each begin.
            ("node_of", np.int64, (MAX_BANKS, 3)),
            ("first_sibling", np.int64, (MAX_BANKS, 3)),
            ("ready_index", np.uint32, (MAX_BANKS, 3)),
            # Rules with window 1 that follow command c have indices rule_start[c] to rule_stop[c].
            ("rule_start", np.uint32, (COMMANDS,)),
            ("rule_stop", np.uint32, (COMMANDS,)),
            ("rule_level", np.uint32, (MAX_RULES,)),
            ("rule_next", np.uint32, (MAX_RULES,)),
            ("rule_gap", np.int64, (MAX_CLASSES, MAX_RULES)),
            # The same for rules between different nodes under one parent.
            ("sibling_start", np.uint32, (COMMANDS,)),
            ("sibling_stop", np.uint32, (COMMANDS,)),
            # Rules with a longer window, such as tFAW.
            ("windows", np.int64),
            ("window_of", np.int64, (COMMANDS,)),  # 1 if a window rule follows this command
            ("window_after", np.uint32, (MAX_WINDOWS,)),
            ("window_before", np.uint32, (MAX_WINDOWS,)),
            ("window_level", np.int64, (MAX_WINDOWS,)),
            ("window_length", np.int64, (MAX_WINDOWS,)),
            ("window_gap", np.int64, (MAX_CLASSES, MAX_WINDOWS)),
            # 1 if rules below the rank constrain this rank-wide command.
            ("deep_before", np.int64, (COMMANDS,)),
            ("read_latency", np.int64),
            ("nREFI", np.int64, (MAX_CLASSES,)),
            # When an auto-precharge closes the row: cycles after ACT, RDA and WRA.
            ("close_after_act", np.int64, (MAX_CLASSES,)),
            ("close_after_read", np.int64, (MAX_CLASSES,)),
            ("close_after_write", np.int64, (MAX_CLASSES,)),
            ("scheduler", np.int64),
            ("row_policy", np.int64),
            ("row_cap", np.int64),
            ("refresh", np.int64),
            ("queue_size", np.int64, (2,)),
            ("write_high", np.int64),
            ("write_low", np.int64),
            ("column_command", np.uint32, (2,)),
            # Low-power states of idle ranks: 1 if there are any; idle cycles until power-down and
            # until self-refresh (NEVER if there is none); cycles to leave each; cycles after a
            # command until its rank has nothing left to do.
            ("power_down", np.int64),
            ("power_down_idle_cycles", np.int64),
            ("power_down_exit_cycles", np.int64),
            ("self_refresh_idle_cycles", np.int64),
            ("self_refresh_exit_cycles", np.int64),
            ("quiet_after", np.int64, (COMMANDS,)),
        ],
        align=True,
    ),
)


@jit(forceinline=True)
def legal_at(channel, timing, bank, command):
    """Return the earliest clock at which a bank's command is legal."""
    at = max(
        channel["ready"][timing["ready_index"][bank, RANK] + command],
        channel["ready"][timing["ready_index"][bank, GROUP] + command],
    )
    return max(at, channel["ready"][timing["ready_index"][bank, BANK] + command])


@jit
def cycles_until_legal(channel, timing, bank, command, clock):
    """Return the cycles until a bank's command is legal, 0 if it is.

    The code has no branch, because which bank is ready cannot be predicted.
    """
    wait = legal_at(channel, timing, bank, command) - clock
    return wait & ~(wait >> 63)


@jit
def rank_legal_at(channel, timing, rank, command):
    """Return the earliest clock at which a rank-wide command is legal."""
    at = channel["ready"][RANK_BASE + rank * COMMANDS + command]
    if timing["deep_before"][command]:
        for level in range(GROUP, BANK + 1):
            nodes = timing["per_rank"][level]
            for node in range(rank * nodes, (rank + 1) * nodes):
                at = max(at, channel["ready"][BASES[level] + node * COMMANDS + command])
    return at


@jit
def rank_quiet_at(channel, timing, rank, command):
    """Return the earliest clock at which a bank command is legal on every bank of a rank."""
    at = 0
    for bank in range(rank * timing["banks_per_rank"], (rank + 1) * timing["banks_per_rank"]):
        at = max(at, legal_at(channel, timing, bank, command))
    return at


@jit(forceinline=True)
def delay_until(channel, node, clock):
    """Forbid a node's command before `clock`."""
    channel["ready"][node] = max(channel["ready"][node], clock)


@jit(forceinline=True)
def constrain_bank(channel, timing, bank, command, clock):
    """Apply the rules that follow a command to one bank."""
    timing_class = channel["bank_class"][bank]
    for i in range(timing["rule_start"][command], timing["rule_stop"][command]):
        delay_until(
            channel,
            timing["ready_index"][bank, timing["rule_level"][i]] + timing["rule_next"][i],
            clock + timing["rule_gap"][timing_class, i],
        )
    if timing["sibling_start"][command] < timing["sibling_stop"][command]:
        constrain_siblings(channel, timing, bank, command, clock, timing_class)
    if timing["window_of"][command]:
        constrain_windows(channel, timing, bank, command, clock, timing_class)


@jit
def constrain_rank(channel, timing, rank, command, clock):
    """Apply the rules that follow a rank-wide command to the rank and everything below it."""
    timing_class = channel["module_class"]
    for i in range(timing["rule_start"][command], timing["rule_stop"][command]):
        level = timing["rule_level"][i]
        nodes = timing["per_rank"][level]
        for node in range(rank * nodes, (rank + 1) * nodes):
            delay_until(
                channel,
                BASES[level] + node * COMMANDS + timing["rule_next"][i],
                clock + timing["rule_gap"][timing_class, i],
            )
    first = rank * timing["banks_per_rank"]
    constrain_siblings(channel, timing, first, command, clock, timing_class)
    if timing["window_of"][command]:
        constrain_windows(channel, timing, first, command, clock, timing_class)


@jit
def constrain_siblings(channel, timing, bank, command, clock, timing_class):
    """Apply the rules between different nodes under one parent.

    A rank-wide command has no such rules below the rank.
    """
    for i in range(timing["sibling_start"][command], timing["sibling_stop"][command]):
        level = timing["rule_level"][i]
        itself = timing["node_of"][bank, level]
        first = timing["first_sibling"][bank, level]
        for node in range(first, first + timing["siblings"][level]):
            if node != itself:
                delay_until(
                    channel,
                    BASES[level] + node * COMMANDS + timing["rule_next"][i],
                    clock + timing["rule_gap"][timing_class, i],
                )


@jit
def constrain_windows(channel, timing, bank, command, clock, timing_class):
    """Apply the rules that count from the n-th most recent command, such as tFAW.

    Each node keeps a ring of the clocks at which its latest commands issued.
    """
    for window in range(timing["windows"]):
        if timing["window_after"][window] != command:
            continue
        level = timing["window_level"][window]
        node = timing["node_of"][bank, level]
        history = channel["history"][window, node]
        at = channel["history_at"][window, node]
        history[at] = clock
        at += 1
        if at == timing["window_length"][window]:
            at = 0
        channel["history_at"][window, node] = at
        oldest = history[at]  # the window-th most recent, this one included
        if oldest > 0:
            delay_until(
                channel,
                timing["ready_index"][bank, level] + timing["window_before"][window],
                oldest + timing["window_gap"][timing_class, window],
            )
