"""Turn a standard, a controller and timing classes into the TIMING record of the kernels.

The loop does the least that the standard demands. Constraints that no command of this controller
can meet are left out. Channel rules become rank rules, for the own rank and for the others.
Bank-group rules of a standard without bank groups become rank rules. Of several rules for the same
pair of commands the longest gap stays.
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
from edensim.kernels.controller import limits
from edensim.kernels.controller.timing import TIMING
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

#: (after, level, before, window, sibling) -> gap of each timing class.
Rules = dict[tuple[Command, int, Command, int, bool], list[int]]


def issuable(controller: ControllerConfig) -> frozenset[Command]:
    """Return the commands that this controller can ever issue."""
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
    """Return the TIMING record, as an array of one.

    Parameters
    ----------
    standard, controller
        What the timings and the policies come from.
    classes
        Cycles by name of each timing class, which belongs to an operating point; by default one
        class, with the standard's own timings.
    halts
        Whether the run changes its operating point, which closes all banks.

    Raises
    ------
    ConfigError
        If the standard exceeds what the kernels hold, or lacks a command that the controller needs.
    """
    classes = classes or (standard.timings,)
    organization = standard.organization
    check_capacity(standard, controller, len(classes))
    check_self_refresh(standard, controller, classes)
    record = np.zeros(1, TIMING)
    timing = record[0]
    timing["banks"], timing["ranks"] = organization.banks_per_channel, organization.ranks
    timing["banks_per_rank"] = organization.banks_per_rank
    timing["groups_per_rank"] = organization.bankgroups
    timing["banks_per_group"] = organization.banks
    timing["per_rank"] = 1, organization.bankgroups, organization.banks_per_rank
    timing["siblings"] = organization.ranks, organization.bankgroups, organization.banks
    banks = np.arange(organization.banks_per_channel)
    nodes = np.stack(
        [banks // organization.banks_per_rank, banks // organization.banks, banks], axis=1
    )
    timing["node_of"][: len(banks)] = nodes
    timing["first_sibling"][: len(banks)] = nodes // timing["siblings"] * timing["siblings"]
    timing["rank_of"][: len(banks)], timing["group_of"][: len(banks)] = nodes[:, 0], nodes[:, 1]
    timing["ready_index"][: len(banks)] = np.array(limits.BASES) + nodes * COMMANDS
    commands = issuable(controller) | ({Command.PREab} if halts else set())
    fill_rules(
        timing,
        merged_rules(standard, commands, [standard.gaps_with(timings) for timings in classes]),
    )
    fill_controller(timing, standard, controller)
    for index, timings in enumerate(classes):
        fill_class(timing, index, timings, standard, controller)
    return record


def check_capacity(standard: Standard, controller: ControllerConfig, classes: int) -> None:
    """Refuse what the kernels have no room for, or no commands. Raises ConfigError."""
    organization = standard.organization
    capacities = {
        "ranks": (organization.ranks, limits.MAX_RANKS),
        "bank groups": (organization.ranks * organization.bankgroups, limits.MAX_GROUPS),
        "banks": (organization.banks_per_channel, limits.MAX_BANKS),
        "timing classes": (classes, limits.MAX_CLASSES),
    }
    for what, (number, limit) in capacities.items():
        if number > limit:
            raise ConfigError(
                f"{standard.name}: {number} {what} per channel; at most {limit} can be simulated"
            )
    if controller.refresh == "per-bank" and Command.REFpb not in standard.commands:
        raise ConfigError(
            f"controller.refresh: {standard.name} has no per-bank refresh (REFpb); use all-bank or "
            "none"
        )
    for command in issuable(controller) - {Command.REFpb}:
        if command not in standard.commands:
            policies = f"row policy {controller.row_policy!r} and refresh {controller.refresh!r}"
            raise ConfigError(
                f"{standard.name} lacks the command {command.name}, which {policies} need"
            )


def merged_rules(
    standard: Standard, commands: frozenset[Command], class_gaps: Sequence[Sequence[int]]
) -> Rules:
    """Turn constraints into rules between single commands at rank, bank-group or bank level."""
    organization = standard.organization
    rules: Rules = {}

    def add(
        after: Command, level: int, before: Command, window: int, sibling: bool, gaps: list[int]
    ) -> None:
        if sibling and level == limits.RANK and organization.ranks == 1:
            return
        if level == limits.GROUP and organization.bankgroups == 1:
            if sibling:
                return
            level = limits.RANK
        key = (after, level, before, window, sibling)
        rules[key] = [max(pair) for pair in zip(gaps, rules.get(key, gaps), strict=True)]

    for index, constraint in enumerate(standard.constraints):
        gaps = [class_[index] for class_ in class_gaps]
        for after in commands.intersection(constraint.after):
            for before in commands.intersection(constraint.before):
                if constraint.level == Level.CHANNEL:
                    if constraint.window != 1:
                        raise ConfigError(
                            f"{standard.name}: a channel constraint with a window of "
                            f"{constraint.window} cannot be simulated; state it per rank"
                        )
                    add(after, limits.RANK, before, 1, False, gaps)
                    add(after, limits.RANK, before, 1, True, gaps)
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
    """Return the most rules that follow any one column command on its own nodes."""
    lengths = [
        sum(key[0] == command and key[3] == 1 and not key[4] for key in rules)
        for command in COLUMN_COMMANDS
    ]
    return max(lengths)


def fill_rules(timing: Any, rules: Rules) -> None:
    """Write rules into the record, grouped by command; then the same for rules between siblings."""
    at = 0
    for sibling, start, stop in (
        (False, timing["rule_start"], timing["rule_stop"]),
        (True, timing["sibling_start"], timing["sibling_stop"]),
    ):
        for command in Command:
            start[command] = at
            for (after, level, before, window, rule_sibling), gaps in rules.items():
                if (after, window, rule_sibling) == (command, 1, sibling):
                    if at == limits.MAX_RULES:
                        raise ConfigError(f"more than {limits.MAX_RULES} timing rules")
                    timing["rule_level"][at], timing["rule_next"][at] = level, before
                    timing["rule_gap"][: len(gaps), at] = gaps
                    at += 1
            # Reads and writes get equally many rules, because the processor mispredicts a loop
            # whose length changes from command to command. A gap of 0 demands nothing.
            while (
                command in COLUMN_COMMANDS
                and not sibling
                and at - start[command] < longest_of_columns(rules)
            ):
                timing["rule_level"][at], timing["rule_next"][at] = limits.RANK, command
                at += 1
            stop[command] = at
    windows = [(key, gaps) for key, gaps in rules.items() if key[3] > 1]
    if len(windows) > limits.MAX_WINDOWS or any(key[3] > limits.MAX_HISTORY for key, _ in windows):
        raise ConfigError(
            f"at most {limits.MAX_WINDOWS} window rules of at most {limits.MAX_HISTORY} commands "
            "can be simulated"
        )
    timing["windows"] = len(windows)
    for index, ((after, level, before, window, _), gaps) in enumerate(windows):
        timing["window_of"][after] = 1
        timing["window_after"][index], timing["window_before"][index] = after, before
        timing["window_level"][index], timing["window_length"][index] = level, window
        timing["window_gap"][: len(gaps), index] = gaps
    for _, level, before, _, _ in rules:
        if before in RANK_COMMANDS and level != limits.RANK:
            timing["deep_before"][before] = 1


def fill_controller(timing: Any, standard: Standard, controller: ControllerConfig) -> None:
    """Write the policies of the controller into the record."""
    timing["read_latency"] = standard.read_latency
    timing["scheduler"] = SCHEDULERS[controller.scheduler]
    timing["row_policy"] = ROW_POLICIES[controller.row_policy]
    timing["row_cap"], timing["refresh"] = controller.row_cap, REFRESHES[controller.refresh]
    timing["queue_size"] = controller.read_queue, controller.write_queue
    timing["write_high"] = math.floor(controller.write_high_watermark * controller.write_queue)
    # An empty write queue has nothing to drain.
    write_low = math.ceil(controller.write_low_watermark * controller.write_queue)
    timing["write_low"] = max(1, write_low)
    if controller.write_low_watermark > controller.write_high_watermark:
        low, high = f"{controller.write_low_watermark:g}", f"{controller.write_high_watermark:g}"
        raise ConfigError(
            f"controller.write_low_watermark: {low} is above controller.write_high_watermark "
            f"({high})"
        )
    powers_down = controller.power_down != "none"
    self_idle_cycles = controller.self_refresh_idle_cycles
    timing["power_down"] = powers_down or self_idle_cycles is not None
    timing["power_down_idle_cycles"] = (
        controller.power_down_idle_cycles if powers_down else limits.NEVER
    )
    timing["power_down_exit_cycles"] = cycles_from_ns(
        controller.power_down_exit_ns, standard.tck_ps
    )
    timing["self_refresh_idle_cycles"] = (
        limits.NEVER if self_idle_cycles is None else self_idle_cycles
    )
    timing["self_refresh_exit_cycles"] = self_refresh_exit_cycles(standard)
    for command in Command:
        timing["quiet_after"][command] = quiet_after(standard, command)
    closed = controller.row_policy == "closed"
    timing["column_command"] = (Command.RDA, Command.WRA) if closed else (Command.RD, Command.WR)


def self_refresh_exit_cycles(standard: Standard) -> int:
    """Return tXS, the cycles to leave self-refresh: nRFC and 10 ns (JEDEC DDR3, DDR4).

    A refresh may be under way when the rank is told to leave.
    """
    return standard.timings["nRFC"] + cycles_from_ns(10.0, standard.tck_ps)


def check_self_refresh(
    standard: Standard, controller: ControllerConfig, classes: Sequence[Mapping[str, int]]
) -> None:
    """Refuse an idle time that is never reached, because a refresh comes before it.

    Raises ConfigError.
    """
    idle_cycles = controller.self_refresh_idle_cycles
    if idle_cycles is None or controller.refresh == "none":
        return
    organization = standard.organization
    longest = max(
        timings["nREFI" if controller.refresh == "all-bank" else "nREFIpb"] for timings in classes
    )
    if controller.refresh == "per-bank":  # in between, all banks of the other ranks have their turn
        longest *= organization.banks_per_channel - organization.banks_per_rank + 1
    if idle_cycles >= longest:
        raise ConfigError(
            f"controller.self_refresh_idle_cycles: expected less than {longest}, the cycles "
            f"between two refreshes of a rank, found {idle_cycles}"
        )


def quiet_after(standard: Standard, command: Command) -> int:
    """Return the cycles after a command until its rank has nothing left to do.

    That is the time of the data, of write recovery, of the precharge or of the refresh.
    """
    timings = standard.timings
    if command in (Command.RD, Command.RDA):
        return standard.read_latency
    if command in (Command.WR, Command.WRA):
        return standard.write_latency + timings["nWR"]
    if command == Command.REFab:
        return timings["nRFC"]
    return timings.get("nRFCpb", timings["nRFC"]) if command == Command.REFpb else timings["nRP"]


def fill_class(
    timing: Any,
    index: int,
    timings: Mapping[str, int],
    standard: Standard,
    controller: ControllerConfig,
) -> None:
    """Write what a timing class decides besides gaps.

    That is the refresh interval, and when an auto-precharge closes its row.
    """
    if controller.refresh != "none":
        interval, duration = (
            ("nREFI", "nRFC") if controller.refresh == "all-bank" else ("nREFIpb", "nRFCpb")
        )
        timing["nREFI"][index] = timings[interval]
        if timings[interval] <= timings[duration]:
            raise ConfigError(
                f"dram.timings.{interval}: expected more than {timings[duration]} cycles, which a "
                f"refresh takes, found {timings[interval]}"
            )
    timing["close_after_act"][index] = timings.get("nRAS", 0)
    timing["close_after_read"][index] = timings.get("nRTP", 0)
    timing["close_after_write"][index] = standard.write_latency + timings.get("nWR", 0)
