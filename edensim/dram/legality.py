"""Whether a command list keeps a configuration's timings: of module, partitions and rows, through changes of operating point."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edensim.config.models import DramConfig
from edensim.dram.command_epochs import epoch_clocks
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.dram.protocol import GapsOf, Violation, check_commands
from edensim.dram.standard import Standard


def check_configured(
    commands: NDArray[np.void], dram: DramConfig, *, channels: int | None = None
) -> tuple[Standard, Violation | None]:
    """The standard of a configuration, and the first violation in a command list (COMMAND records), None if there is none.

    channels: None is as many as the commands name. Changes take effect as `edensim.dram.command_epochs` says. Raises ConfigError, TraceError.
    """
    if not dram.partitions and not dram.changes:
        standard, _ = resolve_operating_plan(dram)
        return standard, check_commands(commands, standard, channels=channels)
    channels = channels or int(commands["channel"].max(initial=0)) + 1
    standard, plan = resolve_operating_plan(msgspec.structs.replace(dram, channels=channels))
    gaps_of = plan_gaps(standard, plan, epoch_clocks(commands, standard, plan))
    return standard, check_commands(commands, standard, channels=channels, gaps_of=gaps_of)


def plan_gaps(standard: Standard, plan: OperatingPlan, begins: Sequence[int] = ()) -> GapsOf:
    """Gaps of rows under a plan whose stages but the first begin at the clocks `begins`."""
    gaps = [standard.gaps_with(point.timings) for point in plan.points]
    of_bank: list[list[list[int]]] = [
        plan.bank_point_at(stage).tolist() for stage in range(len(begins) + 1)
    ]
    ranges = {
        (channel, bank): [
            rows for rows in plan.ranges if (rows.channel, rows.bank) == (channel, bank)
        ]
        for channel, bank in _divided(plan)
    }

    def gaps_of(clock: int, channel: int, bank: int, row: int) -> Sequence[int]:
        stage = bisect_right(begins, clock)
        if bank < 0:
            return gaps[plan.module_point(stage)]
        for rows in ranges.get((channel, bank), ()):
            if rows.first <= row <= rows.last:
                return gaps[plan.partitions[rows.partition].point]
        return gaps[of_bank[stage][channel][bank]]

    return gaps_of


def _divided(plan: OperatingPlan) -> set[tuple[int, int]]:
    return {(rows.channel, rows.bank) for rows in plan.ranges}
