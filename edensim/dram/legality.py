"""Check a command list against a configuration: its partitions, and changes of operating point."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edensim.config.models import DramConfig
from edensim.dram.command_epochs import epoch_clocks
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.dram.protocol import GapsOf, Violation, check_commands
from edensim.dram.standard import Standard
from edensim.vocabulary import COMMAND


def check_configured(
    commands: NDArray[Any] | Iterable[NDArray[Any]],
    dram: DramConfig,
    *,
    channels: int | None = None,
) -> tuple[Standard, Violation | None]:
    """Find the first violation of a configuration's timings in a command list.

    Parameters
    ----------
    commands : ndarray of COMMAND, [commands], or iterable of such pieces in order
        The command list. Pieces are held in memory only for partitions and changes.
    dram : DramConfig
        The memory. Its changes take effect as `edensim.dram.command_epochs` says.
    channels : int, optional
        The number of channels; by default, as many as the commands name.

    Returns
    -------
    tuple of Standard and Violation or None
        The standard of the configuration, and the violation.

    Raises
    ------
    ConfigError, TraceError
        If the configuration cannot be resolved, or if commands address what it does not have.
    """
    if not dram.partitions and not dram.changes:
        standard, _ = resolve_operating_plan(dram)
        return standard, check_commands(commands, standard, channels=channels)
    if not isinstance(commands, np.ndarray):
        commands = np.concatenate([np.zeros(0, COMMAND), *commands])
    channels = channels or int(commands["channel"].max(initial=0)) + 1
    standard, plan = resolve_operating_plan(msgspec.structs.replace(dram, channels=channels))
    begins = epoch_clocks(commands, standard, plan)
    gaps_of = plan_gaps(standard, plan, begins)
    return standard, check_commands(
        commands, standard, channels=channels, gaps_of=gaps_of, change_clocks=begins
    )


def plan_gaps(standard: Standard, plan: OperatingPlan, begins: Sequence[int] = ()) -> GapsOf:
    """Return what finds the gaps of rows under a plan.

    The epochs of the plan but the first begin at the clocks `begins`.
    """
    gaps = [standard.gaps_with(point.timings) for point in plan.points]
    of_bank: list[list[list[int]]] = [
        plan.bank_point_at(epoch).tolist() for epoch in range(len(begins) + 1)
    ]
    ranges = {
        (channel, bank): [
            rows for rows in plan.ranges if (rows.channel, rows.bank) == (channel, bank)
        ]
        for channel, bank in _divided(plan)
    }

    def gaps_of(clock: int, channel: int, bank: int, row: int) -> Sequence[int]:
        epoch = bisect_right(begins, clock)
        if bank < 0:
            return gaps[plan.module_point(epoch)]
        for rows in ranges.get((channel, bank), ()):
            if rows.first <= row <= rows.last:
                return gaps[plan.partitions[rows.partition].point]
        return gaps[of_bank[epoch][channel][bank]]

    return gaps_of


def _divided(plan: OperatingPlan) -> set[tuple[int, int]]:
    return {(rows.channel, rows.bank) for rows in plan.ranges}
