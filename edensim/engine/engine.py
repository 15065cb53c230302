"""The compiled engine with its records: started, driven, halted, and read out.

It halts for a change of operating point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.counts import Counts
from edensim.dram.memory_run import Epoch, Exposure, TensorCounts
from edensim.dram.memory_system import MemorySystem
from edensim.engine.monitor import Monitor
from edensim.engine.records import (
    channel_records,
    collect_counts,
    divide_banks,
    mapping_record,
    set_points,
)
from edensim.engine.timing_record import timing_record
from edensim.exceptions import ProtocolError
from edensim.kernels.controller import limits
from edensim.kernels.controller.memory import LOOP
from edensim.kernels.status import Status
from edensim.vocabulary import COMMAND

#: Commands handed out at once.
COMMAND_CHUNK = 65_536


class Engine:
    """One memory system in the middle of a run.

    Parameters
    ----------
    memory
        The memory system, with its operating plan and its address map.
    controller
        The controller of every channel.
    monitor
        What is reported and counted besides commands.
    keep_returns
        Whether the source wants to know when reads return.
    """

    def __init__(
        self,
        memory: MemorySystem,
        controller: ControllerConfig,
        monitor: Monitor,
        *,
        keep_returns: bool = False,
    ) -> None:
        memory.check_mapping(controller)
        standard, plan, channels = memory.standard, memory.plan, memory.channels
        self.standard, self.controller, self.plan = standard, controller, plan
        self.monitor = monitor
        self.mapping = mapping_record(memory.address_map, standard)
        classes, class_of = plan.timing_classes
        self.class_of = np.array(class_of)
        self.changes = list(plan.changes)
        self.timing = timing_record(standard, controller, classes, halts=bool(self.changes))
        self.channels = channel_records(channels, standard, self.timing, keep_returns)
        self.banks = standard.organization.banks_per_channel
        self.ranges = [plan.ranges_of(channel) for channel in range(channels)]
        for channel, ranges in zip(self.channels, self.ranges, strict=True):
            divide_banks(channel, ranges, self.banks)
        self.epochs: list[Epoch] = []
        self._set_points()
        counts_exposures = monitor.exposure_tensors is not None
        tensors, points = monitor.exposure_tensors or 0, len(plan.points)
        self.loop = np.zeros(1, LOOP)
        self.loop["clock"], self.loop["limit"] = 1, limits.FOREVER
        self.loop["last_clock"] = limits.LAST_CLOCK
        self.loop["record"], self.loop["channels"] = monitor.commands is not None, channels
        self.loop["expose"], self.loop["tensors"] = counts_exposures, tensors
        self.loop["cells"], self.loop["points"] = self.cell_point.shape[1], points
        self.commands = np.zeros(COMMAND_CHUNK if monitor.commands else 0, COMMAND)
        # Exposures of cells, then of tensors, then the counters of tensors.
        self._binned = (self.cell_point.size + tensors) * limits.EXPOSURE_BINS
        counters = (tensors + 1) * points * limits.TENSOR_COUNTERS if tensors else 0
        self.exposures = np.zeros(self._binned + counters if counts_exposures else 0, np.int64)
        self._started = (0, 0, 0)
        self._counted: Counts | None = None
        self._exposed = np.zeros_like(self.exposures)
        self._schedule_change()

    @property
    def clock(self) -> int:
        """Memory clock that the run has reached."""
        return int(self.loop[0]["clock"])

    def drive(self, entry: Callable[..., int], *source: Any) -> int:
        """Run an event loop until it needs input, has done a part of its work, or all of it.

        Issued commands are handed out and operating points are changed on the way.

        Parameters
        ----------
        entry
            The compiled entry of the source, which takes the memory's records first.
        source
            The source's own records.

        Returns
        -------
        Status
            Why the loop came back.

        Raises
        ------
        ProtocolError
            If the memory reaches a state that must not be.
        """
        memory = (self.channels, self.timing, self.loop, self.mapping)
        while True:
            status = entry(*memory, self.commands, self.exposures, *source)
            count = int(self.loop[0]["recorded"])
            if self.monitor.commands is not None and count:
                self.monitor.commands(self.commands[:count].copy())
                self.loop["recorded"] = 0
            if status == Status.MAINTENANCE_OVERFLOW:
                raise ProtocolError(
                    f"more than {limits.MAX_MAINTENANCE} refreshes wait at clock {self.clock}: the "
                    "refresh interval leaves no time to do them"
                )
            if status == Status.DEADLOCK:
                raise ProtocolError(
                    f"nothing can happen any more after clock {self.clock}, but requests wait: "
                    "please report this run"
                )
            if status == Status.TOO_LONG:
                raise ProtocolError(
                    f"the run goes beyond memory clock {int(self.loop[0]['last_clock']):,}, the "
                    "last that can be simulated; expected a shorter run, or a machine's clock that "
                    "is a simpler multiple of the memory clock"
                )
            if status == Status.HALTED:
                self._change_point(self.clock)
            elif status not in (Status.OUTPUT_FULL, Status.PAUSED):
                return status

    def counts(self, cycles: int | None = None) -> Counts:
        """Return the counts of the whole run, and close the last epoch.

        The run ends at `cycles`; by default when the last command has issued and the last read is
        back.
        """
        counts = self.counts_so_far(cycles)
        self._close_epoch(counts)
        return counts

    def exposure(self) -> Exposure | None:
        """Return the exposures counted so far; None if they are not counted."""
        if not self.loop[0]["expose"]:
            return None
        first = self.cell_point.size * limits.EXPOSURE_BINS
        by_tensor = self.exposures[first : self._binned].reshape(-1, limits.EXPOSURE_BINS)
        by_cell = self._by_cell(self.exposures)
        by_bank = by_cell[:, : self.banks].copy()
        for channel, ranges in enumerate(self.ranges):
            owners = [rows.bank for rows in ranges]
            of_ranges = by_cell[channel, self.banks : self.banks + len(ranges)]
            np.add.at(by_bank[channel], owners, of_ranges)
        return Exposure(by_bank, by_tensor.copy(), by_cell)

    def tensors(self) -> TensorCounts | None:
        """Return the commands of tensors so far; None if they are not counted."""
        tensors = int(self.loop[0]["tensors"])
        if not tensors:
            return None
        counters = self.exposures[self._binned :].reshape(tensors + 1, -1, limits.TENSOR_COUNTERS)
        activations = counters[:, :, limits.TENSOR_ACTIVATIONS]
        closings = activations.copy()
        for channel in self.channels:
            still_open = np.flatnonzero(channel["banks"]["open_row"][: self.banks] >= 0)
            points = channel["cell_point"][channel["cell"][still_open]]
            np.subtract.at(closings, (channel["owner"][still_open], points), 1)
        return TensorCounts(
            counters[:, :, limits.TENSOR_READS],
            counters[:, :, limits.TENSOR_WRITES],
            activations,
            closings,
        )

    def counts_so_far(self, cycles: int | None = None) -> Counts:
        """Return the counts of the run up to a clock, whose default is that of `counts`."""
        return collect_counts(self.channels, self.standard, self.controller, cycles, self.ranges)

    def _set_points(self) -> None:
        """Give all cells the operating points of the epoch that begins."""
        self.cell_point = self.plan.cell_point_at(len(self.epochs)).astype(np.int64)
        for channel, cell_point in zip(self.channels, self.cell_point, strict=True):
            set_points(channel, cell_point, self.class_of, self.banks)

    def _schedule_change(self) -> None:
        halt_at = max(self.changes[0].at_cycle, 1) if self.changes else limits.FOREVER
        self.channels["halt_at"] = halt_at
        self.channels["due"] = np.minimum(self.channels["due"], halt_at)

    def _close_epoch(self, counts: Counts) -> None:
        of_epoch = counts if self._counted is None else counts.minus(self._counted)
        exposures = None
        if self.loop[0]["expose"]:
            exposures = self._by_cell(self.exposures - self._exposed)
            self._exposed = self.exposures.copy()
        self.epochs.append(Epoch(*self._started, self.cell_point, of_epoch, exposures))
        self._counted = counts

    def _by_cell(self, exposures: NDArray[np.int64]) -> NDArray[np.int64]:
        of_cells = exposures[: self.cell_point.size * limits.EXPOSURE_BINS]
        return of_cells.reshape(*self.cell_point.shape, -1).copy()

    def _change_point(self, clock: int) -> None:
        """Switch to the next operating point, now that every bank is closed.

        The module changes, and the banks outside partitions. Commands wait until the voltage has
        settled.
        """
        change = self.changes.pop(0)
        self._close_epoch(self.counts_so_far(clock))
        resumed_at = clock + change.settling_cycles
        self._started = (change.at_cycle, clock, resumed_at)
        self._set_points()
        self.channels["module_class"] = self.class_of[change.point]
        if self.timing[0]["refresh"]:
            # A shorter refresh interval begins now, a longer one after the refresh that is due.
            interval = self.timing[0]["nREFI"][self.class_of[change.point]]
            next_refresh = np.minimum(self.channels["next_refresh"], clock + interval)
            self.channels["next_refresh"] = next_refresh
        self.channels["ready"] = np.maximum(self.channels["ready"], resumed_at)
        for name in ("halted", "planned", "queue_plan_valid"):
            self.channels[name] = 0
        self.channels["due"] = clock
        self._schedule_change()
