"""What a run outside specification exposes: how soon after their row's activation reads came, and how many came too soon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.dram.operating_point import OperatingPlan
from edensim.memory import MemoryRun


@dataclass(frozen=True)
class ChangeMade:
    """A change of operating point as it happened: due, all banks closed, commands allowed again (memory clocks)."""

    asked_at: int
    halted_at: int
    resumed_at: int


def changes_made(memory: MemoryRun) -> list[ChangeMade]:
    """The changes that fell within the run."""
    return [ChangeMade(epoch.asked_at, epoch.halted_at, epoch.resumed_at) for epoch in memory.epochs[1:]]


def exposure_summary(memory: MemoryRun, plan: OperatingPlan) -> dict[str, Any]:
    """The `exposure` section of a result.

    counts: reads by ACT-to-RD interval in cycles, the last of `bins` bins for all longer ones. out_of_specification: reads that came sooner
    than the cells need at their bank's VDD (all of them where no timing is known to be enough). by_bank and by_tensor only where any bank
    runs outside specification.
    """
    if memory.exposure is None:
        return {}
    by_bank, by_tensor = memory.exposure.by_bank, memory.exposure.by_tensor
    too_soon = sum(reads_too_soon(epoch.exposures, epoch.bank_point, plan) for epoch in memory.epochs if epoch.exposures is not None)
    summary: dict[str, Any] = {
        "bin_cycles": 1,
        "bins": by_bank.shape[-1],
        "counts": trimmed(by_bank.sum(axis=(0, 1))),
        "reads": int(by_bank.sum()),
        "out_of_specification": int(too_soon),
    }
    if not plan.within_specification:
        channels, banks = by_bank.shape[:2]
        summary["by_bank"] = [[trimmed(by_bank[channel, bank]) for bank in range(banks)] for channel in range(channels)]
        summary["by_tensor"] = {str(tensor): trimmed(by_tensor[tensor]) for tensor in np.flatnonzero(by_tensor.sum(axis=1)).tolist()}
    return summary


def reads_too_soon(exposures: NDArray[np.int64], bank_point: NDArray[np.integer[Any]], plan: OperatingPlan) -> int:
    """Reads of [channels, banks, bins] that came sooner after ACT than their bank's cells need."""
    total = 0
    for point in sorted(set(bank_point.ravel().tolist())):
        reads = exposures[bank_point == point].sum(axis=0)
        needed = plan.points[int(point)].needed
        total += int(reads.sum() if needed is None else reads[: min(needed["nRCD"], len(reads) - 1)].sum())
    return total


def trimmed(counts: NDArray[np.int64]) -> list[int]:
    """Counts without the zeros at their end."""
    used = np.flatnonzero(counts)
    return counts[: used[-1] + 1].tolist() if len(used) else []
