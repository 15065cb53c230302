"""Supply voltage and activation latency below (or above) what the standard specifies."""

from __future__ import annotations

from edensim.config import DramConfig
from edensim.dram.standard import Standard, load_standard
from edensim.exceptions import ConfigError
from edensim.units import cycles_from_ns, ns_from_cycles


def resolve_standard(dram: DramConfig) -> Standard:
    """The standard of a configuration at its operating point.

    `dram.trcd_ns` becomes nRCD in whole cycles, rounded up; other timings do not follow. `dram.vdd_V` changes no timing: it is checked here
    against the range that the standard states, and scales energy. Raises ConfigError.
    """
    timings = dict(dram.timings)
    standard = load_standard(dram.standard, organization=dram.organization, speed_bin=dram.speed_bin, ranks=dram.ranks, timings=timings)
    low, high = standard.currents.vdd_min_V, standard.currents.vdd_max_V
    if dram.vdd_V is not None and not low <= dram.vdd_V <= high:
        raise ConfigError(f"dram.vdd_V: expected {low:g} to {high:g} V for {standard.name}, found {dram.vdd_V:g}")
    if dram.trcd_ns is None:
        return standard
    if "nRCD" in timings:
        raise ConfigError(f"dram.trcd_ns: {dram.trcd_ns:g} and dram.timings.nRCD {timings['nRCD']} are both set; expected one of the two")
    cycles = cycles_from_ns(dram.trcd_ns, standard.tck_ps)
    if cycles > standard.timings["nRAS"]:
        longest = ns_from_cycles(standard.timings["nRAS"], standard.tck_ps)
        raise ConfigError(f"dram.trcd_ns: expected at most nRAS ({longest:g} ns), found {dram.trcd_ns:g}")
    timings["nRCD"] = cycles
    return load_standard(dram.standard, organization=dram.organization, speed_bin=dram.speed_bin, ranks=dram.ranks, timings=timings)
