"""The compiled engine with its records: started, driven, halted for a change of operating point, and read out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.counts import Counts
from edensim.dram.memory_run import Epoch, Exposure, TensorCounts
from edensim.dram.memory_system import MemorySystem
from edensim.engine.records import (
    Records,
    channel_records,
    collect_counts,
    divide_banks,
    mapping_record,
    set_points,
)
from edensim.engine.timing_record import timing_record
from edensim.exceptions import ProtocolError
from edensim.kernels.controller import state
from edensim.vocabulary import COMMAND

#: Commands handed out at once.
COMMAND_CHUNK = 65_536


@dataclass(frozen=True)
class Listeners:
    """Who wants to know what: commands as they issue, requests consumed so far, the place of a request in its file."""

    commands: Callable[[Records], None] | None = None
    progress: Callable[[int], None] | None = None
    locate: Callable[[int], str] | None = None


class Engine:
    """One memory system in the middle of a run."""

    def __init__(
        self,
        memory: MemorySystem,
        controller: ControllerConfig,
        listeners: Listeners,
        *,
        keep_returns: bool = False,
        exposure_tensors: int | None = None,
    ) -> None:
        """exposure_tensors: count exposures, by bank and for so many tensors, and those tensors' commands; None: do not."""
        standard, plan, channels = memory.standard, memory.plan, memory.channels
        self.standard, self.controller, self.listeners, self.plan = (
            standard,
            controller,
            listeners,
            plan,
        )
        self.mapping = mapping_record(memory.address_map, standard)
        classes, class_of = plan.timing_classes
        self.class_of = np.array(class_of)
        self.changes = list(plan.changes)
        self.stage = 0
        self.timing = timing_record(standard, controller, classes, halts=bool(self.changes))
        self.channels = channel_records(channels, standard, self.timing, keep_returns)
        self.banks = standard.organization.banks_per_channel
        self.ranges = [plan.ranges_of(channel) for channel in range(channels)]
        self.cell_point = plan.cell_point_at(0).astype(np.int64)
        for channel, ranges in enumerate(self.ranges):
            divide_banks(self.channels[channel], ranges, self.banks)
            set_points(self.channels[channel], self.cell_point[channel], self.class_of, self.banks)
        self.loop = np.zeros(1, state.LOOP)
        self.loop["limit"] = state.FOREVER
        self.loop["tick"], self.loop["record"], self.loop["channels"] = (
            1,
            listeners.commands is not None,
            channels,
        )
        self.commands = np.zeros(COMMAND_CHUNK if listeners.commands else 0, COMMAND)
        tensors, points = exposure_tensors or 0, len(plan.points)
        self.loop["expose"], self.loop["tensors"] = exposure_tensors is not None, tensors
        self.loop["cells"], self.loop["points"] = self.cell_point.shape[1], points
        self._binned = (
            self.cell_point.size + tensors
        ) * state.EXPOSURE_BINS  # exposures, before the tensors' counters
        counters = (tensors + 1) * points * state.TENSOR_COUNTERS if tensors else 0
        self.exposures = np.zeros(
            self._binned + counters if exposure_tensors is not None else 0, np.int64
        )
        self.epochs: list[Epoch] = []
        self._started = (0, 0, 0)
        self._counted: Counts | None = None
        self._exposed = np.zeros_like(self.exposures)
        self._schedule_change()

    def drive(self, step: Callable[[], int]) -> int:
        """Call an entry of the core until it needs input or is done; hand out commands and change operating points on the way.

        Raises ProtocolError for states that must not be.
        """
        while True:
            status = step()
            count = int(self.loop[0]["recorded"])
            if self.listeners.commands is not None and count:
                self.listeners.commands(self.commands[:count].copy())
                self.loop["recorded"] = 0
            clock = int(self.loop[0]["tick"])
            if status == state.PRIORITY_OVERFLOW:
                raise ProtocolError(
                    f"more than {state.MAX_PRIORITY} refreshes wait at clock {clock}: the refresh interval leaves no time to do them"
                )
            if status == state.DEADLOCK:
                raise ProtocolError(
                    f"nothing can happen any more after clock {clock}, but requests wait: please report this run"
                )
            if status == state.HALTED:
                self._change_point(clock)
            elif status != state.COMMANDS_FULL:
                return status

    def counts(self, cycles: int | None = None) -> Counts:
        """Counts of the whole run; closes the last epoch.

        cycles: end of the run; by default when the last command has issued and the last read is back.
        """
        counts = self.snapshot(cycles)
        self._close_epoch(counts)
        return counts

    def exposure(self) -> Exposure | None:
        """Exposures counted so far; None where they were not asked for."""
        if not self.loop[0]["expose"]:
            return None
        by_tensor = self.exposures[
            self.cell_point.size * state.EXPOSURE_BINS : self._binned
        ].reshape(-1, state.EXPOSURE_BINS)
        by_cell = self._by_cell(self.exposures)
        by_bank = by_cell[:, : self.banks].copy()
        for channel, ranges in enumerate(self.ranges):
            np.add.at(
                by_bank[channel],
                [rows.bank for rows in ranges],
                by_cell[channel, self.banks : self.banks + len(ranges)],
            )
        return Exposure(by_bank, by_tensor.copy(), by_cell)

    def tensors(self) -> TensorCounts | None:
        """Commands of tensors so far; None where they were not asked for."""
        if not self.loop[0]["tensors"]:
            return None
        counters = self.exposures[self._binned :].reshape(
            int(self.loop[0]["tensors"]) + 1, -1, state.TENSOR_COUNTERS
        )
        activations = counters[:, :, state.TENSOR_ACTIVATIONS]
        closings = activations.copy()
        for channel in self.channels:
            still_open = np.flatnonzero(channel["banks"]["open_row"][: self.banks] >= 0)
            points = channel["cell_point"][channel["cell"][still_open]]
            np.subtract.at(closings, (channel["owner"][still_open], points), 1)
        return TensorCounts(
            counters[:, :, state.TENSOR_READS],
            counters[:, :, state.TENSOR_WRITES],
            activations,
            closings,
        )

    def snapshot(self, cycles: int | None = None) -> Counts:
        """Counts of the run so far. cycles: clock that they are taken at; by default when the last command has issued and the last read is back."""
        return collect_counts(self.channels, self.standard, self.controller, cycles, self.ranges)

    def _schedule_change(self) -> None:
        self.channels["halt_at"] = (
            max(self.changes[0].at_cycle, 1) if self.changes else state.FOREVER
        )
        self.channels["due"] = np.minimum(self.channels["due"], self.channels["halt_at"])

    def _close_epoch(self, counts: Counts) -> None:
        asked_at, halted_at, resumed_at = self._started
        own = counts if self._counted is None else counts.minus(self._counted)
        exposures = None
        if self.loop[0]["expose"]:
            exposures = self._by_cell(self.exposures - self._exposed)
            self._exposed = self.exposures.copy()
        self.epochs.append(Epoch(asked_at, halted_at, resumed_at, self.cell_point, own, exposures))
        self._counted = counts

    def _by_cell(self, exposures: NDArray[np.int64]) -> NDArray[np.int64]:
        return (
            exposures[: self.cell_point.size * state.EXPOSURE_BINS]
            .reshape(*self.cell_point.shape, -1)
            .copy()
        )

    def _change_point(self, clock: int) -> None:
        """Every bank is closed: switch the module, and banks outside partitions, to the next operating point; commands wait until it has settled."""
        change = self.changes.pop(0)
        self.stage += 1
        self._close_epoch(self.snapshot(clock))
        resumed_at = clock + change.settling_cycles
        self._started = (change.at_cycle, clock, resumed_at)
        self.cell_point = self.plan.cell_point_at(self.stage).astype(np.int64)
        for channel, cell_point in zip(self.channels, self.cell_point, strict=True):
            set_points(channel, cell_point, self.class_of, self.banks)
        self.channels["module_class"] = self.class_of[change.point]
        if self.timing[0][
            "refresh"
        ]:  # a shorter refresh interval begins now, a longer one after the refresh that is due
            interval = self.timing[0]["nREFI"][self.class_of[change.point]]
            self.channels["next_refresh"] = np.minimum(
                self.channels["next_refresh"], clock + interval
            )
        self.channels["ready"] = np.maximum(self.channels["ready"], resumed_at)
        for name in ("halted", "planned", "kept"):
            self.channels[name] = 0
        self.channels["due"] = clock
        self._schedule_change()
