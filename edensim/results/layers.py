"""A network's run, layer by layer, from what memory counted and what the machine did; and beside other operating points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edensim.config.models import DramConfig, EnergyConfig
from edensim.dram.memory_system import MemorySystem
from edensim.energy.partitions import run_energies, sum_of
from edensim.engine.memory_run import MemoryRun
from edensim.networks.layout import Layout
from edensim.networks.network import Layer

if TYPE_CHECKING:
    from edensim.results.run_result import RunResult

#: A tRCD no longer than one clock: the bound of what a lower tRCD can bring.
IDEAL_TRCD_NS = 1e-3


def layer_results(
    memory_run: MemoryRun, layout: Layout, memory: MemorySystem, energy: EnergyConfig
) -> list[dict[str, Any]]:
    """Return one entry for each layer that ran on a machine, in order.

    An entry holds the layer's time and the share of it in which the machine waited for data, the
    bytes that each tensor moved, row hits, misses and conflicts, the energy, and the counters of
    the machine. A pass that is no layer of the network has the operator "pass".
    """
    results = []
    for run in memory_run.layers:
        layer = None if run.layer is None else layout.network.layers[run.layer]
        gemm = None if layer is None else layout.network.gemm(layer)
        breakdown = sum_of(run_energies([(run.counts, run.cell_point)], memory, energy))
        entry: dict[str, Any] = {
            "name": "" if layer is None else layer.name,
            "operator": "pass" if layer is None else layer.operator.value,
            "macs": 0 if gemm is None else gemm.macs,
            "cycles": run.cycles,
            "time_ns": run.time_ns,
            "stall_share": run.stall_share,
            "read_bytes": moved(run.read_bytes, layout),
            "write_bytes": moved(run.write_bytes, layout),
            "bytes_by_kind": by_kind(run.read_bytes, run.write_bytes, layer, layout),
            "row_hits": run.counts.row_hits,
            "row_misses": run.counts.row_misses,
            "row_conflicts": run.counts.row_conflicts,
            "energy_pJ": breakdown.to_dict(),
        }
        results.append(entry | run.counters)
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
