"""Which points a sweep has, what each depends on, and which of them one simulation serves.

A point's key names everything its result depends on: configuration, standard file, trace content, edensim's version and code. Its simulation key
names only what commands depend on: points that agree in it differ in energy alone, and share one simulation.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from edensim._version import __version__
from edensim.config.loading import (
    OVER,
    LoadedConfig,
    flat,
    is_numeric,
    load_config,
    parse_setting,
    resolved,
)
from edensim.config.models import RunConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.operating_point import OperatingPlan
from edensim.dram.standard import Standard
from edensim.energy.events import event_energies
from edensim.engine.timing_record import timing_record
from edensim.engine.trace_core import core_record
from edensim.exceptions import ConfigError
from edensim.networks.loading import READERS
from edensim.simulation import prepare

#: A sweep of more points is a slip of the pen.
MAX_POINTS: Final = 1_000_000

#: Keys whose whole effect on commands is in the timings they resolve to (`timing_facts`).
OPERATING_POINT: Final = frozenset(
    {
        "vdd_V",
        "trcd_ns",
        "trp_ns",
        "tras_ns",
        "twr_ns",
        "trefi_ns",
        "mode",
        "timings",
        "partitions",
        "changes",
    }
)

_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_RANGE = re.compile(f"{_NUMBER}:{_NUMBER}:{_NUMBER}")

#: Values of the swept keys at one point.
Values = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One run of a sweep. values: what is swept; key: of its result; simulation: of its commands; trace: digest of the trace's content."""

    values: Values
    config: RunConfig
    key: str
    simulation: str
    trace: str


# ------------------------------------------------------------------------------------------------------------------- what --over says


def parse_over(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`KEY=V1,V2,...` and `KEY=START:STOP:STEP` (STOP included where a step meets it), by key. Raises ConfigError."""
    over: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, listed = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(f"{OVER} {text}: expected KEY=V1,V2,... or KEY=START:STOP:STEP")
        if key in over:
            raise ConfigError(
                f"{OVER} {text}: {key} is swept twice; give all its values in one list"
            )
        pieces = split_list(listed)
        if not any(piece.strip() for piece in pieces):
            raise ConfigError(f"{OVER} {text}: the list of values is empty")
        over[key] = [value for piece in pieces for value in _listed(key, piece.strip(), text)]
    return over


def split_list(text: str) -> list[str]:
    """Parts between commas that stand outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _listed(key: str, piece: str, text: str) -> list[Any]:
    """Values of one part of a list: one, or those of a range."""
    if not piece:
        raise ConfigError(f"{OVER} {text}: a value is missing between the commas")
    _, value = (
        parse_setting(f"{key}={piece}", OVER) if ":" not in piece else (key, None)
    )  # an unknown key is refused first
    if ":" not in piece:
        return [value]
    parse_setting(f"{key}=null", OVER)
    if not is_numeric(key) or piece.startswith(("[", "{")):
        return [parse_setting(f"{key}={piece}", OVER)[1]]
    match = _RANGE.fullmatch(piece)
    if match is None:
        raise ConfigError(f"{OVER} {key}={piece}: expected a number or START:STOP:STEP")
    start, stop, step = (Decimal(number) for number in match.groups())
    if step <= 0 or stop < start:
        raise ConfigError(
            f"{OVER} {key}={piece}: expected START:STOP:STEP with STOP not below START and STEP above 0"
        )
    count = int((stop - start) / step) + 1
    if count > MAX_POINTS:
        raise ConfigError(
            f"{OVER} {key}={piece}: {count:,} values; expected at most {MAX_POINTS:,} points"
        )
    whole = all(number.lstrip("+-").isdigit() for number in match.groups())
    return [
        int(value) if whole else float(value)
        for value in (start + step * index for index in range(count))
    ]


def points_of(
    over: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]], paired: bool = False
) -> list[Values]:
    """The points of a grid (every value with every other), of paired lists (first with first, ...) or of a list of points; each once.

    Raises ConfigError for no points, an empty list, pairs of unequal number, or too many points.
    """
    if not isinstance(over, Mapping):
        listed = [dict(point) for point in over]
        if not listed or not all(listed):
            raise ConfigError(f"{OVER}: expected at least one key to sweep")
        return _each_once(listed)
    if not over:
        raise ConfigError(f"{OVER}: expected at least one key to sweep")
    lists = {key: _values(key, values) for key, values in over.items()}
    lengths = {key: len(values) for key, values in lists.items()}
    if paired and len(set(lengths.values())) > 1:
        raise ConfigError(
            f"{OVER}: paired lists must be of one length; found {', '.join(f'{n} of {key}' for key, n in lengths.items())}"
        )
    count = 1
    for length in lengths.values():
        count *= length
    if not paired and count > MAX_POINTS:
        raise ConfigError(
            f"{OVER}: {' x '.join(map(str, lengths.values()))} = {count:,} points; expected at most {MAX_POINTS:,}"
        )
    rows = zip(*lists.values(), strict=True) if paired else itertools.product(*lists.values())
    return _each_once([dict(zip(lists, row, strict=True)) for row in rows])


def _values(key: str, values: Any) -> list[Any]:
    """A list of plain values, from any sequence (numpy's too)."""
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise ConfigError(f"{OVER} {key}: expected a list of values, found {values!r}")
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    if not plain:
        raise ConfigError(f"{OVER} {key}: the list of values is empty")
    return plain


def _each_once(points: list[Values]) -> list[Values]:
    return list(
        {json.dumps(point, sort_keys=True, default=repr): point for point in points}.values()
    )


# ------------------------------------------------------------------------------------------------------------- points and their digests


def plan(
    base: LoadedConfig, points: Sequence[Values], trace_digest: Callable[[str], str]
) -> list[Point]:
    """All points of a sweep, each checked as far as it can be without running it.

    trace_digest: digest of a trace file's content. Raises ConfigError, naming key and value, for the first point that cannot be run,
    TraceError for its trace.
    """
    planner = _Planner(trace_digest)
    unswept = flat(base.config)
    planned = []
    for values in points:
        try:
            planned.append(
                planner.point(load_config(None, (), {**unswept, **values}).config, values)
            )
        except ConfigError as exception:
            raise _told_at(exception, values, base) from None
    return planned


def _told_at(exception: ConfigError, values: Values, base: LoadedConfig) -> ConfigError:
    """The complaint with the place of the key it is about: --over with the value, or where the run was configured; and the point it arose at."""
    key, colon, rest = str(exception).partition(": ")
    if key in values:
        others = ", ".join(f"{other}={value}" for other, value in values.items() if other != key)
        return ConfigError(
            f"{OVER} {key}={_shown(values[key])}: {rest}{f' (at {others})' if others else ''}"
        )
    located = base.located(exception) if colon else exception
    return ConfigError(
        f"{located} (at {', '.join(f'{other}={value}' for other, value in values.items())})"
    )


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def workload_file(config: RunConfig) -> str | None:
    """The file that says what is run: a trace, or a network that is no name of the zoo."""
    if config.trace is not None or config.network is None:
        return config.trace
    return config.network if os.path.splitext(config.network)[1].lower() in READERS else None


def with_absolute_path(config: RunConfig) -> RunConfig:
    """The configuration with its workload's file by absolute path, which a worker finds from any folder."""
    path = workload_file(config)
    return (
        config
        if path is None
        else msgspec.structs.replace(
            config, **{"trace" if config.trace is not None else "network": os.path.abspath(path)}
        )
    )


class _Planner:
    """Checks points and gives them keys; what many points share is looked up once."""

    def __init__(self, trace_digest: Callable[[str], str]) -> None:
        self.trace_digest = trace_digest
        self.standards: dict[bytes, tuple[Standard, str, str]] = {}
        self.sources: dict[tuple[object, ...], SourceConfig] = {}
        self.traces: dict[str, str] = {}
        self.checked: set[str] = set()

    def point(self, config: RunConfig, values: Values) -> Point:
        standard, facts, timing_facts = self._standard(config)
        config = with_absolute_path(
            msgspec.structs.replace(config, source=self._source(config, standard))
        )
        trace = self._trace(workload_file(config) or "")
        content = {**resolved(config), "trace": trace}
        key = digest([__version__, code_digest(), content, facts])
        simulation = simulation_key(config, timing_facts, trace)
        if simulation not in self.checked:  # what the engine cannot hold
            timing_record(standard, config.controller)
            if config.source.kind == "core":
                core_record(config.source, standard)
            self.checked.add(simulation)
        return Point(values, config, key, simulation, trace)

    def _trace(self, path: str) -> str:
        if path not in self.traces:
            self.traces[path] = self.trace_digest(path) if path else ""
        return self.traces[path]

    def _standard(self, config: RunConfig) -> tuple[Standard, str, str]:
        """The standard at its operating points, and digests of all of it and of its timing."""
        name = msgspec.json.encode(config.dram)
        if name not in self.standards:
            memory = MemorySystem.resolve(config.dram, config.controller)
            standard, points = memory.standard, memory.plan
            event_energies(standard)  # refuses currents that make no sense
            self.standards[name] = (
                standard,
                digest(repr(standard)),
                digest(timing_facts(standard, points)),
            )
        return self.standards[name]

    def _source(self, config: RunConfig, standard: Standard) -> SourceConfig:
        """The source with its kind decided by the trace, which is looked at once."""
        seen = (
            config.trace,
            config.frontend,
            config.network,
            config.trace_format,
            config.source,
            config.controller.address_mapping,
            standard.organization,
            standard.tck_ps,
            config.dram.channels,
        )
        if seen not in self.sources:
            self.sources[seen] = prepare(config).config.source
        return self.sources[seen]


def simulation_key(config: RunConfig, timing: str, trace: str) -> str:
    """Digest of what commands depend on. A key counts unless it is known to move no command, so that a new one is never forgotten."""
    keys = resolved(config)
    del keys["energy"]
    del keys["baselines"]
    del keys["eden"]
    keys["trace"] = trace
    has_errors = any(getattr(config.errors, key) is not None for key in ("module", "model", "ber"))
    if not has_errors:  # bits fail by voltages and nanoseconds, not by cycles
        keys["dram"] = {
            key: value for key, value in keys["dram"].items() if key not in OPERATING_POINT
        }
    return digest([keys, timing])


def timing_facts(standard: Standard, points: OperatingPlan) -> list[Any]:
    """Everything about a standard and its operating points that commands depend on: all but names, currents and voltages."""
    rules = [
        (rule.level, rule.after, rule.before, rule.gap_cycles, rule.window, rule.sibling)
        for rule in standard.constraints
    ]
    return [
        repr(standard.organization),
        standard.tck_ps,
        standard.rate_MTps,
        standard.commands,
        dict(standard.timings),
        rules,
        standard.read_latency,
        standard.write_latency,
        [dict(point.timings) for point in points.points],
        [
            (partition.channels, partition.banks, partition.rows, partition.point)
            for partition in points.partitions
        ],
        [(change.at_cycle, change.settling_cycles, change.point) for change in points.changes],
    ]


#: What results do not depend on: they are drawn, explained and checked by it.
_NO_RESULT: Final = frozenset(
    {
        "plots",
        "reference",
        "cli",
        "__main__.py",
    }
)


@cache
def code_digest() -> str:
    """Hash of edensim's sources that results depend on: a version that is being worked on runs its points again after each edit."""
    package = Path(__file__).parent.parent
    sources = sorted(
        path
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in _NO_RESULT
    )
    content = hashlib.sha256()
    for path in sources:
        content.update(
            f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0"
        )
    return content.hexdigest()


def digest(value: Any) -> str:
    """Hash of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()
