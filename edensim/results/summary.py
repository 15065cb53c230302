"""A result as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Name, value and remark.
Row = tuple[str, str, str]


def summary_rows(result: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows (name, value, remark) of the summary of a result, given as plain values."""
    cycles, time_ns = result["cycles"], result["time_ns"]
    if result.get("memory"):
        yield "simulated", "", _memory_text(result)
    yield "time", f"{time_ns / 1000:,.3f} us", f"{cycles:,} memory cycles"
    yield from _request_rows(result)
    used_GBps, peak_GBps = result["bandwidth_GBps"], result["peak_bandwidth_GBps"]
    peak = f"{_share(used_GBps, peak_GBps)} of {peak_GBps:,.2f} GB/s"
    yield "bandwidth", f"{used_GBps:,.2f} GB/s", peak
    core = result.get("core")
    if core is not None:
        remark = f"{core['instructions']:,} instructions, {core['cycles']:,} core cycles"
        yield "core", f"{core['ipc']:.4f} IPC", remark
    if result["layers"]:
        yield from machine_rows(result)
    commands = result["commands"]
    yield (
        "commands",
        f"{sum(commands.values()):,}",
        ", ".join(f"{name} {count:,}" for name, count in commands.items() if count),
    )
    points = result["operating_points"]
    missed = points.get("changes_not_made")
    if missed:
        at_cycle = points["changes"][missed[0]]["at_cycle"]
        yield (
            "changes",
            f"{len(missed):,} not made",
            f"the run ended before dram.changes.{missed[0]}, at cycle {at_cycle:,}",
        )
    yield from _specification_rows(result)
    errors = result["bit_errors"]
    if errors:
        yield (
            "bit errors",
            f"{errors['flips']:,}",
            f"BER {errors['ber']:.3g} of {errors['reads']:,} reads, exposure {errors['exposure']}",
        )
    yield from _energy_rows(result)


def _request_rows(result: Mapping[str, Any]) -> Iterator[Row]:
    requests, latency = result["requests"], result["read_latency_cycles"]
    reads, writes = requests["read"], requests["write"]
    yield "requests", f"{reads + writes:,}", f"{reads:,} reads, {writes:,} writes"
    forwarded, coalesced = requests["forwarded"], requests["coalesced"]
    if forwarded or coalesced:
        yield "", "", f"{forwarded:,} reads forwarded, {coalesced:,} writes coalesced"
    hits, misses, conflicts = (result[f"row_{name}"] for name in ("hits", "misses", "conflicts"))
    seen = hits + misses + conflicts
    if seen:  # unknown if the result is of a command trace
        yield "row hits", _share(hits, seen), f"{misses:,} misses, {conflicts:,} conflicts"
    if latency["mean"] is not None:
        percentiles = (
            f"median {latency['p50']:,}, 99 % within {latency['p99']:,}, longest {latency['max']:,}"
        )
        yield "read latency", f"{latency['mean']:,.1f} cycles", percentiles


def _energy_rows(result: Mapping[str, Any]) -> Iterator[Row]:
    energy, power_mW, law = result["energy_pJ"], result["average_power_mW"], result["voltage_law"]
    total_pJ = energy["total"]
    unit, pJ = ("nJ", 1e3) if total_pJ < 1e6 else ("uJ", 1e6) if total_pJ < 1e9 else ("mJ", 1e9)
    yield (
        "energy",
        f"{total_pJ / pJ:,.3f} {unit}",
        f"{power_mW:,.1f} mW on average, voltage law {law}",
    )
    for name in ("activate", "precharge", "read", "write", "refresh", "background"):
        if energy[name] or name == "activate" and result["commands"].get("ACT"):
            yield f"  {name}", f"{energy[name] / pJ:,.3f} {unit}", _share(energy[name], total_pJ)
    for note in result.get("notes", ()):
        yield "note", "", note


def _specification_rows(result: Mapping[str, Any]) -> Iterator[Row]:
    """Yield a row if the run was outside specification, which says what became of its bits."""
    points, exposure = result["operating_points"], result["exposure"]
    if points.get("within_specification", True):
        return
    bits = "" if result["bit_errors"] else "; no error model, bits assumed right"
    reads, too_soon = (exposure.get(key, 0) for key in ("reads", "out_of_specification"))
    if too_soon:
        yield "out of specification", f"{too_soon:,}", f"of {reads:,} reads{bits}"
        return
    names = {name for point in points.get("points", ()) for name in point["outside_specification"]}
    yield "out of specification", ", ".join(sorted(names)), f"no read came too soon{bits}"


def _memory_text(result: Mapping[str, Any]) -> str:
    """Name what was simulated: the trace or the network and its machine, and the memory."""
    config, memory = result["config"], result["memory"]
    workload = config.get("trace") or "commands"
    if config.get("network"):
        workload = f"{config['network']} ({config['precision']}) on {config['frontend']}"
    return (
        f"{workload}; {memory['standard']} {memory['organization']} {memory['speed_bin']}, "
        f"channels {memory['channels']} x ranks {memory['ranks']}, {memory['vdd_V']:g} V"
    )


def machine_rows(result: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of a network on a machine: all its layers together, and its baselines."""
    layers, cycles = result["layers"], result["cycles"]
    stalled = sum(layer["stall_share"] * layer["cycles"] for layer in layers)
    macs = sum(layer["macs"] for layer in layers)
    yield (
        "layers",
        f"{len(layers):,}",
        f"{macs:,} MACs, {_share(stalled, cycles).strip()} of the time stalled",
    )
    kinds: dict[str, int] = {}
    for layer in layers:
        for kind, moved in layer["bytes_by_kind"].items():
            kinds[kind] = kinds.get(kind, 0) + moved
    remark = ", ".join(
        f"{kind.replace('_', ' ')} {moved / 1e6:,.2f}" for kind, moved in kinds.items() if moved
    )
    yield "DRAM traffic", f"{sum(kinds.values()) / 1e6:,.2f} MB", remark
    for name, baseline in result["baselines"].items():
        others = ", ".join(
            f"{key.removeprefix('energy_saved_')} {less_or_more(value)}"
            for key, value in baseline.items()
            if key.startswith("energy_saved_") and key != f"energy_saved_{result['voltage_law']}"
        )
        yield (
            f"against {name}",
            f"{baseline['speedup']:.4f} x",
            f"as fast, {less_or_more(baseline['energy_saved'])} energy "
            f"(voltage law {result['voltage_law']}{'; ' if others else ''}{others})",
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


def aligned(rows: list[Row]) -> Iterator[str]:
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
