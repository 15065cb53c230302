"""Energy of one event, from a standard's currents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.vocabulary import energy_pJ


@dataclass(frozen=True, slots=True)
class EventEnergies:
    """Energy in pJ of one event in all devices of one rank.

    The fields that end in `_cycle` are the energy of one clock cycle in a state.
    """

    activate: float
    precharge: float
    read: float
    write: float
    refresh_all_bank: float
    refresh_per_bank: float
    active_cycle: float
    precharged_cycle: float
    powerdown_active_cycle: float
    powerdown_precharged_cycle: float
    selfrefresh_cycle: float


def event_energies(standard: Standard, specified: Mapping[str, int] | None = None) -> EventEnergies:
    """Return the energies on the VDD rail at its nominal voltage.

    `specified` are the timings in cycles that the currents were measured with, by default those of
    the standard. They matter if the standard is run at others: an activation moves the same charge
    in less time, and what the rank draws meanwhile is background.

    Raises ConfigError if a current is so low that an event would give energy back.
    """
    currents, timings = standard.currents, specified or standard.timings
    refresh_all_bank = _event(
        standard, currents.idd5_mA - currents.idd3n_mA, timings.get("nRFC", 0)
    )
    energies = EventEnergies(
        activate=_event(standard, currents.idd0_mA - currents.idd3n_mA, timings["nRAS"]),
        precharge=_event(standard, currents.idd0_mA - currents.idd2n_mA, timings["nRP"]),
        read=_event(standard, currents.idd4r_mA - currents.idd3n_mA, timings["nBL"]),
        write=_event(standard, currents.idd4w_mA - currents.idd3n_mA, timings["nBL"]),
        refresh_all_bank=refresh_all_bank,
        refresh_per_bank=_refresh_per_bank(standard, timings, refresh_all_bank),
        active_cycle=_event(standard, currents.idd3n_mA, 1),
        precharged_cycle=_event(standard, currents.idd2n_mA, 1),
        powerdown_active_cycle=_event(standard, currents.idd3p_mA, 1),
        powerdown_precharged_cycle=_event(standard, currents.idd2p_mA, 1),
        selfrefresh_cycle=_event(standard, currents.idd6_mA, 1),
    )
    for component in fields(energies):
        value = getattr(energies, component.name)
        if value < 0:
            raise ConfigError(
                f"standard {standard.name}: currents give {component.name} {value:.1f} pJ, "
                "expected at least 0: idd0_mA, idd4r_mA, idd4w_mA and idd5_mA contain the standby "
                "current idd3n_mA (idd2n_mA) and cannot be below it"
            )
    return energies


def _event(standard: Standard, current_mA: float, cycles: int) -> float:
    """Return the energy in pJ of a rank whose devices draw `current_mA` each for `cycles`."""
    return standard.organization.devices_per_rank * energy_pJ(
        current_mA, standard.currents.vdd_V, cycles * standard.tck_ps
    )


def _refresh_per_bank(
    standard: Standard, timings: Mapping[str, int], refresh_all_bank: float
) -> float:
    """Return the energy of a per-bank refresh.

    It is that of IDD5PB during tRFCpb if both are known. Otherwise it is the bank's share of an
    all-bank refresh, which restores as many rows in each bank. Data sheets also print IDD5PB
    averaged over the refresh interval; such a value can be below IDD3N and says nothing of tRFCpb.
    """
    excess_mA = standard.currents.idd5pb_mA - standard.currents.idd3n_mA
    if excess_mA > 0 and "nRFCpb" in timings:
        return _event(standard, excess_mA, timings["nRFCpb"])
    return refresh_all_bank / standard.organization.banks_per_rank
