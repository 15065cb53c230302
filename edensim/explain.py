"""Every resolved value of a configuration and where it came from, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from edensim.config import DEFAULT, flat
from edensim.dram.address import address_map
from edensim.dram.operating_point import DURATIONS, resolve_standard
from edensim.dram.standard_file import find_standard, read_standard_file, standard_names
from edensim.units import ns_from_cycles

if TYPE_CHECKING:
    from edensim.config import LoadedConfig
    from edensim.dram.address import AddressMap
    from edensim.dram.standard import Standard

Row = tuple[str, str, str]

#: Keys that set a timing of the module in ns.
KNOBS = {**DURATIONS, "trefi_ns": "nREFI"}

#: What a key stands for where it is not set.
UNSET = {
    "dram.trcd_ns": "nRCD cycles",
    "dram.trp_ns": "nRP cycles",
    "dram.tras_ns": "nRAS cycles",
    "dram.twr_ns": "nWR cycles",
    "dram.trefi_ns": "nREFI cycles",
    "energy.io_pJ_per_bit": "what the standard's interface takes",
    "trace": "none",
    "trace_format": "recognised by content",
    "source.kind": "what the trace format says",
    "source.instructions": "the trace once",
}


def explanation(loaded: LoadedConfig) -> str:
    """The configuration, the standard's timings and currents with it, and what follows from both. Raises ConfigError."""
    standard = resolve_standard(loaded.config.dram)
    mapping = address_map(loaded.config.controller.address_mapping, standard.organization, loaded.config.dram.channels)
    file = str(find_standard(loaded.config.dram.standard))
    lines = ["configuration"]
    lines += _table(_configuration(loaded, standard, file))
    lines += ["", f"timings of {standard.name} {standard.organization.name} {standard.speed_bin}, clock {standard.tck_ps} ps"]
    lines += _table(_timings(loaded, standard, file))
    lines += ["", f"supply and currents of one device ({standard.source})"]
    lines += _table(_currents(standard))
    lines += ["", "derived"]
    lines += _table(_derived(loaded, standard, mapping))
    return "\n".join(lines)


def standards_overview() -> str:
    """Standards that can be loaded, their organizations and speed bins; * marks each default."""
    lines = []
    for name in standard_names():
        file = read_standard_file(find_standard(name))
        lines.append(f"{name}  ({file.path})")
        for words, rows, default in (
            ("organizations", file.organizations, file.texts["default_organization"]),
            ("speed bins", file.speed_bins, file.texts["default_speed_bin"]),
        ):
            lines.append(f"  {words + ':':<15}" + ", ".join(f"{row}*" if row == default else row for row in rows))
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
    for key, value in flat(loaded.config).items():
        origin = loaded.origins.get(key, DEFAULT)
        if key.startswith("dram.timings."):
            continue  # stands among the timings
        if value is None and key in defaults:
            yield key, defaults[key], f"default of {file}"
        else:
            yield key, UNSET[key] if value is None else _shown(value), origin


def _shown(value: object) -> str:
    """A value as a configuration could have it: of lists' items what is set."""
    if not isinstance(value, tuple):
        return str(value)
    if not value:
        return "none"
    return "; ".join(", ".join(f"{key} {kept}" for key, kept in item.items() if kept is not None) for item in value)


def _timings(loaded: LoadedConfig, standard: Standard, file: str) -> Iterator[Row]:
    dram = msgspec.structs.replace(loaded.config.dram, mode="approximate", partitions=(), changes=(), **dict.fromkeys(KNOBS))
    specified = resolve_standard(dram)
    for name, cycles in standard.timings.items():
        origin = loaded.origins.get(f"dram.timings.{name}", file)
        asked = next((f"dram.{key}" for key, timing in KNOBS.items() if timing == name and getattr(loaded.config.dram, key) is not None), None)
        if asked is not None:
            origin = f"{asked}, {loaded.origins[asked]}"
        elif name not in loaded.config.dram.timings and cycles != specified.timings[name]:
            origin = "follows the operating point"
        yield name, f"{cycles:>6}", f"{ns_from_cycles(cycles, standard.tck_ps):>9.2f} ns  {origin}"


def _currents(standard: Standard) -> Iterator[Row]:
    from dataclasses import fields

    for field in fields(standard.currents):
        name, _, unit = field.name.rpartition("_")
        yield name.upper(), f"{getattr(standard.currents, field.name):g} {unit}", ""


def _derived(loaded: LoadedConfig, standard: Standard, mapping: AddressMap) -> Iterator[Row]:
    organization, timings = standard.organization, standard.timings
    channels = loaded.config.dram.channels
    yield "capacity", f"{mapping.capacity_bytes / 2**30:g} GiB", f"channels {channels} x {organization.channel_bytes / 2**30:g} GiB"
    banks = f"ranks {organization.ranks} x bank groups {organization.bankgroups} x banks {organization.banks}"
    yield "banks per channel", f"{organization.banks_per_channel}", banks
    yield "devices per rank", f"{organization.devices_per_rank}", f"{organization.channel_width} bits / {organization.device_width}"
    yield "row size", f"{organization.bursts_per_row * organization.access_bytes} bytes", f"{organization.bursts_per_row} accesses"
    yield "access size", f"{organization.access_bytes} bytes", f"{organization.prefetch} beats of {organization.channel_width} bits"
    yield "peak bandwidth", f"{channels * standard.peak_bandwidth_GBps:.2f} GB/s", f"{organization.access_bytes} bytes every nBL, channels {channels}"
    for name, cycles, meaning in (
        ("read, row open", standard.read_latency, "RD to the last beat"),
        ("read, bank closed", timings["nRCD"] + standard.read_latency, "nRCD more"),
        ("read, other row open", timings["nRP"] + timings["nRCD"] + standard.read_latency, "nRP + nRCD more"),
    ):
        yield name, f"{cycles} cycles", f"{ns_from_cycles(cycles, standard.tck_ps):.2f} ns: {meaning}, unloaded"
    yield "address bits", f"{mapping.capacity_bytes.bit_length() - 1}", " | ".join(_address_bits(mapping))
    for xor in mapping.xors:
        yield "", "", f"{xor.field} is XORed with column bits {_span(xor.source_bit, xor.width)}"


def _address_bits(mapping: AddressMap) -> Iterator[str]:
    """Fields from the most to the least significant bit."""
    for part in reversed(mapping.slices):
        yield f"{part.field} {_span(part.address_bit, part.width)}"
    yield f"byte {_span(0, mapping.offset_bits)}"


def _span(low: int, width: int) -> str:
    return f"{low}" if width == 1 else f"{low + width - 1}-{low}"
