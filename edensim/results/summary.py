"""A result as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edensim.results.run import RunResult


def summary_rows(result: RunResult) -> Iterator[tuple[str, str, str]]:
    """Rows (name, value, remark) of the summary."""
    requests, latency, energy = result.requests, result.read_latency_cycles, result.energy_pJ
    yield "time", f"{result.time_ns / 1000:,.3f} us", f"{result.cycles:,} memory cycles"
    yield "requests", f"{requests['read'] + requests['write']:,}", f"{requests['read']:,} reads, {requests['write']:,} writes"
    if requests["forwarded"] or requests["coalesced"]:
        yield "", "", f"{requests['forwarded']:,} reads forwarded, {requests['coalesced']:,} writes coalesced"
    seen = result.row_hits + result.row_misses + result.row_conflicts
    if seen:  # a command trace does not tell
        yield "row hits", _share(result.row_hits, seen), f"{result.row_misses:,} misses, {result.row_conflicts:,} conflicts"
    if latency["mean"] is not None:
        percentiles = f"median {latency['p50']:,}, 99 % within {latency['p99']:,}, longest {latency['max']:,}"
        yield "read latency", f"{latency['mean']:,.1f} cycles", percentiles
    peak = f"{_share(result.bandwidth_GBps, result.peak_bandwidth_GBps)} of {result.peak_bandwidth_GBps:,.2f} GB/s"
    yield "bandwidth", f"{result.bandwidth_GBps:,.2f} GB/s", peak
    if result.core is not None:
        remark = f"{result.core['instructions']:,} instructions, {result.core['cycles']:,} core cycles"
        yield "core", f"{result.core['ipc']:.4f} IPC", remark
    yield "commands", f"{sum(result.commands.values()):,}", ", ".join(f"{name} {count:,}" for name, count in result.commands.items() if count)
    unit, pJ = ("nJ", 1e3) if energy.total < 1e6 else ("uJ", 1e6) if energy.total < 1e9 else ("mJ", 1e9)
    yield "energy", f"{energy.total / pJ:,.3f} {unit}", f"{result.average_power_mW:,.1f} mW on average, voltage law {result.voltage_law}"
    for name in ("activate", "precharge", "read", "write", "refresh", "background"):
        value = getattr(energy, name)
        if value:
            yield f"  {name}", f"{value / pJ:,.3f} {unit}", _share(value, energy.total)


def aligned(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Lines of three columns: names and remarks start, values end in one column."""
    names, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, value, remark in rows:
        yield f"{name:<{names}}  {value:>{values}}  {remark}".rstrip()


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:4.1f} %" if whole else "-"
