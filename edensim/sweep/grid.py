"""Find the points of a sweep, what each depends on, and which of them one simulation serves.

The key of a point names everything that its result depends on: configuration, standard file, trace
content, edensim's version and code. Its simulation key names only what the commands depend on.
Points that agree in it differ in energy alone, and share one simulation.
"""

import hashlib
import itertools
import json
import math
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
from edensim.config.knobs import KNOBS
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

#: A sweep of more points is taken for a typing mistake.
MAX_POINTS: Final = 1_000_000

#: Keys whose whole effect on commands is in the timings that they resolve to (`timing_facts`).
OPERATING_POINT: Final = frozenset({*KNOBS, "mode", "timings", "partitions", "changes"})

_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_RANGE = re.compile(f"{_NUMBER}:{_NUMBER}:{_NUMBER}")

#: The values of the swept keys at one point.
Values = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One run of a sweep, with the digests of its result, of its commands and of its trace."""

    values: Values
    config: RunConfig
    key: str
    simulation: str
    trace: str


def parse_over(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Parse the values of swept keys, as ``--over`` takes them.

    Parameters
    ----------
    texts : sequence of str
        ``KEY=V1,V2,...`` or ``KEY=START:STOP:STEP``; STOP is included if a step meets it.

    Returns
    -------
    dict of str to list
        The values of each key.

    Raises
    ------
    ConfigError
        For an unknown key or a value that the key does not take.
    """
    over: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(f"{OVER} {text}: expected KEY=V1,V2,... or KEY=START:STOP:STEP")
        if key in over:
            raise ConfigError(
                f"{OVER} {text}: {key} is swept twice; give all its values in one list"
            )
        pieces = [piece.strip() for piece in split_list(values)]
        if not any(pieces):
            raise ConfigError(f"{OVER} {text}: the list of values is empty")
        if not all(pieces):
            raise ConfigError(f"{OVER} {text}: a value is missing between the commas")
        over[key] = [value for piece in pieces for value in _parse_piece(key, piece)]
    return over


def split_list(text: str) -> list[str]:
    """Split a text at the commas that stand outside brackets and quotes."""
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


def _parse_piece(key: str, piece: str) -> list[Any]:
    """Return the values of one piece of a list: a single value, or those of a range."""
    if ":" in piece:
        parse_setting(f"{key}=null", OVER)  # refuses an unknown key first
    if ":" not in piece or piece.startswith(("[", "{")) or not is_numeric(key):
        return [parse_setting(f"{key}={piece}", OVER)[1]]
    match = _RANGE.fullmatch(piece)
    if match is None:
        raise ConfigError(f"{OVER} {key}={piece}: expected a number or START:STOP:STEP")
    start, stop, step = (Decimal(number) for number in match.groups())
    if step <= 0 or stop < start:
        raise ConfigError(
            f"{OVER} {key}={piece}: expected START:STOP:STEP with STOP not below START "
            "and STEP above 0"
        )
    count = int((stop - start) / step) + 1
    if count > MAX_POINTS:
        raise ConfigError(
            f"{OVER} {key}={piece}: {count:,} values; expected at most {MAX_POINTS:,} points"
        )
    whole = all(number.lstrip("+-").isdigit() for number in match.groups())
    number_type = int if whole else float
    return [number_type(start + step * index) for index in range(count)]


def points_of(
    over: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]], paired: bool = False
) -> list[Values]:
    """Return the different points of a grid, of paired lists, or of a list of points.

    Raises ConfigError for no points, an empty list, paired lists of unequal lengths, or too many
    points.
    """
    if not over or (not isinstance(over, Mapping) and not all(over)):
        raise ConfigError(f"{OVER}: expected at least one key to sweep")
    if not isinstance(over, Mapping):
        return _different([dict(point) for point in over])
    lists = {key: _plain_values(key, values) for key, values in over.items()}
    lengths = {key: len(values) for key, values in lists.items()}
    if paired and len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} of {key}" for key, length in lengths.items())
        raise ConfigError(f"{OVER}: paired lists must be of one length; found {found}")
    count = math.prod(lengths.values())
    if not paired and count > MAX_POINTS:
        raise ConfigError(
            f"{OVER}: {' x '.join(map(str, lengths.values()))} = {count:,} points; "
            f"expected at most {MAX_POINTS:,}"
        )
    rows = zip(*lists.values(), strict=True) if paired else itertools.product(*lists.values())
    return _different([dict(zip(lists, row, strict=True)) for row in rows])


def _plain_values(key: str, values: Any) -> list[Any]:
    """Return a list of plain values, from any sequence (numpy arrays too)."""
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise ConfigError(f"{OVER} {key}: expected a list of values, found {values!r}")
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    if not plain:
        raise ConfigError(f"{OVER} {key}: the list of values is empty")
    return plain


def _different(points: list[Values]) -> list[Values]:
    by_text = {json.dumps(point, sort_keys=True, default=repr): point for point in points}
    return list(by_text.values())


def plan(
    base: LoadedConfig, points: Sequence[Values], trace_digest: Callable[[str], str]
) -> list[Point]:
    """Plan all points of a sweep, each checked as far as it can be without running it.

    Parameters
    ----------
    base : LoadedConfig
        The configuration that all points share.
    points : sequence of dict
        The values of the swept keys at each point.
    trace_digest : callable
        Returns the digest of a file's content.

    Returns
    -------
    list of Point
        The points, in the same order.

    Raises
    ------
    ConfigError
        For the first point that cannot be run; the message names its key and value.
    TraceError
        For a trace that cannot be read.
    """
    planner = _Planner(trace_digest)
    unswept = flat(base.config)
    planned = []
    for values in points:
        try:
            config = load_config(None, (), {**unswept, **values}).config
            planned.append(planner.point(config, values))
        except ConfigError as exception:
            raise _located_at_point(exception, values, base) from None
    return planned


def _located_at_point(exception: ConfigError, values: Values, base: LoadedConfig) -> ConfigError:
    """Return the exception with the place at which its key was set, and its point."""
    key, colon, rest = str(exception).partition(": ")
    others = ", ".join(f"{other}={value}" for other, value in values.items() if other != key)
    if key in values:
        value = "null" if values[key] is None else values[key]
        at_point = f" (at {others})" if others else ""
        return ConfigError(f"{OVER} {key}={value}: {rest}{at_point}")
    return ConfigError(f"{base.located(exception) if colon else exception} (at {others})")


def workload_file(config: RunConfig) -> str | None:
    """Return the file of the workload: a trace, or a network that has no name in the zoo."""
    if config.trace is not None or config.network is None:
        return config.trace
    return config.network if os.path.splitext(config.network)[1].lower() in READERS else None


def with_absolute_path(config: RunConfig) -> RunConfig:
    """Name the workload's file by its absolute path, which a worker finds from any folder."""
    path = workload_file(config)
    if path is None:
        return config
    key = "trace" if config.trace is not None else "network"
    return msgspec.structs.replace(config, **{key: os.path.abspath(path)})


class _Planner:
    """Checks points and computes their keys; what many points share is looked up once."""

    def __init__(self, trace_digest: Callable[[str], str]) -> None:
        self.trace_digest = trace_digest
        self.standards: dict[bytes, tuple[Standard, str, str]] = {}
        self.sources: dict[tuple[object, ...], SourceConfig] = {}
        self.traces: dict[str, str] = {}
        self.checked: set[str] = set()

    def point(self, config: RunConfig, values: Values) -> Point:
        """Return one point. Raises ConfigError for what the engine cannot hold."""
        standard, facts, timing_facts = self._standard(config)
        config = with_absolute_path(
            msgspec.structs.replace(config, source=self._source(config, standard))
        )
        trace = self._trace_digest(workload_file(config) or "")
        content = {**resolved(config), "trace": trace}
        key = digest([__version__, code_digest(), content, facts])
        simulation = simulation_key(config, timing_facts, trace)
        if simulation not in self.checked:
            timing_record(standard, config.controller)
            if config.source.kind == "core":
                core_record(config.source, standard)
            self.checked.add(simulation)
        return Point(values, config, key, simulation, trace)

    def _trace_digest(self, path: str) -> str:
        if path not in self.traces:
            self.traces[path] = self.trace_digest(path) if path else ""
        return self.traces[path]

    def _standard(self, config: RunConfig) -> tuple[Standard, str, str]:
        """Return the standard at its operating points, its digest and that of its timing."""
        section = msgspec.json.encode(config.dram)
        if section not in self.standards:
            memory = MemorySystem.resolve(config.dram, config.controller)
            standard, points = memory.standard, memory.plan
            event_energies(standard)  # refuses currents that make no sense
            self.standards[section] = (
                standard,
                digest(repr(standard)),
                digest(timing_facts(standard, points)),
            )
        return self.standards[section]

    def _source(self, config: RunConfig, standard: Standard) -> SourceConfig:
        """Return the source with its kind decided by the trace, which is looked at once."""
        inputs = (
            config.trace,
            config.frontend,
            config.network,
            config.trace_format,
            config.trace_addresses,
            config.trace_page_KiB,
            config.seed,
            config.source,
            config.controller.address_mapping,
            standard.organization,
            standard.tck_ps,
            config.dram.channels,
        )
        if inputs not in self.sources:
            self.sources[inputs] = prepare(config).config.source
        return self.sources[inputs]


def simulation_key(config: RunConfig, timing: str, trace: str) -> str:
    """Return the digest of what commands depend on.

    A key counts unless it is known to move no command, so that a new key is never forgotten.
    """
    keys = resolved(config)
    for section in ("energy", "baselines", "eden"):
        del keys[section]
    keys["trace"] = trace
    has_errors = any(getattr(config.errors, key) is not None for key in ("module", "model", "ber"))
    if not has_errors:  # bits fail by voltages and nanoseconds, not by cycles
        keys["dram"] = {
            key: value for key, value in keys["dram"].items() if key not in OPERATING_POINT
        }
    return digest([keys, timing])


def timing_facts(standard: Standard, points: OperatingPlan) -> list[Any]:
    """Return all that commands depend on: everything but names, currents and voltages."""
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


#: Parts of edensim that results do not depend on; they draw, explain or check results.
_NO_RESULT: Final = frozenset({"plots", "reference", "cli", "__main__.py"})


@cache
def code_digest() -> str:
    """Return a hash of the sources that results depend on.

    Thereby a version that is being worked on runs its points again after each edit.
    """
    package = Path(__file__).parent.parent
    content = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in _NO_RESULT:
            content.update(f"{name.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return content.hexdigest()


def digest(value: Any) -> str:
    """Return a hash of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()
