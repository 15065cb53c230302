"""A result as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edensim.results.run_result import RunResult


def summary_rows(result: RunResult) -> Iterator[tuple[str, str, str]]:
    """Yield the rows (name, value, remark) of the summary."""
    requests, latency, energy = result.requests, result.read_latency_cycles, result.energy_pJ
    yield "time", f"{result.time_ns / 1000:,.3f} us", f"{result.cycles:,} memory cycles"
    yield (
        "requests",
        f"{requests['read'] + requests['write']:,}",
        f"{requests['read']:,} reads, {requests['write']:,} writes",
    )
    if requests["forwarded"] or requests["coalesced"]:
        yield (
            "",
            "",
            f"{requests['forwarded']:,} reads forwarded, "
            f"{requests['coalesced']:,} writes coalesced",
        )
    seen = result.row_hits + result.row_misses + result.row_conflicts
    if seen:  # unknown if the result is of a command trace
        yield (
            "row hits",
            _share(result.row_hits, seen),
            f"{result.row_misses:,} misses, {result.row_conflicts:,} conflicts",
        )
    if latency["mean"] is not None:
        percentiles = (
            f"median {latency['p50']:,}, 99 % within {latency['p99']:,}, longest {latency['max']:,}"
        )
        yield "read latency", f"{latency['mean']:,.1f} cycles", percentiles
    share = _share(result.bandwidth_GBps, result.peak_bandwidth_GBps)
    peak = f"{share} of {result.peak_bandwidth_GBps:,.2f} GB/s"
    yield "bandwidth", f"{result.bandwidth_GBps:,.2f} GB/s", peak
    if result.core is not None:
        remark = (
            f"{result.core['instructions']:,} instructions, {result.core['cycles']:,} core cycles"
        )
        yield "core", f"{result.core['ipc']:.4f} IPC", remark
    if result.layers:
        yield from machine_rows(result)
    yield (
        "commands",
        f"{sum(result.commands.values()):,}",
        ", ".join(f"{name} {count:,}" for name, count in result.commands.items() if count),
    )
    missed = result.operating_points.get("changes_not_made", [])
    if missed:
        at_cycle = result.operating_points["changes"][missed[0]]["at_cycle"]
        yield (
            "changes",
            f"{len(missed):,} not made",
            f"the run ended before dram.changes.{missed[0]}, at cycle {at_cycle:,}",
        )
    if result.bit_errors:
        errors = result.bit_errors
        yield (
            "bit errors",
            f"{errors['flips']:,}",
            f"BER {errors['ber']:.3g} of {errors['reads']:,} reads, exposure {errors['exposure']}",
        )
    unit, pJ = (
        ("nJ", 1e3) if energy.total < 1e6 else ("uJ", 1e6) if energy.total < 1e9 else ("mJ", 1e9)
    )
    yield (
        "energy",
        f"{energy.total / pJ:,.3f} {unit}",
        f"{result.average_power_mW:,.1f} mW on average, voltage law {result.voltage_law}",
    )
    for name in ("activate", "precharge", "read", "write", "refresh", "background"):
        value = getattr(energy, name)
        if value:
            yield f"  {name}", f"{value / pJ:,.3f} {unit}", _share(value, energy.total)


def machine_rows(result: RunResult) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of a network on a machine: all its layers together, and its baselines."""
    layers = result.layers
    stalled = sum(layer["stall_share"] * layer["cycles"] for layer in layers)
    macs = sum(layer["macs"] for layer in layers)
    yield (
        "layers",
        f"{len(layers):,}",
        f"{macs:,} MACs, {_share(stalled, result.cycles).strip()} of the time stalled",
    )
    kinds: dict[str, int] = {}
    for layer in layers:
        for kind, moved in layer["bytes_by_kind"].items():
            kinds[kind] = kinds.get(kind, 0) + moved
    remark = ", ".join(
        f"{kind.replace('_', ' ')} {moved / 1e6:,.2f}" for kind, moved in kinds.items() if moved
    )
    yield "DRAM traffic", f"{sum(kinds.values()) / 1e6:,.2f} MB", remark
    for name, baseline in result.baselines.items():
        yield (
            f"against {name}",
            f"{baseline['speedup']:.4f} x",
            f"as fast, {less_or_more(baseline['energy_saved'])} energy",
        )


def layer_table(layers: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table with one row per layer."""
    header = ("layer", "operator", "time us", "stalled", "DRAM kB", "row hits", "energy uJ")
    rows = [header]
    for layer in layers:
        seen = layer["row_hits"] + layer["row_misses"] + layer["row_conflicts"]
        rows.append(
            (
                layer["name"],
                layer["operator"],
                f"{layer['time_ns'] / 1000:,.2f}",
                _share(layer["stall_share"], 1),
                f"{sum(layer['bytes_by_kind'].values()) / 1000:,.1f}",
                _share(layer["row_hits"], seen),
                f"{layer['energy_pJ']['total'] / 1e6:,.3f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        cells = [
            f"{cell:<{width}}" if column < 2 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def aligned(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Yield lines of three columns, the first and last left-aligned, the second right-aligned."""
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, value, remark in rows:
        yield f"{name:<{names}}  {value:>{values}}  {remark}".rstrip()


def less_or_more(share: float) -> str:
    """Return a saved share as a percentage without a sign ("2.50 % less", "0.47 % more").

    A difference that rounds to nothing has no direction; it is "0.00 % less".
    """
    words = f"{100 * abs(share):.2f} %"
    return f"{words} more" if share < 0 and words != "0.00 %" else f"{words} less"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:4.1f} %" if whole else "-"
