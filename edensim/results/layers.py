"""The layers of a run, from what the memory counted and what the machine did.

A run is also compared with runs at other operating points here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from edensim.config.models import DramConfig, EnergyConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.energy.partitions import run_energies, sum_of
from edensim.networks.layout import Layout
from edensim.networks.network import Layer

if TYPE_CHECKING:
    from edensim.results.run_result import RunResult

#: A tRCD that is no longer than one clock, which bounds what a lower tRCD can bring.
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
    names = [placement.name for placement in layout.placements]
    for run in memory_run.layers:
        layer = None if run.layer is None else layout.network.layers[run.layer]
        gemm = None if layer is None else layout.network.gemm(layer)
        reads, writes = (by_name(moved, names) for moved in (run.read_bytes, run.write_bytes))
        breakdown = sum_of(run_energies([(run.counts, run.cell_point)], memory, energy))
        entry: dict[str, Any] = {
            "name": "" if layer is None else layer.name,
            "operator": "pass" if layer is None else layer.operator.value,
            "macs": 0 if gemm is None else gemm.macs,
            "cycles": run.cycles,
            "time_ns": run.time_ns,
            "stall_share": run.stall_share,
            "read_bytes": reads,
            "write_bytes": writes,
            "bytes_by_kind": by_kind(reads, writes, layer),
            "row_hits": run.counts.row_hits,
            "row_misses": run.counts.row_misses,
            "row_conflicts": run.counts.row_conflicts,
            "energy_pJ": breakdown.to_dict(),
        }
        results.append(entry | run.counters)
    return results


def by_name(by_index: Mapping[int, int], names: Sequence[str]) -> dict[str, int]:
    """Return bytes by the name of the tensor instead of its index.

    Bytes of no tensor of the network, such as a machine's workspace, are those of "scratch".
    """
    named: Counter[str] = Counter()
    for index, count in by_index.items():
        named[names[index] if 0 <= index < len(names) else "scratch"] += count
    return dict(named)


def by_kind(
    reads: Mapping[str, int], writes: Mapping[str, int], layer: Layer | None
) -> dict[str, int]:
    """Return the bytes that tensors moved by what they are to a layer.

    An ofm is read back if partial sums went to memory. Tensors of other layers count as scratch.
    """
    read_kinds: dict[str, str] = {}
    output = None
    if layer is not None:
        output = layer.output
        read_kinds = {
            output: "ofm_read",
            **dict.fromkeys(layer.inputs, "ifm"),
            **dict.fromkeys(layer.weights, "weights"),
        }
    kinds = dict.fromkeys(("weights", "ifm", "ofm_read", "ofm_write", "scratch"), 0)
    for name, count in reads.items():
        kinds[read_kinds.get(name, "scratch")] += count
    for name, count in writes.items():
        kinds["ofm_write" if name == output else "scratch"] += count
    return kinds


def baseline_point(dram: DramConfig, name: str) -> DramConfig:
    """Return the configuration of the same memory at the operating point of a baseline.

    It is run as specified for `nominal`, and with a tRCD of one clock besides for `ideal`.
    """
    keep = ("standard", "organization", "speed_bin", "channels", "ranks", "timings")
    nominal = DramConfig(**{key: getattr(dram, key) for key in keep})
    return nominal if name == "nominal" else msgspec.structs.replace(nominal, trcd_ns=IDEAL_TRCD_NS)


def comparison(result: RunResult, baseline: RunResult) -> dict[str, float]:
    """Compare a result with a baseline.

    `speedup` is how many times as fast the result is, `energy_saved` the share of the baseline's
    energy that it saves, and `energy_saved_LAW` what it saves under each voltage law.
    """
    saved = {
        f"energy_saved_{law}": 1 - energy / baseline.energy_by_law_pJ[law]
        for law, energy in result.energy_by_law_pJ.items()
        if baseline.energy_by_law_pJ.get(law)
    }
    return {
        **saved,
        "time_ns": baseline.time_ns,
        "cycles": baseline.cycles,
        "energy_pJ": baseline.energy_pJ.total,
        "speedup": baseline.time_ns / result.time_ns if result.time_ns else 1.0,
        "energy_saved": 1 - result.energy_pJ.total / baseline.energy_pJ.total
        if baseline.energy_pJ.total
        else 0.0,
    }
