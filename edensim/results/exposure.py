"""How soon after their row's activation reads came, and the commands of partitions and tensors.

A run outside specification exposes its reads to bit errors: those that came sooner than the cells
need are counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.dram.memory_run import MemoryRun
from edensim.dram.operating_point import OperatingPlan
from edensim.energy.partitions import MODULE
from edensim.energy.parts import cells_of
from edensim.vocabulary import NO_TENSOR, RANK_COMMANDS, Command


@dataclass(frozen=True)
class ChangeMade:
    """A change of operating point as it happened, in memory clocks.

    It was due at `asked_at`; all banks were closed at `halted_at`; commands could issue again from
    `resumed_at` on.
    """

    asked_at: int
    halted_at: int
    resumed_at: int


def changes_made(memory: MemoryRun) -> list[ChangeMade]:
    """Return the changes that happened within the run."""
    return [
        ChangeMade(epoch.asked_at, epoch.halted_at, epoch.resumed_at) for epoch in memory.epochs[1:]
    ]


def changes_not_made(memory: MemoryRun, plan: OperatingPlan) -> list[int]:
    """Return the numbers, from 0, of the changes that were due after the end of the run."""
    return list(range(len(changes_made(memory)), len(plan.changes)))


def exposure_summary(
    memory: MemoryRun, plan: OperatingPlan, tensor_names: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the `exposure` section of a result.

    `counts` are reads by ACT-to-RD interval in cycles; the last of `bins` bins has all longer ones.
    `out_of_specification` counts the reads that came sooner than the cells need at their row's VDD:
    all of them if no timing is known to be long enough. `by_tensor` exists if requests name tensors
    (by their name in `tensor_names`, else by number), `by_bank` and `by_partition` if any bank runs
    outside specification.
    """
    if memory.exposure is None:
        return {}
    by_bank, by_tensor = memory.exposure.by_bank, memory.exposure.by_tensor
    whole = np.ones(memory.exposure.by_cell.shape[:2], np.bool_)
    summary: dict[str, Any] = {
        "bin_cycles": 1,
        "bins": by_bank.shape[-1],
        "counts": trimmed(by_bank.sum(axis=(0, 1))),
        "reads": int(by_bank.sum()),
        "out_of_specification": reads_too_soon(memory, plan, whole),
    }
    if by_tensor.any():
        read = np.flatnonzero(by_tensor.sum(axis=1)).tolist()
        summary["by_tensor"] = {
            named(tensor, tensor_names): trimmed(by_tensor[tensor]) for tensor in read
        }
    if not plan.within_specification:
        channels, banks = by_bank.shape[:2]
        summary["by_bank"] = [
            [trimmed(by_bank[channel, bank]) for bank in range(banks)]
            for channel in range(channels)
        ]
        summary["by_partition"] = dict(_by_partition(memory, plan))
    return summary


def _by_partition(memory: MemoryRun, plan: OperatingPlan) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the reads of the module and of each partition, and those that came too soon."""
    assert memory.exposure is not None
    for number, name in enumerate(
        (MODULE, *(partition.name for partition in plan.partitions)), start=-1
    ):
        mask = plan.cell_partition == number
        if mask.any():
            counts = memory.exposure.by_cell[mask].sum(axis=0)
            yield (
                name,
                {
                    "counts": trimmed(counts),
                    "reads": int(counts.sum()),
                    "out_of_specification": reads_too_soon(memory, plan, mask),
                },
            )


def partition_commands(
    memory: MemoryRun, plan: OperatingPlan, rows: int
) -> dict[str, dict[str, int]]:
    """Return the commands to single banks by partition, `module` first; empty without partitions.

    Commands to a whole rank belong to all and are left out. A bank has `rows` rows.
    """
    if not plan.partitions:
        return {}
    commands = cells_of(memory.counts, plan, rows).commands
    parts = {}
    for number, name in enumerate(
        (MODULE, *(partition.name for partition in plan.partitions)), start=-1
    ):
        mask = plan.cell_partition == number
        if mask.any():
            numbers = commands[mask].sum(axis=0)
            parts[name] = {
                command.name: int(numbers[command])
                for command in Command
                if command not in RANK_COMMANDS
            }
    return parts


def named(tensor: int, names: Sequence[str]) -> str:
    """Return a tensor's name, or its number if it has none."""
    return names[tensor] if tensor < len(names) else str(tensor)


def tensor_commands(
    memory: MemoryRun, tensor_names: Sequence[str] = ()
) -> dict[str, dict[int, dict[str, int]]]:
    """Return the commands that each tensor caused, by operating point.

    The form is {tensor: {point: {"activations": n, "closings": n, "reads": n, "writes": n}}}. The
    requests that name no tensor come last.
    """
    if memory.tensors is None:
        return {}
    counts = memory.tensors
    kinds = {
        "activations": counts.activations,
        "closings": counts.closings,
        "reads": counts.reads,
        "writes": counts.writes,
    }
    busy = counts.activations + counts.reads + counts.writes
    tensors = np.flatnonzero(busy.any(axis=1)).tolist()
    if tensors == [len(busy) - 1]:  # no request named a tensor
        return {}
    return {
        NO_TENSOR if tensor == len(busy) - 1 else named(tensor, tensor_names): {
            point: {kind: int(values[tensor, point]) for kind, values in kinds.items()}
            for point in np.flatnonzero(busy[tensor]).tolist()
        }
        for tensor in tensors
    }


def total_commands(by_point: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
    """Add up a tensor's commands at all operating points."""
    return {
        kind: sum(numbers[kind] for numbers in by_point.values())
        for kind in ("activations", "closings", "reads", "writes")
    }


def reads_too_soon(memory: MemoryRun, plan: OperatingPlan, cells: NDArray[np.bool_]) -> int:
    """Count the reads of some cells, [channels, cells], that came sooner after ACT than needed."""
    return sum(
        _too_soon(epoch.exposures, epoch.cell_point, cells, plan)
        for epoch in memory.epochs
        if epoch.exposures is not None
    )


def _too_soon(
    exposures: NDArray[np.int64],
    cell_point: NDArray[np.int64],
    cells: NDArray[np.bool_],
    plan: OperatingPlan,
) -> int:
    total = 0
    for point in sorted(set(cell_point[cells].tolist())):
        reads = exposures[cells & (cell_point == point)].sum(axis=0)
        needed = plan.points[int(point)].needed
        total += int(
            reads.sum() if needed is None else reads[: min(needed["nRCD"], len(reads) - 1)].sum()
        )
    return total


def trimmed(counts: NDArray[np.int64]) -> list[int]:
    """Return counts without the zeros at their end."""
    used = np.flatnonzero(counts)
    return counts[: used[-1] + 1].tolist() if len(used) else []
