"""All channels of a memory, the way of requests into them, and changes of the operating point."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.partitions import RowRange
from edensim.reference.channel import Channel
from edensim.reference.history import Target, flat_bank
from edensim.reference.records import Request, Speed
from edensim.reference.schedulers import Scheduler


class Memory:
    """The channels of a memory in the middle of a run.

    `ticks` counts the memory cycles done. `changes` lists the changes of the operating point so
    far: the clock from which each was due, at which all banks were closed, and from which commands
    may issue again. `rank_cycles_at` has what `Channel.rank_cycles` counted at the end of each
    epoch.
    """

    def __init__(
        self, system: MemorySystem, controller: ControllerConfig, scheduler: Scheduler
    ) -> None:
        system.check_mapping(controller)
        self.system = system
        self.standard = system.standard
        self.channels = [
            Channel(system.standard, controller, scheduler) for _ in range(system.channels)
        ]
        self.ticks = 0
        self.changes: list[tuple[int, int, int]] = []
        self.rank_cycles_at: list[NDArray[np.int64]] = []
        self._begin_epoch()
        self._targets: dict[int, tuple[int, Target]] = {}

    def _begin_epoch(self) -> None:
        """Give every bank the timings of its operating point, and announce the next change."""
        plan, epoch = self.system.plan, len(self.changes)
        if plan.timing_classes[0] == (self.standard.timings,) and not plan.changes:
            return  # all banks have the timings of the standard
        speeds = [
            Speed(self.standard.gaps_with(point.timings), point.timings) for point in plan.points
        ]
        module = speeds[plan.module_point(epoch)]
        for number, (channel, points) in enumerate(
            zip(self.channels, plan.bank_point_at(epoch).tolist(), strict=True)
        ):
            channel.history.module_gaps = module.gaps
            channel.speed_of = partial(_speed, plan, plan.ranges_of(number), points, speeds)
            for bank in range(len(points)):
                channel.take_speed(bank, None)
            if channel.config.refresh != "none":
                channel.refresh_interval = module.timings[
                    "nREFI" if channel.config.refresh == "all-bank" else "nREFIpb"
                ]
            if epoch < len(plan.changes):
                channel.halt_at = plan.changes[epoch].at_cycle

    def change_if_halted(self, clock: int) -> None:
        """If every channel has stopped at `clock`, go on at the next operating point.

        Commands wait until it has settled.
        """
        if not all(channel.halted for channel in self.channels):
            return
        change = self.system.plan.changes[len(self.changes)]
        settled_at = clock + 1 + change.settling_cycles
        self.changes.append((change.at_cycle, clock + 1, settled_at))
        self.rank_cycles_at.append(self.rank_cycles(clock + 1))
        self._begin_epoch()
        for channel in self.channels:
            channel.halted = False
            channel.history.settled_at = settled_at
            if channel.config.refresh != "none":
                # A shorter refresh interval begins now, a longer one after the next refresh.
                channel.next_refresh = min(
                    channel.next_refresh, clock + 1 + channel.refresh_interval
                )

    def rank_cycles(self, clock: int) -> NDArray[np.int64]:
        """Count in which states ranks have been, [channels, ranks, 4]: `Channel.rank_cycles`."""
        return np.array([channel.rank_cycles(clock) for channel in self.channels])

    def learn(self, addresses: NDArray[np.int64]) -> None:
        """Decode addresses before the run. Raises InputError for one outside the memory."""
        access_bytes = self.system.organization.access_bytes
        lines = np.unique(addresses // access_bytes)
        fields = self.system.address_map.decode(lines * access_bytes)
        columns = [
            np.asarray(fields[name]).tolist()
            for name in ("channel", "rank", "bankgroup", "bank", "row", "column")
        ]
        for line, channel, *target in zip(lines.tolist(), *columns, strict=True):
            self._targets[line] = (channel, Target(*target))

    def request(self, address: int, is_write: bool, tensor: int = -1) -> Request:
        """Make a request to a learned address."""
        line = address // self.system.organization.access_bytes
        target = self._targets[line][1]
        bank = flat_bank(self.system.organization, target)
        return Request(address, line, is_write, target, bank, tensor)

    def offer(self, request: Request, clock: int) -> bool:
        """Offer a request to its channel; returns False if its queue is full."""
        return self.channels[self.channel_of(request)].offer(request, clock)

    def channel_of(self, request: Request) -> int:
        """Return the number of the channel of a request."""
        return self._targets[request.line][0]

    @property
    def idle(self) -> bool:
        """Whether every channel is idle."""
        return all(channel.idle for channel in self.channels)


def _speed(
    plan: OperatingPlan,
    ranges: Sequence[RowRange],
    points: Sequence[int],
    speeds: Sequence[Speed],
    bank: int,
    row: int | None,
) -> Speed:
    """Find the speed of a row: that of its partition, or else that of its bank as a whole."""
    for part in ranges:
        if row is not None and part.bank == bank and part.first <= row <= part.last:
            return speeds[plan.partitions[part.partition].point]
    return speeds[points[bank]]
