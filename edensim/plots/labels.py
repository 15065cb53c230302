"""Find the words of a picture: axis labels with units, values of a legend, and the caption."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

from edensim.config.knobs import DURATIONS, KNOBS
from edensim.dram.standard import load_standard
from edensim.exceptions import EdensimError
from edensim.plots.points import CONFIG, Points, format_value

#: Names of frequent keys; the names of others are made from the key.
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
_UNITS_OF_KEYS: Final = {
    "row_hits": "requests",
    "row_misses": "requests",
    "row_conflicts": "requests",
    "core.cycles": "core cycles",
    "core.ipc": "",
}
_TIMINGS: Final = "dram.timings."
_STEPS: Final = {"pJ": ("pJ", "nJ", "µJ", "mJ", "J"), "ns": ("ns", "µs", "ms", "s")}


def unit_of(key: str) -> str:
    """Return the unit of a key's value as it is printed, empty if it has none."""
    key = key.removeprefix(CONFIG)
    if key in _UNITS_OF_KEYS:
        return _UNITS_OF_KEYS[key]
    if key.startswith(("dram.timings.n", "read_latency_cycles.")):
        return "cycles"
    if key.startswith("energy_pJ."):
        return "pJ"
    if key.startswith(("commands.", "requests.")):
        return key.partition(".")[0]
    parts = reversed(key.replace(".", "_").split("_"))
    return next((UNITS[part] for part in parts if part in UNITS), "")


def name_of(key: str) -> str:
    """Return what a key is called, without its unit."""
    key = key.removeprefix(CONFIG)
    if key in NAMES:
        return NAMES[key]
    head, _, tail = key.rpartition(".")
    if key.startswith(_TIMINGS):
        return tail
    if key.startswith("energy_pJ."):
        return f"{key.removeprefix('energy_pJ.').replace('_', ' ').capitalize()} energy"
    if key.startswith("commands."):
        return f"{key.removeprefix('commands.')} commands"
    words = tail.split("_")
    if words[-1] in UNITS and len(words) > 1:
        words = words[:-1]
    text = " ".join(words)
    if head in ("requests", "frontend", "core"):
        return f"{head.capitalize()}: {text[:1].lower()}{text[1:]}"
    return text[:1].upper() + text[1:]


def axis_label(key: str, unit: str | None = None) -> str:
    """Return a label such as `Run time (µs)`; `unit` is that of scaled values."""
    unit = unit_of(key) if unit is None else unit
    return f"{name_of(key)} ({unit})" if unit else name_of(key)


def scale_of(key: str, values: Sequence[float]) -> tuple[float, str]:
    """Return a divisor with which the largest of a key's values reads well, and the unit then."""
    unit = unit_of(key)
    if unit not in _STEPS:
        return 1.0, unit
    largest, steps, step = max(map(abs, values), default=0.0), _STEPS[unit], 0
    while largest >= 1000 and step < len(steps) - 1:
        largest, step = largest / 1000, step + 1
    return 1000.0**step, steps[step]


def short_value(key: str, value: Any) -> str:
    """Return a value as a legend shows it: `1.05 V`, `nRCD 10`, `frfcfs`."""
    key = key.removeprefix(CONFIG)
    last = key.rpartition(".")[2]
    text, unit = format_value(value), unit_of(key)
    if key == "trace" and value is not None:
        return PurePath(text).name.partition(".")[0]
    knob = KNOBS.get(key.removeprefix("dram."))
    if knob is not None and knob.timing:
        return f"{knob.label} {text}{' ns' if value is not None else ''}"
    if value is None or isinstance(value, bool):
        return f"{last} {text}"
    if not isinstance(value, int | float):
        return f"{last} {text}" if text.isdigit() else text
    if unit and unit != "cycles":
        return f"{text} {unit}"
    return f"{last.removesuffix('_cycles')} {text}"


def point_names(points: Points) -> list[str]:
    """Return a short name of each point: its swept values, or else the file it came from."""
    swept = points.swept()
    keys = [key for key in swept if key != "config.seed" or len(swept) == 1][:3]
    texts = [", ".join(short_value(key, row.get(key)) for key in keys) for row in points.rows]
    return texts if keys and len(set(texts)) == len(texts) else list(points.names)


def caption(points: Points) -> str:
    """Describe what was run: memory, controller, source and trace, swept keys, version, seed."""
    swept = points.swept()
    constants = {
        key.removeprefix(CONFIG): points.values(key)[0]
        for key in points.keys
        if key.startswith(CONFIG) and key not in swept
    }

    def text(key: str, form: str = "{}") -> str:
        value = constants.get(key)
        return "" if value is None else form.format(format_value(value))

    def number(key: str, noun: str) -> str:
        return text(key, f"{{}} {noun}") + ("" if text(key) in ("", "1") else "s")

    trace, network = text("trace"), text("network")
    parts = [
        [
            *_device(points),
            number("dram.channels", "channel"),
            number("dram.ranks", "rank"),
            text("dram.vdd_V", "{} V"),
            *(text(f"dram.{knob.name}", f"{knob.label} {{}} ns") for knob in DURATIONS),
            _count(points, "partitions", "partition", "partitions"),
            _count(points, "changes", "change in mid-run", "changes in mid-run"),
            *(
                f"{key.removeprefix(_TIMINGS)} {text(key)}"
                for key in constants
                if key.startswith(_TIMINGS)
            ),
            text("dram.mode", "{} mode") if _is_reduced(points) else "",
        ],
        [
            text("controller.scheduler"),
            text("controller.row_policy", "{} rows"),
            text("controller.refresh", "refresh {}"),
        ],
        [
            text("source.kind", "{} source"),
            f"trace {PurePath(trace).name}" if trace else "",
            *([PurePath(network).name, text("precision")] if network else []),
            text("frontend", "on {}") if network else "",
        ],
        [_swept_text(points, swept)],
        _versions(points, text("seed")),
    ]
    return " · ".join(", ".join(word for word in part if word) for part in parts if any(part))


def _is_reduced(points: Points) -> bool:
    """Whether the runs set a voltage, a time or a timing of the memory."""
    return any(
        key.startswith("config.dram.") and (key.endswith(("_V", "_ns")) or ".timings." in key)
        for key in points.keys
    )


def _count(points: Points, key: str, one: str, several: str) -> str:
    """Return a text such as `2 partitions`, if all points have as many."""
    lists = points.values(f"{CONFIG}dram.{key}")
    counts = {len(value) if isinstance(value, list) else 0 for value in lists}
    count = counts.pop() if len(counts) == 1 else 0
    return f"{count} {one if count == 1 else several}" if count else ""


def _swept_text(points: Points, swept: Sequence[str]) -> str:
    texts = [
        f"{key.removeprefix(CONFIG)} ({len(set(map(repr, points.values(key))))} values)"
        for key in swept
        if key != "config.seed"
    ]
    if points.missing:
        texts.append(f"{points.missing} points not finished")
    return f"swept: {', '.join(texts[:4])}{', ...' if len(texts) > 4 else ''}" if texts else ""


def _versions(points: Points, config_seed: str) -> list[str]:
    """Return the voltage law, the versions and the seed, each if there is one to name."""
    laws, versions, seeds = (
        sorted({str(value) for value in points.values(key) if value is not None})
        for key in ("voltage_law", "version", "seed")
    )
    seed = (seeds[0] if len(seeds) == 1 else "") if seeds else config_seed
    return [
        f"voltage law {laws[0]}" if len(laws) == 1 else "",
        f"edensim {', '.join(versions)}" if versions else "",
        f"seed {seed}" if seed else "",
    ]


def _device(points: Points) -> list[str]:
    """Return standard, organization and speed bin if they are the same at all points.

    Those that the configuration leaves open are looked up.
    """
    values = [set(points.values(f"config.dram.{key}")) for key in DEVICE]
    standard, organization, speed_bin = (known.pop() if len(known) == 1 else "" for known in values)
    if standard and (organization is None or speed_bin is None):
        try:
            device = load_standard(
                standard, organization=organization or None, speed_bin=speed_bin or None
            )
        except EdensimError:
            pass  # the standard's file is not here: the caption says what the result says
        else:
            organization = device.organization.name if organization is None else organization
            speed_bin = device.speed_bin if speed_bin is None else speed_bin
    return [str(word) for word in (standard, organization, speed_bin) if word]


#: Keys of the configuration that name a DRAM device.
DEVICE: Final = ("standard", "organization", "speed_bin")
