"""A network's run, layer by layer, from what memory counted and what the machine did; and beside other operating points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edensim.config.models import DramConfig, RunConfig
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.standard import Standard
from edensim.energy.partitions import run_energies, sum_of
from edensim.engine.loop_nests import LINE_BYTES
from edensim.engine.memory_run import MemoryRun
from edensim.networks.layout import Layout
from edensim.networks.network import Layer

if TYPE_CHECKING:
    from edensim.results.run_result import RunResult

#: A tRCD no longer than one clock: the bound of what a lower tRCD can bring.
IDEAL_TRCD_NS = 1e-3


def layer_results(
    memory: MemoryRun, layout: Layout, standard: Standard, plan: OperatingPlan, config: RunConfig
) -> list[dict[str, Any]]:
    """One entry per layer that ran: time, share of it spent waiting for memory, bytes by tensor, row states, energy, the machine's own counters."""
    if memory.cpu is not None:
        return cpu_layer_results(memory, layout, standard, plan, config)
    results = []
    counters = memory.layer_counters
    for run in memory.layers:
        layer = layout.network.layers[run.layer]
        breakdown = sum_of(
            run_energies([(run.counts, run.cell_point)], standard, plan, config.energy)
        )
        gemm = layout.network.gemm(layer)
        results.append(
            {
                "name": layer.name,
                "operator": layer.operator.value,
                "macs": gemm.macs if gemm else 0,
                "cycles": run.cycles,
                "time_ns": run.cycles * standard.tck_ps / 1000,
                "stall_share": run.stall_cycles / run.cycles if run.cycles else 0.0,
                "compute_cycles": run.compute_cycles,
                "read_bytes": moved(run.read_bytes, layout),
                "write_bytes": moved(run.write_bytes, layout),
                "bytes_by_kind": by_kind(run.read_bytes, run.write_bytes, layer, layout),
                "row_hits": run.counts.row_hits,
                "row_misses": run.counts.row_misses,
                "row_conflicts": run.counts.row_conflicts,
                "energy_pJ": breakdown.to_dict(),
                **(counters[run.layer] if run.layer < len(counters) else {}),
            }
        )
    return results


def cpu_layer_results(
    memory: MemoryRun, layout: Layout, standard: Standard, plan: OperatingPlan, config: RunConfig
) -> list[dict[str, Any]]:
    """The same of a machine of cores, whose layers are passes over memory as the library makes them."""
    assert memory.cpu is not None
    layers = {layer.name: layer for layer in layout.network.layers}
    results = []
    for run in memory.cpu.layers:
        breakdown = sum_of(
            run_energies(
                [(run.counts, memory.epochs[-1].cell_point)], standard, plan, config.energy
            )
        )
        layer = layers.get(run.name)
        reads, writes = (
            {
                index: int(lines) * LINE_BYTES
                for index, lines in enumerate(run.moved[:, kind])
                if lines
            }
            for kind in (0, 1)
        )
        figures = run.to_dict()
        results.append(
            {
                **figures,
                "operator": layer.operator.value if layer is not None else "pass",
                "core_cycles": run.cycles,
                "cycles": run.counts.cycles,
                "time_ns": run.cycles * 1000 / config.cpu.clock_MHz,
                "stall_share": run.counters["memory_stall_cycles"] / (run.cycles * config.cpu.cores)
                if run.cycles
                else 0.0,
                "read_bytes": moved(reads, layout),
                "write_bytes": moved(writes, layout),
                "bytes_by_kind": by_kind(reads, writes, layer, layout),
                "row_hits": run.counts.row_hits,
                "row_misses": run.counts.row_misses,
                "row_conflicts": run.counts.row_conflicts,
                "energy_pJ": breakdown.to_dict(),
            }
        )
    return results


def moved(by_index: dict[int, int], layout: Layout) -> dict[str, int]:
    """Bytes by tensor name; what belongs to no tensor of the network (a machine's scratch) as `scratch`."""
    named: dict[str, int] = {}
    for index, count in by_index.items():
        name = layout.placements[index].name if 0 <= index < len(layout.placements) else "scratch"
        named[name] = named.get(name, 0) + count
    return named


def by_kind(
    reads: dict[int, int], writes: dict[int, int], layer: Layer | None, layout: Layout
) -> dict[str, int]:
    """Bytes read and written, {tensor index: bytes}, by what they are to the layer: weights, ifm, ofm (read back: partial sums), scratch."""
    kinds = {"weights": 0, "ifm": 0, "ofm_read": 0, "ofm_write": 0, "scratch": 0}
    weights, inputs, output = (
        (layer.weights, layer.inputs, layer.output) if layer is not None else ((), (), "")
    )
    for name, count in moved(reads, layout).items():
        kind = (
            "weights"
            if name in weights
            else "ifm"
            if name in inputs
            else "ofm_read"
            if name == output
            else "scratch"
        )
        kinds[kind] += count
    for name, count in moved(writes, layout).items():
        kinds["ofm_write" if name == output else "scratch"] += count
    return kinds


def baseline_point(dram: DramConfig, name: str) -> DramConfig:
    """The same memory as specified (`nominal`), and so but for a tRCD of one clock (`ideal`)."""
    keep = ("standard", "organization", "speed_bin", "channels", "ranks", "timings")
    nominal = DramConfig(**{key: getattr(dram, key) for key in keep})
    return nominal if name == "nominal" else msgspec.structs.replace(nominal, trcd_ns=IDEAL_TRCD_NS)


def comparison(result: RunResult, baseline: RunResult) -> dict[str, float]:
    """A result beside a baseline. speedup: how many times faster the result is; energy_saved: the share of the baseline's energy that it saves."""
    return {
        "time_ns": baseline.time_ns,
        "cycles": baseline.cycles,
        "energy_pJ": baseline.energy_pJ.total,
        "speedup": baseline.time_ns / result.time_ns if result.time_ns else 1.0,
        "energy_saved": 1 - result.energy_pJ.total / baseline.energy_pJ.total
        if baseline.energy_pJ.total
        else 0.0,
    }
