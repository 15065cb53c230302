"""From counts to energy: pure functions of what was counted, the standard's currents and the supply voltage.

Energies follow DRAMPower 6.2's core model (bank-wise factor rho = 1, precharge current = IDD0). Per event and device, at the nominal VDD:

    activate     VDD * (IDD0 - IDD3N) * tRAS         each ACT
    precharge    VDD * (IDD0 - IDD2N) * tRP          each time an open bank is closed, by PREpb, PREab or auto-precharge
    read, write  VDD * (IDD4R|IDD4W - IDD3N) * tBL   each column command
    refresh      VDD * (IDD5 - IDD3N) * tRFC         each REFab
    background   VDD * IDD3N while any bank of the rank is open or the rank is in all-bank refresh, VDD * IDD2N otherwise

All devices of a rank work in lock-step, so a rank costs as many times that as it has devices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edensim.dram.standard import Currents, Standard
from edensim.exceptions import ConfigError, InputError, TraceError, nearest
from edensim.results import Counts, EnergyBreakdown
from edensim.units import energy_pJ
from edensim.vocabulary import COMMAND, COMMANDS, RANK_COMMANDS, Command, Level

# ------------------------------------------------------------------------------------------------------------------------- voltage laws

#: Energy at the nominal VDD and the ratio VDD / nominal VDD, to energy at that VDD.
VoltageLaw = Callable[[EnergyBreakdown, float], EnergyBreakdown]

VOLTAGE_LAWS: Final[dict[str, VoltageLaw]] = {}


def voltage_law(law: VoltageLaw) -> VoltageLaw:
    """Register a law under its function's name."""
    VOLTAGE_LAWS[law.__name__] = law
    return law


def _scaled(energy: EnergyBreakdown, factor: float) -> EnergyBreakdown:
    return EnergyBreakdown(*(factor * value for value in astuple(energy)))


@voltage_law
def linear(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """E ~ V. Currents stay as the data sheet gives them for the nominal VDD: DRAMPower's and DRAMsim3's rule when only VDD is changed."""
    return _scaled(energy, ratio)


@voltage_law
def quadratic(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """E ~ V^2. Assumes that every current shrinks with VDD, as charging a capacitance does (E = C V^2), leakage and peripherals included."""
    return _scaled(energy, ratio * ratio)


@voltage_law
def array(energy: EnergyBreakdown, ratio: float) -> EnergyBreakdown:
    """Only the array's rail is lowered: activate, precharge and refresh ~ V^2; column access, background and I/O keep their supply.

    The assumption is Voltron's (Chang et al., POMACS 2017): peripheral logic stays at the nominal voltage so that the bus keeps its rate,
    and what bit lines and cells take is charge on capacitances.
    """
    factor = ratio * ratio
    return EnergyBreakdown(
        activate=factor * energy.activate,
        precharge=factor * energy.precharge,
        refresh=factor * energy.refresh,
        read=energy.read,
        write=energy.write,
        background_active=energy.background_active,
        background_precharged=energy.background_precharged,
        io=energy.io,
    )


# ------------------------------------------------------------------------------------------------------------------- energy of one event


@dataclass(frozen=True, slots=True)
class EventEnergies:
    """Energy in pJ of one event in one rank (all its devices); `*_cycle`: of one clock cycle in that state."""

    activate: float
    precharge: float
    read: float
    write: float
    refresh_all_bank: float
    refresh_per_bank: float
    active_cycle: float
    precharged_cycle: float


def event_energies(standard: Standard) -> EventEnergies:
    """Energies on the VDD rail at its nominal voltage. ConfigError where a current is so low that an event would give energy back."""
    currents, timings = standard.currents, standard.timings
    refresh_all_bank = _event(standard, currents.idd5_mA - currents.idd3n_mA, timings.get("nRFC", 0))
    energies = EventEnergies(
        activate=_event(standard, currents.idd0_mA - currents.idd3n_mA, timings["nRAS"]),
        precharge=_event(standard, currents.idd0_mA - currents.idd2n_mA, timings["nRP"]),
        read=_event(standard, currents.idd4r_mA - currents.idd3n_mA, timings["nBL"]),
        write=_event(standard, currents.idd4w_mA - currents.idd3n_mA, timings["nBL"]),
        refresh_all_bank=refresh_all_bank,
        refresh_per_bank=_refresh_per_bank(standard, refresh_all_bank),
        active_cycle=_event(standard, currents.idd3n_mA, 1),
        precharged_cycle=_event(standard, currents.idd2n_mA, 1),
    )
    for component in fields(energies):
        value = getattr(energies, component.name)
        if value < 0:
            raise ConfigError(
                f"standard {standard.name}: currents give {component.name} {value:.1f} pJ, expected at least 0: "
                "idd0_mA, idd4r_mA, idd4w_mA and idd5_mA contain the standby current idd3n_mA (idd2n_mA) and cannot be below it"
            )
    return energies


def _event(standard: Standard, current_mA: float, cycles: int) -> float:
    """Energy in pJ of all devices of a rank drawing `current_mA` each for `cycles`."""
    return standard.organization.devices_per_rank * energy_pJ(current_mA, standard.currents.vdd_V, cycles * standard.tck_ps)


def _refresh_per_bank(standard: Standard, refresh_all_bank: float) -> float:
    """IDD5PB during tRFCpb where it is known; else the bank's share of an all-bank refresh, which restores as many rows in each bank.

    Data sheets also print IDD5PB averaged over the refresh interval; such a value can lie below IDD3N and says nothing about tRFCpb.
    """
    excess_mA = standard.currents.idd5pb_mA - standard.currents.idd3n_mA
    if excess_mA > 0 and "nRFCpb" in standard.timings:
        return _event(standard, excess_mA, standard.timings["nRFCpb"])
    return refresh_all_bank / standard.organization.banks_per_rank


# ------------------------------------------------------------------------------------------------------------------------ energy of a run


def memory_energy(
    counts: Counts,
    standard: Standard,
    *,
    vdd_V: float | None = None,
    voltage_law: str = "linear",
    vpp_rail: bool = False,
) -> EnergyBreakdown:
    """Energy of the DRAM devices for `counts`, all channels and ranks together.

    vdd_V: supply voltage; None is the nominal one, where all laws agree. voltage_law: a key of VOLTAGE_LAWS.
    vpp_rail: add what activations draw from the word-line rail (IPP0 over tRAS + tRP). It is left out by default: its standby
    currents are not known, IPP0 contains them, and DRAMPower's and DRAMsim3's published numbers go without it. It does not scale with VDD.

    Raises ConfigError for an unknown law, a voltage that is not positive, or currents that make no sense.
    """
    law = VOLTAGE_LAWS.get(voltage_law)
    if law is None:
        raise ConfigError(f"energy.voltage_law: found {voltage_law!r}, expected one of {', '.join(VOLTAGE_LAWS)}{nearest(voltage_law, VOLTAGE_LAWS)}")
    nominal_V = standard.currents.vdd_V
    supply_V = nominal_V if vdd_V is None else vdd_V
    if not (0 < supply_V < float("inf")):
        raise ConfigError(f"dram.vdd_V: found {supply_V}, expected a positive voltage (nominal: {nominal_V} V)")
    energy = law(nominal_energy(counts, event_energies(standard)), supply_V / nominal_V)
    return energy + _vpp_energy(counts, standard) if vpp_rail else energy


def nominal_energy(counts: Counts, event: EventEnergies) -> EnergyBreakdown:
    """Counts times energies per event."""
    active_cycles = int(counts.rank_active_cycles.sum() + counts.rank_refresh_cycles.sum())
    precharged_cycles = counts.rank_active_cycles.size * counts.cycles - active_cycles
    if precharged_cycles < 0:
        raise ValueError(f"ranks were active or in refresh for {active_cycles} cycles, the run took {counts.cycles} per rank")
    return EnergyBreakdown(
        activate=counts.total(Command.ACT) * event.activate,
        precharge=int(counts.closings.sum()) * event.precharge,
        read=(counts.total(Command.RD) + counts.total(Command.RDA)) * event.read,
        write=(counts.total(Command.WR) + counts.total(Command.WRA)) * event.write,
        refresh=counts.total(Command.REFab) * event.refresh_all_bank + counts.total(Command.REFpb) * event.refresh_per_bank,
        background_active=active_cycles * event.active_cycle,
        background_precharged=precharged_cycles * event.precharged_cycle,
    )


def _vpp_energy(counts: Counts, standard: Standard) -> EnergyBreakdown:
    """Activate and precharge energy from the VPP rail, in DRAMPower's form with IPP2N = IPP3N = 0."""
    currents: Currents = standard.currents
    cycle = standard.organization.devices_per_rank * energy_pJ(currents.ipp0_mA, currents.vpp_V, standard.tck_ps)
    return EnergyBreakdown(
        activate=counts.total(Command.ACT) * standard.timings["nRAS"] * cycle,
        precharge=int(counts.closings.sum()) * standard.timings["nRP"] * cycle,
    )


# -------------------------------------------------------------------------------------------------------- counts from a list of commands

#: Commands that open or close banks; the others only need counting.
_STATE_COMMANDS: Final = (Command.ACT, Command.PREpb, Command.PREab, Command.RDA, Command.WRA, Command.REFab)


def counts_from_commands(commands: NDArray[np.void], standard: Standard, *, end_clock: int | None = None, channels: int | None = None) -> Counts:
    """Counts of any simulator's command list (COMMAND records), for its energy.

    end_clock: clock at which the run ends, hence how long background energy flows; None is the clock of the last command.
    channels: None is as many as the commands name. Commands may be in any order of channels; each is taken at its clock.
    The list is not checked against the standard's constraints (`edensim check` does that): opening an open bank or closing a closed one
    changes no state, and an all-bank refresh leaves all banks closed.

    Row hits and latencies are not known from commands and stay 0. Raises TraceError where a command addresses what the standard does not
    have, InputError where `end_clock` lies before the last command.
    """
    if commands.dtype != COMMAND:
        raise TypeError(f"commands have dtype {commands.dtype}, expected COMMAND")
    last_clock = int(commands["clock"].max(initial=0))
    end = last_clock if end_clock is None else end_clock
    if end < last_clock:
        raise InputError(f"end clock: found {end}, expected at least {last_clock}, the clock of the last command")
    channel_count = channels or int(commands["channel"].max(initial=0)) + 1
    flat_bank = _flat_banks(commands, standard, channel_count)

    banks = standard.organization.banks_per_channel
    counts = Counts.empty(channel_count, standard.organization.ranks, banks, end)
    cells = (commands["channel"].astype(np.int64) * banks + flat_bank) * COMMANDS + commands["command"]
    counts.commands[...] = np.bincount(cells, minlength=counts.commands.size).reshape(counts.commands.shape)
    for channel in range(channel_count):
        stateful = np.flatnonzero((commands["channel"] == channel) & np.isin(commands["command"], _STATE_COMMANDS))
        stateful = stateful[np.argsort(commands["clock"][stateful], kind="stable")]
        _count_states(counts, channel, commands[stateful], flat_bank[stateful], standard)
    reads = counts.total(Command.RD) + counts.total(Command.RDA)
    return replace(counts, reads=reads, writes=counts.bursts - reads)


def _flat_banks(commands: NDArray[np.void], standard: Standard, channels: int) -> NDArray[np.int64]:
    """Flat bank in its channel of each command, the rank's first bank for whole-rank commands. TraceError for what does not exist."""
    organization = standard.organization
    whole_rank = np.isin(commands["command"], sorted(RANK_COMMANDS))
    limits = {"command": COMMANDS, "channel": channels, "rank": organization.ranks, "bankgroup": organization.bankgroups, "bank": organization.banks}
    addressed = {}
    for name, limit in limits.items():
        values = np.where(whole_rank, 0, commands[name]) if name in ("bankgroup", "bank") else commands[name]
        wrong = np.flatnonzero((values < 0) | (values >= limit))
        if wrong.size:
            first = int(wrong[0])
            raise TraceError(
                f"command {first + 1} (clock {commands['clock'][first]}): {name}: found {values[first]}, expected 0 to {limit - 1} "
                f"({standard.name} {organization.name}, {channels} channel(s) of {organization.ranks} rank(s))"
            )
        addressed[name] = values.astype(np.int64)
    return (addressed["rank"] * organization.bankgroups + addressed["bankgroup"]) * organization.banks + addressed["bank"]


def auto_precharge_delays(standard: Standard) -> tuple[int, int, int]:
    """Cycles from ACT, RD and WR to the earliest precharge of the bank; an RDA or WRA precharges itself once they have passed."""
    delays = []
    for after in (Command.ACT, Command.RD, Command.WR):
        rules = [c for c in standard.constraints if c.level == Level.BANK and after in c.after and Command.PREpb in c.before]
        delays.append(max((rule.gap_cycles for rule in rules), default=0))
    return delays[0], delays[1], delays[2]


class _RankClock:
    """When one rank is active: some bank open, or an auto-precharge not begun yet. Ends in all-bank refresh."""

    __slots__ = ("active_cycles", "end", "open_banks", "refresh_cycles", "refresh_until", "since", "until")

    def __init__(self, end: int) -> None:
        self.end = end
        self.open_banks: set[int] = set()
        self.since = self.until = self.refresh_until = 0  # active within [since, until), longer while banks are open
        self.active_cycles = self.refresh_cycles = 0

    def open(self, bank: int, clock: int) -> None:
        if not self.open_banks and clock >= self.until:
            self._book(self.until)
            self.since = max(clock, self.refresh_until)
        self.open_banks.add(bank)

    def close(self, bank: int, clock: int) -> None:
        self.open_banks.discard(bank)
        self.until = max(self.until, clock)

    def refresh(self, clock: int, duration: int) -> None:
        self._book(clock if self.open_banks else min(self.until, clock))
        self.open_banks.clear()
        begin = max(clock, self.refresh_until)
        self.refresh_until = max(begin, clock + duration)
        self.refresh_cycles += max(0, min(self.refresh_until, self.end) - begin)

    def finish(self) -> None:
        self._book(self.end if self.open_banks else self.until)

    def _book(self, until: int) -> None:
        """Add the active time up to `until` (at most the end of the run) and start over."""
        self.active_cycles += max(0, min(until, self.end) - self.since)
        self.since = self.until = until


def _count_states(counts: Counts, channel: int, commands: NDArray[np.void], flat_bank: NDArray[np.int64], standard: Standard) -> None:
    """Fill closings, active and refresh cycles of one channel from its state-changing commands in order of clock."""
    banks_per_rank = standard.organization.banks_per_rank
    act_delay, read_delay, write_delay = auto_precharge_delays(standard)
    refresh_cycles = standard.timings.get("nRFC", 0)
    ranks = [_RankClock(counts.cycles) for _ in range(standard.organization.ranks)]
    opened_at = [0] * standard.organization.banks_per_channel
    closings = [0] * standard.organization.banks_per_channel
    for clock, command, bank in zip(commands["clock"].tolist(), commands["command"].tolist(), flat_bank.tolist(), strict=True):
        rank = ranks[bank // banks_per_rank]
        if command == Command.ACT:
            if bank not in rank.open_banks:
                opened_at[bank] = clock
                rank.open(bank, clock)
        elif command == Command.REFab:
            rank.refresh(clock, refresh_cycles)
        elif command == Command.PREab:
            for closed in tuple(rank.open_banks):
                closings[closed] += 1
                rank.close(closed, clock)
        elif bank in rank.open_banks:
            closings[bank] += 1
            if command != Command.PREpb:  # RDA and WRA close the bank for the next command now, inside the device later
                clock = max(opened_at[bank] + act_delay, clock + (read_delay if command == Command.RDA else write_delay))
            rank.close(bank, clock)
    counts.closings[channel] = closings
    for index, rank in enumerate(ranks):
        rank.finish()
        counts.rank_active_cycles[channel, index] = rank.active_cycles
        counts.rank_refresh_cycles[channel, index] = rank.refresh_cycles
