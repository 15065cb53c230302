"""(standard, controller, timing classes) to the TIMING record of the compiled core.

Constraints that no command of this controller can meet are left out, channel rules become rank rules (own rank and the others), bank-group rules
of a standard without bank groups become rank rules, and of several rules for the same pair the longest gap stays: the loop does the least that the
standard asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.kernels.controller import state
from edensim.vocabulary import (
    COLUMN_COMMANDS,
    COMMANDS,
    RANK_COMMANDS,
    Command,
    Level,
    Refresh,
    RowPolicy,
    Scheduler,
    cycles_from_ns,
)

SCHEDULERS: Mapping[str, Scheduler] = {
    "frfcfs": Scheduler.FRFCFS,
    "frfcfs-row-hit": Scheduler.FRFCFS_ROW_HIT,
    "fcfs": Scheduler.FCFS,
}
ROW_POLICIES: Mapping[str, RowPolicy] = {
    "open": RowPolicy.OPEN,
    "closed": RowPolicy.CLOSED,
    "capped": RowPolicy.CAPPED,
}
REFRESHES: Mapping[str, Refresh] = {
    "all-bank": Refresh.ALL_BANK,
    "per-bank": Refresh.PER_BANK,
    "none": Refresh.NONE,
}

#: (after, level, before, window, sibling) -> gap per timing class.
Rules = dict[tuple[Command, int, Command, int, bool], list[int]]


def issuable(controller: ControllerConfig) -> frozenset[Command]:
    """Commands this controller can ever issue."""
    commands = {Command.ACT, Command.PREpb}
    if controller.row_policy != "closed":
        commands |= {Command.RD, Command.WR}
    if controller.row_policy != "open":
        commands |= {Command.RDA, Command.WRA}
    if controller.refresh == "all-bank":
        commands |= {Command.PREab, Command.REFab}
    if controller.refresh == "per-bank":
        commands |= {Command.REFpb}
    return frozenset(commands)


def timing_record(
    standard: Standard,
    controller: ControllerConfig,
    classes: Sequence[Mapping[str, int]] | None = None,
    *,
    halts: bool = False,
) -> NDArray[np.void]:
    """The TIMING record, as an array of one.

    classes: cycles by name of each timing class (an operating point's); by default one class, the standard's own timings.
    halts: the run changes its operating point, which closes all banks.

    Raises ConfigError when the standard exceeds what the core holds, or lacks a command that the controller needs.
    """
    classes = classes or (standard.timings,)
    organization = standard.organization
    check_capacity(standard, controller, len(classes))
    check_self_refresh(standard, controller, classes)
    record = np.zeros(1, state.TIMING)
    t = record[0]
    t["banks"], t["ranks"] = organization.banks_per_channel, organization.ranks
    t["groups"] = organization.ranks * organization.bankgroups
    t["banks_per_rank"], t["groups_per_rank"], t["banks_per_group"] = (
        organization.banks_per_rank,
        organization.bankgroups,
        organization.banks,
    )
    banks = np.arange(organization.banks_per_channel)
    t["rank_of"][: len(banks)] = banks // organization.banks_per_rank
    t["group_of"][: len(banks)] = banks // organization.banks
    t["ready_at"][: len(banks), state.RANK] = (
        state.RANK_BASE + t["rank_of"][: len(banks)] * COMMANDS
    )
    t["ready_at"][: len(banks), state.GROUP] = (
        state.GROUP_BASE + t["group_of"][: len(banks)] * COMMANDS
    )
    t["ready_at"][: len(banks), state.BANK] = state.BANK_BASE + banks * COMMANDS
    commands = issuable(controller) | ({Command.PREab} if halts else set())
    fill_rules(
        t, merged_rules(standard, commands, [standard.gaps_with(timings) for timings in classes])
    )
    fill_controller(t, standard, controller)
    for index, timings in enumerate(classes):
        fill_class(t, index, timings, standard, controller)
    return record


def check_capacity(standard: Standard, controller: ControllerConfig, classes: int) -> None:
    organization = standard.organization
    limits = {
        "ranks": (organization.ranks, state.MAX_RANKS),
        "bank groups": (organization.ranks * organization.bankgroups, state.MAX_GROUPS),
        "banks": (organization.banks_per_channel, state.MAX_BANKS),
        "timing classes": (classes, state.MAX_CLASSES),
    }
    for what, (found, limit) in limits.items():
        if found > limit:
            raise ConfigError(
                f"{standard.name}: {found} {what} per channel; at most {limit} can be simulated"
            )
    needed = issuable(controller)
    if controller.refresh == "per-bank" and Command.REFpb not in standard.commands:
        raise ConfigError(
            f"controller.refresh: {standard.name} has no per-bank refresh (REFpb); use all-bank or none"
        )
    for command in needed - {Command.REFpb}:
        if command not in standard.commands:
            policies = f"row policy {controller.row_policy!r} and refresh {controller.refresh!r}"
            raise ConfigError(
                f"{standard.name} lacks the command {command.name}, which {policies} need"
            )


def merged_rules(
    standard: Standard, commands: frozenset[Command], class_gaps: Sequence[Sequence[int]]
) -> Rules:
    """Constraints as rules between single commands at rank, bank-group or bank level."""
    organization = standard.organization
    rules: Rules = {}

    def add(
        after: Command, level: int, before: Command, window: int, sibling: bool, gaps: list[int]
    ) -> None:
        if sibling and level == state.RANK and organization.ranks == 1:
            return
        if level == state.GROUP and organization.bankgroups == 1:
            if sibling:
                return
            level = state.RANK
        key = (after, level, before, window, sibling)
        rules[key] = [max(pair) for pair in zip(gaps, rules.get(key, gaps), strict=True)]

    for index, constraint in enumerate(standard.constraints):
        gaps = [class_[index] for class_ in class_gaps]
        for after in commands.intersection(constraint.after):
            for before in commands.intersection(constraint.before):
                if constraint.level == Level.CHANNEL:
                    if constraint.window != 1:
                        raise ConfigError(
                            f"{standard.name}: a channel constraint with a window of {constraint.window} cannot be simulated; state it per rank"
                        )
                    add(after, state.RANK, before, 1, False, gaps)
                    add(after, state.RANK, before, 1, True, gaps)
                else:
                    add(
                        after,
                        int(constraint.level) - 1,
                        before,
                        constraint.window,
                        constraint.sibling,
                        gaps,
                    )
    # One command per channel and clock: a gap of 1 holds by itself.
    return {key: gaps for key, gaps in rules.items() if max(gaps) > 1}


def longest_of_columns(rules: Rules) -> int:
    """Most rules that follow any one column command on its own nodes."""
    lengths = [
        sum(key[0] == command and key[3] == 1 and not key[4] for key in rules)
        for command in COLUMN_COMMANDS
    ]
    return max(lengths)


def fill_rules(t: Any, rules: Rules) -> None:
    """Write rules into the record, grouped by command; then the same for rules between siblings."""
    at = 0
    for sibling, start, stop in (
        (False, t["rule_start"], t["rule_stop"]),
        (True, t["sibling_start"], t["sibling_stop"]),
    ):
        for command in Command:
            start[command] = at
            for (after, level, before, window, rule_sibling), gaps in rules.items():
                if (after, window, rule_sibling) == (command, 1, sibling):
                    if at == state.MAX_RULES:
                        raise ConfigError(f"more than {state.MAX_RULES} timing rules")
                    t["rule_level"][at], t["rule_next"][at] = level, before
                    t["rule_gap"][: len(gaps), at] = gaps
                    at += 1
            # As many rules for reads as for writes: a loop whose length changes from command to command is mispredicted. A gap of 0 asks for nothing.
            while (
                command in COLUMN_COMMANDS
                and not sibling
                and at - start[command] < longest_of_columns(rules)
            ):
                t["rule_level"][at], t["rule_next"][at] = state.RANK, command
                at += 1
            stop[command] = at
    windows = [(key, gaps) for key, gaps in rules.items() if key[3] > 1]
    if len(windows) > state.MAX_WINDOWS or any(key[3] > state.MAX_HISTORY for key, _ in windows):
        raise ConfigError(
            f"at most {state.MAX_WINDOWS} window rules of at most {state.MAX_HISTORY} commands can be simulated"
        )
    t["windows"] = len(windows)
    for index, ((after, level, before, window, _), gaps) in enumerate(windows):
        t["window_of"][after] = 1
        (
            t["window_after"][index],
            t["window_before"][index],
            t["window_level"][index],
            t["window_length"][index],
        ) = after, before, level, window
        t["window_gap"][: len(gaps), index] = gaps
    for _, level, before, _, _ in rules:
        if before in RANK_COMMANDS and level != state.RANK:
            t["deep_before"][before] = 1


def fill_controller(t: Any, standard: Standard, controller: ControllerConfig) -> None:
    """Write scheduling parameters into the record."""
    t["read_latency"] = standard.read_latency
    t["scheduler"], t["row_policy"] = (
        SCHEDULERS[controller.scheduler],
        ROW_POLICIES[controller.row_policy],
    )
    t["row_cap"], t["refresh"] = controller.row_cap, REFRESHES[controller.refresh]
    t["queue_size"] = controller.read_queue, controller.write_queue
    t["write_high"] = math.floor(controller.write_high_watermark * controller.write_queue)
    t["write_low"] = max(
        1, math.ceil(controller.write_low_watermark * controller.write_queue)
    )  # an empty write queue has nothing to drain
    if controller.write_low_watermark > controller.write_high_watermark:
        low, high = f"{controller.write_low_watermark:g}", f"{controller.write_high_watermark:g}"
        raise ConfigError(
            f"controller.write_low_watermark: {low} is above controller.write_high_watermark ({high})"
        )
    powers_down, self_idle_cycles = (
        controller.power_down != "none",
        controller.self_refresh_idle_cycles,
    )
    t["power_down"] = powers_down or self_idle_cycles is not None
    t["idle_cycles"] = controller.power_down_idle_cycles if powers_down else state.NEVER
    t["exit_cycles"] = cycles_from_ns(controller.power_down_exit_ns, standard.tck_ps)
    t["self_idle_cycles"] = state.NEVER if self_idle_cycles is None else self_idle_cycles
    t["self_exit_cycles"] = self_refresh_exit_cycles(standard)
    for command in Command:
        t["quiet_after"][command] = quiet_after(standard, command)
    closed = controller.row_policy == "closed"
    t["column_command"] = (Command.RDA, Command.WRA) if closed else (Command.RD, Command.WR)


def self_refresh_exit_cycles(standard: Standard) -> int:
    """tXS: a refresh may be under way when a rank is told to leave self-refresh, so nRFC, and 10 ns (JEDEC DDR3, DDR4)."""
    return standard.timings["nRFC"] + cycles_from_ns(10.0, standard.tck_ps)


def check_self_refresh(
    standard: Standard, controller: ControllerConfig, classes: Sequence[Mapping[str, int]]
) -> None:
    """Refuse an idle time that is never reached, because a refresh comes before. Raises ConfigError."""
    idle_cycles = controller.self_refresh_idle_cycles
    if idle_cycles is None or controller.refresh == "none":
        return
    organization = standard.organization
    longest = max(
        timings["nREFI" if controller.refresh == "all-bank" else "nREFIpb"] for timings in classes
    )
    if (
        controller.refresh == "per-bank"
    ):  # a rank's turn lasts for its banks; then it is that of the other ranks
        longest *= organization.banks_per_channel - organization.banks_per_rank + 1
    if idle_cycles >= longest:
        raise ConfigError(
            f"controller.self_refresh_idle_cycles: expected less than {longest}, the cycles between two refreshes of a rank, found {idle_cycles}"
        )


def quiet_after(standard: Standard, command: Command) -> int:
    """Cycles after a command until its rank has nothing left to do: data, write recovery, precharge or refresh."""
    timings = standard.timings
    if command in (Command.RD, Command.RDA):
        return standard.read_latency
    if command in (Command.WR, Command.WRA):
        return standard.write_latency + timings["nWR"]
    if command == Command.REFab:
        return timings["nRFC"]
    return timings.get("nRFCpb", timings["nRFC"]) if command == Command.REFpb else timings["nRP"]


def fill_class(
    t: Any, index: int, timings: Mapping[str, int], standard: Standard, controller: ControllerConfig
) -> None:
    """Write what a timing class decides besides gaps: the refresh interval, and when an auto-precharge closes its row."""
    if controller.refresh != "none":
        interval, duration = (
            ("nREFI", "nRFC") if controller.refresh == "all-bank" else ("nREFIpb", "nRFCpb")
        )
        t["nREFI"][index] = timings[interval]
        busy = timings[duration] * (
            standard.organization.ranks if controller.refresh == "all-bank" else 1
        )
        if timings[interval] <= busy:
            found = f"{timings[interval]} cycles leave no time between refreshes, which take {busy}"
            raise ConfigError(f"dram.timings.{interval}: {found}; expected more")
    t["close_after_act"][index] = timings.get("nRAS", 0)
    t["close_after_read"][index] = timings.get("nRTP", 0)
    t["close_after_write"][index] = standard.write_latency + timings.get("nWR", 0)
