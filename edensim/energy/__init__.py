"""From counts to energy: pure functions of what was counted, the standard's currents and the supply voltage.

Energies follow DRAMPower 6.2's core model (bank-wise factor rho = 1, precharge current = IDD0). Per event and device, at the nominal VDD:

    activate     VDD * (IDD0 - IDD3N) * tRAS         each ACT
    precharge    VDD * (IDD0 - IDD2N) * tRP          each time an open bank is closed, by PREpb, PREab or auto-precharge
    read, write  VDD * (IDD4R|IDD4W - IDD3N) * tBL   each column command
    refresh      VDD * (IDD5 - IDD3N) * tRFC         each REFab
    background   VDD * IDD3N while any bank of the rank is open or the rank is in all-bank refresh, VDD * IDD3P and IDD2P in power-down
                 with and without an open bank, VDD * IDD6 in self-refresh, VDD * IDD2N otherwise

with the timings that the device is specified for. All devices of a rank work in lock-step, so a rank costs as many times that as it has devices.
"""

from __future__ import annotations

from edensim.energy.commands import auto_precharge_delays, counts_from_commands
from edensim.energy.data import data_factors
from edensim.energy.eden import EdenBar, eden_bars
from edensim.energy.events import EventEnergies, event_energies
from edensim.energy.io import io_energy_pJ_per_bit
from edensim.energy.laws import VOLTAGE_LAWS, VoltageLaw
from edensim.energy.partitions import (
    MODULE,
    command_energy,
    energies_of_commands,
    memory_energy,
    nominal_energy,
    partition_energies,
    run_energies,
    sum_of,
)
from edensim.energy.parts import Cells, cells_of
from edensim.energy.stages import stage_clocks
from edensim.energy.tensors import COMMAND_PARTS, NO_TENSOR, tensor_energies

__all__ = [
    "COMMAND_PARTS",
    "MODULE",
    "NO_TENSOR",
    "VOLTAGE_LAWS",
    "Cells",
    "EdenBar",
    "EventEnergies",
    "VoltageLaw",
    "auto_precharge_delays",
    "cells_of",
    "command_energy",
    "counts_from_commands",
    "data_factors",
    "eden_bars",
    "energies_of_commands",
    "event_energies",
    "io_energy_pJ_per_bit",
    "memory_energy",
    "nominal_energy",
    "partition_energies",
    "run_energies",
    "stage_clocks",
    "sum_of",
    "tensor_energies",
]
