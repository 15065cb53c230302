"""What the events of a memory cost, resolved once from its standard and the `energy` section."""

from __future__ import annotations

from dataclasses import dataclass

from edensim.config.models import EnergyConfig
from edensim.dram.memory_system import MemorySystem
from edensim.energy.data import data_factors
from edensim.energy.events import EventEnergies, event_energies
from edensim.energy.io import io_energy_pJ_per_bit
from edensim.energy.laws import VOLTAGE_LAWS, VoltageLaw


@dataclass(frozen=True, slots=True)
class Costs:
    """What one event costs, and how its cost follows the supply voltage.

    Attributes
    ----------
    events
        Energy of each event at the nominal VDD.
    nominal_V
        That voltage.
    law
        How energy scales with the voltage.
    burst_bits
        Bits that one column command moves.
    io_pJ_per_bit
        Energy of a bit on its data wire; None if it is not known.
    read_factor, write_factor
        How much more reads and writes cost than the currents say (`edensim.energy.data`).
    """

    events: EventEnergies
    nominal_V: float
    law: VoltageLaw
    burst_bits: int
    io_pJ_per_bit: float | None = 0.0
    read_factor: float = 1.0
    write_factor: float = 1.0

    def io_pJ(self, bursts: int) -> float | None:
        """Return the energy of column commands on the data wires; None if it is not known."""
        per_bit = self.io_pJ_per_bit
        return None if per_bit is None else bursts * self.burst_bits * per_bit


def costs_of(memory: MemorySystem, config: EnergyConfig) -> Costs:
    """Return what the events of a memory cost.

    The events cost what the currents and the timings that the device is specified for say, whatever
    timings it is run at. Raises ConfigError for an energy model that does not fit the standard.
    """
    standard = memory.standard
    read_factor, write_factor = data_factors(config, standard)
    io_pJ_per_bit = config.io_pJ_per_bit
    if io_pJ_per_bit is None:
        io_pJ_per_bit = io_energy_pJ_per_bit(standard, config.ones_fraction)
    return Costs(
        event_energies(standard, memory.plan.specified),
        standard.currents.vdd_V,
        VOLTAGE_LAWS[config.voltage_law],
        standard.organization.access_bytes * 8,
        io_pJ_per_bit,
        read_factor,
        write_factor,
    )
