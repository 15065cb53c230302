"""The share of a run's counts that each operating point has: banks, and rows of divided banks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.dram.counts import Counts
from edensim.dram.operating_point import OperatingPlan

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """Counts by bank and range of rows; each command belongs to one of them only.

    Attributes
    ----------
    commands
        [channels, cells, COMMANDS]; a command to a whole rank counts at the rank's first bank.
    closings
        [channels, cells] how often a row was closed.
    share
        [channels, cells] the share of its bank's rows that a cell has.
    bank
        [channels, cells] that bank.
    """

    commands: NDArray[np.int64]
    closings: NDArray[np.int64]
    share: NDArray[np.float64]
    bank: NDArray[np.int64]

    def rank_shares(self, mask: Mask, ranks: int) -> NDArray[np.float64]:
        """Return the share of each rank's rows that some cells have, [channels, ranks].

        `mask` selects the cells, [channels, cells].
        """
        channels, banks = self.share.shape[0], self._banks
        of_bank = np.zeros((channels, banks))
        np.add.at(
            of_bank, (np.arange(channels)[:, None], self.bank), np.where(mask, self.share, 0.0)
        )
        shares: NDArray[np.float64] = of_bank.reshape(channels, ranks, -1).mean(axis=2)
        return shares

    @property
    def _banks(self) -> int:
        return int(self.bank.max()) + 1


def cells_of(counts: Counts, plan: OperatingPlan | None = None, rows: int = 0) -> Cells:
    """Return the cells of a plan whose banks have `rows` rows; without a plan, banks are whole."""
    channels, banks = counts.closings.shape
    commands, closings, share = counts.commands, counts.closings, np.ones((channels, banks))
    bank = np.broadcast_to(np.arange(banks), (channels, banks))
    if plan is None or not plan.ranges:
        return Cells(commands, closings, share, bank)
    most = counts.range_closings.shape[1]
    of_range = {
        name: np.zeros((channels, most), kind)
        for name, kind in (("share", np.float64), ("bank", np.int64))
    }
    commands, closings = commands.copy(), closings.copy()
    for channel in range(channels):
        ranges = plan.ranges_of(channel)
        owners = [part.bank for part in ranges]
        of_range["bank"][channel, : len(owners)] = owners
        of_range["share"][channel, : len(owners)] = [
            (part.last - part.first + 1) / rows for part in ranges
        ]
        np.subtract.at(commands[channel], owners, counts.range_commands[channel, : len(owners)])
        np.subtract.at(closings[channel], owners, counts.range_closings[channel, : len(owners)])
        np.subtract.at(share[channel], owners, of_range["share"][channel, : len(owners)])
    return Cells(
        np.concatenate([commands, counts.range_commands], axis=1),
        np.concatenate([closings, counts.range_closings], axis=1),
        np.concatenate([share, of_range["share"]], axis=1),
        np.concatenate([bank, of_range["bank"]], axis=1),
    )
