"""`edensim explain`: every resolved value of a configuration and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import Overrides
from edensim.config.knobs import DURATIONS
from edensim.config.loading import DEFAULT, LoadedConfig, flat, known_keys, load_config
from edensim.dram.address import AddressMap
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard
from edensim.dram.standard_file import find_standard
from edensim.vocabulary import ns_from_cycles

Row = tuple[str, str, str]

#: What is in force if a key is not set.
UNSET = {
    **{f"dram.{knob.name}": f"{knob.timing} cycles" for knob in DURATIONS},
    "controller.self_refresh_idle_cycles": "never",
    "energy.io_pJ_per_bit": "what the standard's interface takes",
    "trace": "none",
    "trace_format": "recognised by content",
    "source.kind": "what the trace format says",
    "source.instructions": "the trace once",
}


def explain(
    run_file: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN.yaml]", help="A run file (default: the defaults)."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Show every resolved value of a configuration and where it came from."""
    loaded = load_config(run_file, overrides or [])
    with loaded.locating():
        typer.echo(explanation(loaded))


def explanation(loaded: LoadedConfig) -> str:
    """Describe a configuration, the timings and currents it results in, and a network's layout.

    Raises ConfigError or NetworkError.
    """
    memory = MemorySystem.resolve(loaded.config.dram, loaded.config.controller)
    standard = memory.standard
    file = str(find_standard(loaded.config.dram.standard))
    lines = ["configuration"]
    lines += _table(_configuration(loaded, standard, file))
    name = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
    lines += ["", f"timings of {name}, clock {standard.tck_ps} ps"]
    lines += _table(_timings(loaded, memory, file))
    lines += ["", f"supply and currents of one device ({standard.source})"]
    lines += _table(_currents(standard))
    if loaded.config.dram.partitions or loaded.config.dram.changes:
        lines += ["", "operating points"]
        lines += _table(_operating_points(memory))
    lines += ["", "derived"]
    lines += _table(_derived(loaded, memory))
    if loaded.config.network is not None:
        from edensim.networks.overview import layout_overview
        from edensim.simulation import layout_of

        lines += ["", layout_overview(layout_of(loaded.config, memory))]
    return "\n".join(lines)


def _table(rows: Iterable[Row]) -> Iterator[str]:
    rows = list(rows)
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for row in rows:
        yield f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip()


def _configuration(loaded: LoadedConfig, standard: Standard, file: str) -> Iterator[Row]:
    defaults = {
        "dram.organization": standard.organization.name,
        "dram.speed_bin": standard.speed_bin,
        "dram.vdd_V": f"{standard.currents.vdd_V:g}",
    }
    values = flat(loaded.config)
    for key in (*values, *(key for key in known_keys() if key not in values)):
        value = values.get(key)
        origin = loaded.origins.get(key, DEFAULT)
        if key.startswith("dram.timings"):
            continue  # listed among the timings
        if value is None and key in defaults:
            yield key, defaults[key], f"default of {file}"
        else:
            yield key, UNSET.get(key, "none") if value is None else _shown(value), origin


def _shown(value: object) -> str:
    """Return a value as a configuration could state it; of an item of a list, only what is set."""
    if not isinstance(value, tuple):
        return str(value)
    if not value:
        return "none"
    if not isinstance(value[0], dict):
        return ", ".join(map(str, value))
    return "; ".join(
        ", ".join(f"{key} {setting}" for key, setting in item.items() if setting is not None)
        for item in value
    )


def _timings(loaded: LoadedConfig, memory: MemorySystem, file: str) -> Iterator[Row]:
    standard, specified = memory.standard, memory.plan.specified
    for name, cycles in standard.timings.items():
        origin = loaded.origins.get(f"dram.timings.{name}", file)
        key = next(
            (
                f"dram.{knob.name}"
                for knob in DURATIONS
                if knob.timing == name and getattr(loaded.config.dram, knob.name) is not None
            ),
            None,
        )
        if key is not None:
            origin = f"{key}, {loaded.origins[key]}"
        elif name not in loaded.config.dram.timings and cycles != specified[name]:
            origin = "follows the operating point"
        yield name, f"{cycles:>6}", f"{ns_from_cycles(cycles, standard.tck_ps):>9.2f} ns  {origin}"


def _currents(standard: Standard) -> Iterator[Row]:
    for field in fields(standard.currents):
        name, _, unit = field.name.rpartition("_")
        yield name.upper(), f"{getattr(standard.currents, field.name):g} {unit}", ""


def _operating_points(memory: MemorySystem) -> Iterator[Row]:
    """Describe the module, its partitions, and the module after each change."""
    plan = memory.plan

    def described(index: int) -> str:
        point = plan.points[index]
        timings = ", ".join(f"{knob.timing} {point.timings[knob.timing]}" for knob in DURATIONS)
        remark = "" if point.within_specification else "; outside specification"
        return f"{point.vdd_V:g} V, {timings}{remark}"

    yield "module", described(0), ""
    for partition in plan.partitions:
        place = [f"channels {_listed(partition.channels)}", f"banks {_listed(partition.banks)}"]
        if partition.rows:
            rows = ",".join(
                f"{first}" if first == last else f"{first}-{last}" for first, last in partition.rows
            )
            place.append(f"rows {rows} of {memory.organization.rows}")
        yield partition.name, described(partition.point), ", ".join(place)
    for change in plan.changes:
        settling = (
            f", settles for {change.settling_cycles} cycles" if change.settling_cycles else ""
        )
        yield "module", described(change.point), f"from cycle {change.at_cycle} on{settling}"


def _listed(indices: tuple[int, ...]) -> str:
    """Abbreviate indices: (0, 1, 2, 3, 8) as `0-3,8`."""
    spans: list[list[int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans)


def _derived(loaded: LoadedConfig, memory: MemorySystem) -> Iterator[Row]:
    """Describe what follows from the configuration."""
    standard, mapping = memory.standard, memory.address_map
    yield from _geometry(memory)
    yield from _latencies(standard)
    if loaded.config.controller.self_refresh_idle_cycles is not None:
        from edensim.engine.timing_record import self_refresh_exit_cycles

        exit_cycles = self_refresh_exit_cycles(standard)
        yield (
            "self-refresh exit",
            f"{exit_cycles} cycles",
            f"{ns_from_cycles(exit_cycles, standard.tck_ps):.2f} ns: tXS, nRFC + 10 ns",
        )
    yield (
        "address bits",
        f"{mapping.capacity_bytes.bit_length() - 1}",
        " | ".join(_address_bits(mapping)),
    )
    for xor in mapping.xors:
        yield "", "", f"{xor.field} is XORed with column bits {_span(xor.source_bit, xor.width)}"


def _geometry(memory: MemorySystem) -> Iterator[Row]:
    """Describe the sizes of the memory, and its peak bandwidth."""
    organization, channels = memory.organization, memory.channels
    yield (
        "capacity",
        f"{memory.capacity_bytes / 2**30:g} GiB",
        f"channels {channels} x {organization.channel_bytes / 2**30:g} GiB",
    )
    banks = (
        f"ranks {organization.ranks} x bank groups {organization.bankgroups} x "
        f"banks {organization.banks}"
    )
    yield "banks per channel", f"{organization.banks_per_channel}", banks
    yield (
        "devices per rank",
        f"{organization.devices_per_rank}",
        f"{organization.channel_width} bits / {organization.device_width}",
    )
    yield (
        "row size",
        f"{organization.bursts_per_row * organization.access_bytes} bytes",
        f"{organization.bursts_per_row} accesses",
    )
    yield (
        "access size",
        f"{organization.access_bytes} bytes",
        f"{organization.prefetch} beats of {organization.channel_width} bits",
    )
    yield (
        "peak bandwidth",
        f"{memory.peak_bandwidth_GBps:.2f} GB/s",
        f"{organization.access_bytes} bytes every nBL, channels {channels}",
    )


def _latencies(standard: Standard) -> Iterator[Row]:
    """Describe how long a read takes in an idle memory."""
    timings = standard.timings
    for name, cycles, meaning in (
        ("read, row open", standard.read_latency, "RD to the last beat"),
        ("read, bank closed", timings["nRCD"] + standard.read_latency, "nRCD more"),
        (
            "read, other row open",
            timings["nRP"] + timings["nRCD"] + standard.read_latency,
            "nRP + nRCD more",
        ),
    ):
        yield (
            name,
            f"{cycles} cycles",
            f"{ns_from_cycles(cycles, standard.tck_ps):.2f} ns: {meaning}, unloaded",
        )


def _address_bits(mapping: AddressMap) -> Iterator[str]:
    """List the fields of an address from the most to the least significant bit."""
    for part in reversed(mapping.slices):
        yield f"{part.field} {_span(part.address_bit, part.width)}"
    yield f"byte {_span(0, mapping.offset_bits)}"


def _span(low: int, width: int) -> str:
    return f"{low}" if width == 1 else f"{low + width - 1}-{low}"
