"""From the counts of a run to its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from edensim._version import __version__
from edensim.config.models import EnergyConfig
from edensim.dram.counts import Counts
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.energy.breakdown import EnergyBreakdown
from edensim.energy.events import event_energies
from edensim.energy.laws import VOLTAGE_LAWS
from edensim.energy.partitions import run_energies, sum_of
from edensim.energy.tensors import COMMAND_PARTS, tensor_energies
from edensim.networks.layout import Layout
from edensim.results.exposure import (
    changes_made,
    changes_not_made,
    exposure_summary,
    partition_commands,
    tensor_commands,
    total_commands,
)
from edensim.results.layers import layer_results
from edensim.results.run_result import RunResult


def assembled(
    run: MemoryRun,
    memory: MemorySystem,
    energy: EnergyConfig,
    config: Mapping[str, Any],
    layout: Layout | None = None,
) -> RunResult:
    """Assemble the result of a run.

    Parameters
    ----------
    run
        What the engine counted.
    memory
        The memory that it ran.
    energy
        The `energy` section of the configuration.
    config
        The whole configuration as nested plain values; the result keeps it.
    layout
        The layout of the network, if one ran.
    """
    names = [] if layout is None else [placement.name for placement in layout.placements]
    tensors = tensor_commands(run, names)
    epochs = [(epoch.counts, epoch.cell_point) for epoch in run.epochs]
    energies = run_energies(epochs, memory, energy)
    return result_of_counts(
        run.counts,
        energies,
        memory,
        config,
        energy_by_law_pJ={
            law: sum_of(
                energies
                if law == energy.voltage_law
                else run_energies(epochs, memory, msgspec.structs.replace(energy, voltage_law=law))
            ).total
            for law in VOLTAGE_LAWS
        },
        operating_points={
            **memory.plan.to_dict(),
            "changes_made": [asdict(change) for change in changes_made(run)],
            "changes_not_made": changes_not_made(run, memory.plan),
        },
        exposure=exposure_summary(run, memory.plan, names),
        commands_by_partition=partition_commands(run, memory.plan, memory.organization.rows),
        commands_by_tensor={name: total_commands(by_point) for name, by_point in tensors.items()},
        energy_by_tensor_pJ={
            name: {part: getattr(cost, part) for part in (*COMMAND_PARTS, "total")}
            for name, cost in tensor_energies(tensors, memory, energy).items()
        },
        frontend=run.machine_counters,
        core=None
        if run.core is None
        else {key: getattr(run.core, key) for key in ("cycles", "instructions", "ipc")},
        layers=[] if layout is None else layer_results(run, layout, memory, energy),
        bit_errors=run.errors,
    )


def result_of_counts(
    counts: Counts,
    energies: Mapping[str, EnergyBreakdown],
    memory: MemorySystem,
    config: Mapping[str, Any],
    **others: Any,
) -> RunResult:
    """Return a result whose figures follow from counts and energies.

    Bandwidth counts bursts on the data bus, so forwarded and coalesced requests move nothing.

    Parameters
    ----------
    counts
        What happened.
    energies
        Energy by partition.
    memory
        The memory it happened in.
    config
        The whole configuration as nested plain values.
    **others
        Further fields of the result.
    """
    time_ns = counts.cycles * memory.standard.tck_ps / 1000
    moved_bytes = counts.bursts * memory.organization.access_bytes
    return RunResult(
        cycles=counts.cycles,
        time_ns=time_ns,
        requests={
            "read": counts.reads,
            "write": counts.writes,
            "forwarded": counts.forwarded,
            "coalesced": counts.coalesced,
        },
        row_hits=counts.row_hits,
        row_misses=counts.row_misses,
        row_conflicts=counts.row_conflicts,
        commands=counts.by_command(),
        read_latency_cycles=counts.read_latency_summary(),
        bandwidth_GBps=moved_bytes / time_ns if time_ns else 0.0,
        peak_bandwidth_GBps=memory.peak_bandwidth_GBps,
        energy_pJ=sum_of(energies),
        voltage_law=config["energy"]["voltage_law"],
        energy_by_partition_pJ={name: part.to_dict() for name, part in energies.items()},
        read_latency_histogram=counts.read_latency_bins(),
        config=dict(config),
        version=__version__,
        seed=config["seed"],
        memory=_memory_values(memory),
        notes=list(_notes(memory, counts)),
        **others,
    )


def _memory_values(memory: MemorySystem) -> dict[str, Any]:
    """Return what the memory is, with the defaults of its standard filled in."""
    standard = memory.standard
    return {
        "standard": standard.name,
        "organization": standard.organization.name,
        "speed_bin": standard.speed_bin,
        "channels": memory.channels,
        "ranks": standard.organization.ranks,
        "vdd_V": memory.plan.points[0].vdd_V,
    }


def _notes(memory: MemorySystem, counts: Counts) -> Iterator[str]:
    """Yield what a reader must know to trust the energy of a run."""
    standard = memory.standard
    if standard.currents_caveat:
        yield f"energy is rough: currents {standard.currents_caveat}"
    if (
        counts.by_command().get("ACT")
        and not event_energies(standard, memory.plan.specified).activate
    ):
        yield (
            f"an ACT costs 0 pJ: IDD0 ({standard.currents.idd0_mA:g} mA) is not above IDD3N "
            f"({standard.currents.idd3n_mA:g} mA) for this device; open rows count as background"
        )
