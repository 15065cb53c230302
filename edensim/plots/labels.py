"""Words on a picture: axis labels with units, values of a legend, and the caption that says what was run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from edensim.config.knobs import KNOBS
from edensim.exceptions import EdensimError
from edensim.plots.points import CONFIG, format_value

if TYPE_CHECKING:
    from edensim.plots.points import Points

#: Names of frequent keys; others are told from the key itself.
NAMES: Final = {
    "time_ns": "Run time",
    "cycles": "Run time",
    "energy_pJ.total": "DRAM energy",
    "average_power_mW": "Average DRAM power",
    "bandwidth_GBps": "Bandwidth",
    "peak_bandwidth_GBps": "Peak bandwidth",
    "read_latency_cycles.mean": "Mean read latency",
    "read_latency_cycles.p50": "Median read latency",
    "read_latency_cycles.p99": "99th-percentile read latency",
    "read_latency_cycles.max": "Longest read latency",
    "core.ipc": "Instructions per cycle",
    **{f"dram.{knob.name}": f"{knob.meaning.capitalize()} {knob.label}" for knob in KNOBS.values()},
}
#: Endings of keys that name a unit, and how the unit is printed.
UNITS: Final = {
    "V": "V",
    "mV": "mV",
    "ns": "ns",
    "pJ": "pJ",
    "GBps": "GB/s",
    "mW": "mW",
    "mA": "mA",
    "MHz": "MHz",
    "kB": "kB",
    "cycles": "cycles",
}
_COUNTED: Final = {
    "row_hits": "requests",
    "row_misses": "requests",
    "row_conflicts": "requests",
    "core.cycles": "core cycles",
    "core.ipc": "",
}
_STEPS: Final = {"pJ": ("pJ", "nJ", "µJ", "mJ", "J"), "ns": ("ns", "µs", "ms", "s")}


def unit_of(key: str) -> str:
    """Unit of a key's value as printed; empty where it has none."""
    key = key.removeprefix(CONFIG)
    if key in _COUNTED:
        return _COUNTED[key]
    if key.startswith(("dram.timings.n", "read_latency_cycles.")) or key == "cycles":
        return "cycles"
    if key.startswith("energy_pJ."):
        return "pJ"
    if key.startswith(("commands.", "requests.")):
        return key.partition(".")[0]
    return next(
        (UNITS[part] for part in reversed(key.replace(".", "_").split("_")) if part in UNITS), ""
    )


def name_of(key: str) -> str:
    """What a key is called, without its unit."""
    key = key.removeprefix(CONFIG)
    if key in NAMES:
        return NAMES[key]
    if key.startswith("dram.timings."):
        return key.removeprefix("dram.timings.")
    if key.startswith("energy_pJ."):
        return f"{key.removeprefix('energy_pJ.').replace('_', ' ').capitalize()} energy"
    if key.startswith("commands."):
        return f"{key.removeprefix('commands.')} commands"
    head, _, tail = key.rpartition(".")
    words = tail.split("_")
    if words[-1] in UNITS and len(words) > 1:
        words = words[:-1]
    text = " ".join(words)
    text = text[:1].upper() + text[1:]
    return (
        f"{head.replace('_', ' ').capitalize()}: {text[:1].lower() + text[1:]}"
        if head in ("requests", "frontend", "core")
        else text
    )


def axis_label(key: str, unit: str | None = None) -> str:
    """`Run time (µs)`. unit: of the scaled values, if they were."""
    unit = unit_of(key) if unit is None else unit
    return f"{name_of(key)} ({unit})" if unit else name_of(key)


def scale_of(key: str, values: Sequence[float]) -> tuple[float, str]:
    """What to divide a key's values by so that the largest reads well, and the unit they then have."""
    unit = unit_of(key)
    if unit not in _STEPS:
        return 1.0, unit
    largest, steps = max((abs(value) for value in values), default=0.0), _STEPS[unit]
    step = 0
    while largest >= 1000 and step < len(steps) - 1:
        largest, step = largest / 1000, step + 1
    return 1000.0**step, steps[step]


def short_value(key: str, value: Any) -> str:
    """A value in a legend: `1.05 V`, `nRCD 10`, `frfcfs`."""
    key = key.removeprefix(CONFIG)
    text, unit = format_value(value), unit_of(key)
    if key == "trace" and value is not None:
        return PurePath(text).name.partition(".")[0]
    if key.startswith("dram.t") and key.endswith("_ns"):
        return f"t{key[6:-3].upper()} {text}{' ns' if value is not None else ''}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return (
            f"{key.rpartition('.')[2]} {text}"
            if value is None or text.isdigit() or value in (True, False)
            else text
        )
    if unit and unit != "cycles":
        return f"{text} {unit}"
    return f"{key.rpartition('.')[2].removesuffix('_cycles')} {text}"


def caption(points: Points) -> str:
    """What was run, in two or three short parts: memory, controller, source and trace, version and seed."""
    swept = points.swept()

    def text(key: str, form: str = "{}") -> str:
        values = points.values(CONFIG + key)
        return (
            form.format(format_value(values[0]))
            if values[0] is not None and CONFIG + key not in swept
            else ""
        )

    def several(form: str, key: str) -> str:
        count = text(key)
        return "" if not count else form.format(count) + ("" if count == "1" else "s")

    names = _device(points)
    memory = [
        *names,
        several("{} channel", "dram.channels"),
        several("{} rank", "dram.ranks"),
        text("dram.vdd_V", "{} V"),
        *(
            text(f"dram.{key}_ns", f"t{key[1:].upper()} {{}} ns")
            for key in ("trcd", "trp", "tras", "twr", "trefi")
        ),
        *_counted_parts(points),
    ]
    memory += [
        f"{key.removeprefix('config.dram.timings.')} {text(key.removeprefix(CONFIG))}"
        for key in points.keys
        if _constant_timing(key, swept)
    ]
    touched = [
        key
        for key in points.keys
        if key.startswith("config.dram.") and (key.endswith(("_V", "_ns")) or ".timings." in key)
    ]
    memory += [text("dram.mode", "{} mode")] if touched else []
    controller = [
        text("controller.scheduler"),
        text("controller.row_policy", "{} rows"),
        text("controller.refresh", "refresh {}"),
    ]
    trace = text("trace")
    source = [text("source.kind", "{} source"), f"trace {PurePath(trace).name}" if trace else ""]
    if text("network"):
        source += [PurePath(text("network")).name, text("precision"), text("frontend", "on {}")]
    law = points.values("voltage_law")
    laws = sorted({str(value) for value in law if value is not None})
    versions = sorted({str(value) for value in points.values("version") if value is not None})
    seeds = sorted({str(value) for value in points.values("seed") if value is not None}) or [
        text("seed")
    ]
    ends = [
        f"voltage law {laws[0]}" if len(laws) == 1 else "",
        f"edensim {', '.join(versions)}" if versions else "",
    ]
    ends += [f"seed {seeds[0]}" if len(seeds) == 1 and seeds[0] else ""]
    over = [
        f"{key.removeprefix(CONFIG)} ({len({repr(v) for v in points.values(key)})} values)"
        for key in swept
        if key != "config.seed"
    ]
    if points.missing:
        over.append(f"{points.missing} points not finished")
    parts = [
        memory,
        controller,
        source,
        [f"swept: {', '.join(over[:4])}{', ...' if len(over) > 4 else ''}"] if over else [],
        ends,
    ]
    return " · ".join(", ".join(word for word in part if word) for part in parts if any(part))


def _counted_parts(points: Points) -> list[str]:
    """`2 partitions`, where all points have as many."""
    found = []
    for key, one, several in (
        ("partitions", "partition", "partitions"),
        ("changes", "change in mid-run", "changes in mid-run"),
    ):
        counts = {
            len(value) if isinstance(value, list) else 0
            for value in points.values(f"{CONFIG}dram.{key}")
        }
        count = counts.pop() if len(counts) == 1 else 0
        found += [f"{count} {one if count == 1 else several}"] if count else []
    return found


def _constant_timing(key: str, swept: Sequence[str]) -> bool:
    return key.startswith("config.dram.timings.") and key not in swept


def _device(points: Points) -> list[str]:
    """Standard, organization and speed bin, where they are the same at all points; defaults are looked up."""
    found = []
    for key in ("standard", "organization", "speed_bin"):
        values = {points.values(f"config.dram.{key}")[i] for i in range(len(points))}
        found.append(values.pop() if len(values) == 1 else "")
    standard, organization, speed_bin = found
    if standard and (organization is None or speed_bin is None):
        from edensim.dram.standard import load_standard

        try:
            known = load_standard(
                standard, organization=organization or None, speed_bin=speed_bin or None
            )
            organization = known.organization.name if organization is None else organization
            speed_bin = known.speed_bin if speed_bin is None else speed_bin
        except EdensimError:
            pass  # the standard's file is not here: the caption says what the result says
    return [str(word) for word in (standard, organization, speed_bin) if word]
