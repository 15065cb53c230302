"""Saved results as points: one run each, its keys flat and dotted (`config.dram.vdd_V`, `energy_pJ.total`)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edensim.exceptions import InputError, nearest
from edensim.files import flatten
from edensim.results.run_result import RESULT_FORMAT, RunResult

Point = Mapping[str, Any]

#: A sweep's own file in its folder.
SWEEP: Final = "results.sqlite"
#: Tables that a folder of results may hold, the first found is read.
TABLES: Final = ("results.parquet", "results.csv")
CONFIG: Final = "config."


@dataclass(frozen=True)
class Points:
    """One or several runs. origin: where they were read, for messages. names: one per point, of the file it came from. missing: points of a sweep
    that is not finished."""

    rows: tuple[Point, ...]
    names: tuple[str, ...]
    origin: str
    missing: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> list[str]:
        """Keys that at least one point has a value for."""
        return list(
            dict.fromkeys(
                key for row in self.rows for key, value in row.items() if value is not None
            )
        )

    def resolve(self, key: str, role: str) -> str:
        """The full name of a key, given with or without `config.`. role: the option it was given to. Raises InputError with the nearest."""
        keys = self.keys
        for name in (key, CONFIG + key):
            if name in keys:
                return name
        short = [name.removeprefix(CONFIG) for name in keys]
        hint = next(
            (
                f"; did you mean {name!r}?"
                for name in short
                if name.rpartition(".")[2] == key.rpartition(".")[2]
            ),
            "",
        )
        raise InputError(
            f"{role} {key}: {self.origin} has no such key{hint or nearest(key, [*short, *keys])}"
        )

    def values(self, key: str) -> list[Any]:
        """A key's value at each point, None where it has none."""
        return [row.get(key) for row in self.rows]

    def numbers(self, key: str) -> list[float]:
        """A key's value at each point. Raises InputError where one is missing or not a number."""
        values = self.values(key)
        for name, value in zip(self.names, values, strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float):
                found = "no value" if value is None else repr(value)[:40]
                raise InputError(
                    f"{self.origin}: {key.removeprefix(CONFIG)}: expected a number at each point, found {found} ({name})"
                )
        return [float(value) for value in values]

    def swept(self) -> list[str]:
        """Keys of the configuration, and the seed, whose value is not the same at all points."""
        keys = [key for key in self.keys if key.startswith(CONFIG)]
        return [key for key in keys if len({repr(value) for value in self.values(key)}) > 1]

    def where(self, conditions: Sequence[str]) -> Points:
        """The points that meet every `KEY=VALUE`. Raises InputError for a condition that none meets."""
        points = self
        for condition in conditions:
            name, equals, wanted = condition.partition("=")
            if not equals or not name.strip() or not wanted.strip():
                raise InputError(f"--where {condition}: expected KEY=VALUE")
            key = points.resolve(name.strip(), "--where")
            points = points.choose(
                [_same(value, wanted.strip()) for value in points.values(key)],
                f"--where {condition}",
                key,
            )
        return points

    def choose(self, keep: Sequence[bool], role: str, key: str) -> Points:
        """The points marked in `keep`. Raises InputError, with the values that exist, where none is."""
        chosen = [index for index, kept in enumerate(keep) if kept]
        if not chosen:
            found = sorted({format_value(value) for value in self.values(key)})
            raise InputError(
                f"{role}: no point of {self.origin} has it; found {', '.join(found[:12])}{', ...' if len(found) > 12 else ''}"
            )
        return self.at(chosen)

    def at(self, indices: Sequence[int]) -> Points:
        """These points, in this order."""
        return replace(
            self,
            rows=tuple(self.rows[i] for i in indices),
            names=tuple(self.names[i] for i in indices),
        )

    def labels(self) -> list[str]:
        """A short name of each point: the values it was swept over, else the file it came from."""
        swept = [key for key in self.swept() if key != "config.seed" or len(self.swept()) == 1]
        from edensim.plots.labels import short_value

        texts = [
            ", ".join(short_value(key, row.get(key)) for key in swept[:3]) for row in self.rows
        ]
        return texts if swept and len(set(texts)) == len(texts) else list(self.names)


def load_points(targets: Sequence[Path]) -> Points:
    """Points of result JSONs, tables of results (.parquet, .csv) and folders of either.

    Raises InputError for what is missing, empty, cut off, written in another format, or no result.
    """
    rows: list[tuple[str, Point]] = []
    missing = 0
    for target in targets:
        if (target / SWEEP).is_file():
            loaded, unfinished = _load_sweep(target)
            missing += unfinished
        else:
            loaded = _load(target)
        if not loaded:
            raise InputError(f"{target}: holds no result; expected at least one finished point")
        rows += loaded
    origin = ", ".join(map(str, targets[:3])) + (", ..." if len(targets) > 3 else "")
    return Points(tuple(row for _, row in rows), tuple(name for name, _ in rows), origin, missing)


def _load(target: Path) -> list[tuple[str, Point]]:
    if target.is_dir():
        return _load_folder(target)
    if not target.exists():
        raise InputError(f"{target}: no such file or folder")
    if target.suffix.lower() in (".parquet", ".csv"):
        return _load_table(target)
    return [(target.stem, load_result(target))]


def _load_sweep(folder: Path) -> tuple[list[tuple[str, Point]], int]:
    """Finished points of a sweep, and how many are not."""
    from edensim.sweep.result import load_sweep

    sweep = load_sweep(folder)
    named = [
        ", ".join(f"{key}={format_value(value)}" for key, value in values.items())
        for values in sweep.values
    ]
    return list(
        zip(named, (flat(json.loads(text)) for text in sweep.texts), strict=True)
    ), sweep.expected - len(sweep)


def _load_folder(folder: Path) -> list[tuple[str, Point]]:
    for table in TABLES:
        if (folder / table).is_file():
            return _load_table(folder / table)
    results = [path for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
    points = [(path.stem, load_result(path)) for path in results if _is_result(path)]
    if not points:
        raise InputError(
            f"{folder}: holds no results; expected result JSON files, or a finished sweep ({' or '.join(TABLES)})"
        )
    return points


def _is_result(path: Path) -> bool:
    """Whether a JSON file means to be a result; a damaged one does, so that it is complained about."""
    try:
        with path.open(encoding="utf-8") as file:
            return '"traceEvents"' not in file.read(4096)
    except (OSError, UnicodeDecodeError):
        return True


def load_result(path: Path) -> Point:
    """One result JSON. Raises InputError where it is not a complete result of this format."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        values = None  # RunResult.load says why
    if (
        isinstance(values, dict)
        and values.get("format") == RESULT_FORMAT
        and "energy_pJ" in values
        and "requests" not in values
    ):
        return flat(
            values
        )  # what `edensim energy` writes: a command trace tells nothing about requests
    RunResult.load(path)
    return flat(values or {})


def _load_table(path: Path) -> list[tuple[str, Point]]:
    import pyarrow as pa

    try:
        if path.suffix.lower() == ".csv":
            import pyarrow.csv as pacsv

            table = pacsv.read_csv(path)
        else:
            import pyarrow.parquet as pq

            table = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise InputError(
            f"{path}: cannot be read as a table of results: {str(problem).splitlines()[0][:160]}"
        ) from None
    if {"clock", "command"} <= set(table.column_names):
        raise InputError(f"{path}: holds commands, not results; `--kind commands` draws it")
    if "cycles" not in table.column_names:
        raise InputError(
            f"{path}: not a table of results: found no column 'cycles'{nearest('cycles', table.column_names)}"
        )
    from edensim.config.loading import known_keys

    keys = set(known_keys()) - set(RunResult.__dataclass_fields__)  # a result has a seed of its own

    def full(key: str) -> str:
        return CONFIG + key if key in keys or key.startswith("dram.timings.") else key

    return [
        (f"point {number}", flat({full(key): value for key, value in row.items()}))
        for number, row in enumerate(table.to_pylist(), start=1)
    ]


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values by dotted key, with None for what is not a number (NaN)."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in flatten(values)
    }


def format_value(value: Any) -> str:
    """A value as people write it: 1.05 and not 1.0499999999999998."""
    return (
        "default" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    )


def _same(value: Any, wanted: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return math.isclose(value, float(wanted), rel_tol=1e-9)
        except ValueError:
            return False
    return format_value(value).lower() == wanted.lower()
