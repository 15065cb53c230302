"""Read saved results as points: one run each, with flat dotted keys (`config.dram.vdd_V`)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edensim.config.loading import known_keys
from edensim.exceptions import InputError, nearest
from edensim.files import flatten, read_json, reading
from edensim.results.run_result import RESULT_FORMAT, RunResult
from edensim.sweep.result import load_sweep
from edensim.sweep.store import NAME

Point = Mapping[str, Any]

#: Tables that a folder of results may hold, the first found is read.
TABLES: Final = ("results.parquet", "results.csv")
CONFIG: Final = "config."


@dataclass(frozen=True)
class Points:
    """One or several runs.

    Attributes
    ----------
    rows : tuple of mapping
        The keys and values of each run.
    names : tuple of str
        The name of the file that each run came from.
    origin : str
        Where they were read, for messages.
    missing : int
        Number of unfinished points of a sweep.
    """

    rows: tuple[Point, ...]
    names: tuple[str, ...]
    origin: str
    missing: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def expect_at_most(self, most: int, items: str, kind: str) -> None:
        """Raise InputError if there are more points than a kind of picture can hold."""
        if len(self) > most:
            raise InputError(
                f"{self.origin}: {kind}: {len(self)} points; expected at most {most} {items} "
                "(--where KEY=VALUE picks some)"
            )

    def only_run(self, what: str) -> Point:
        """Return the one point that there is. Raises InputError if there are several."""
        if len(self) != 1:
            raise InputError(
                f"{self.origin}: {what}: {len(self)} points; expected one run "
                "(--where KEY=VALUE picks it)"
            )
        return self.rows[0]

    @property
    def keys(self) -> list[str]:
        """The keys that at least one point has a value for."""
        items = (item for row in self.rows for item in row.items())
        return list(dict.fromkeys(key for key, value in items if value is not None))

    def resolve(self, key: str, role: str) -> str:
        """Return the full name of a key that is given with or without `config.`.

        `role` is the option that names it. Raises InputError with the nearest key.
        """
        keys = self.keys
        for name in (key, CONFIG + key):
            if name in keys:
                return name
        short = [name.removeprefix(CONFIG) for name in keys]
        last = key.rpartition(".")[2]
        same = (name for name in short if name.rpartition(".")[2] == last)
        hint = next((f"; did you mean {name!r}?" for name in same), "")
        raise InputError(
            f"{role} {key}: {self.origin} has no such key{hint or nearest(key, [*short, *keys])}"
        )

    def values(self, key: str) -> list[Any]:
        """Return a key's value at each point, None where it has none."""
        return [row.get(key) for row in self.rows]

    def numbers(self, key: str) -> list[float]:
        """Return a key's value at each point. Raises InputError if one is not a number."""
        for name, value in zip(self.names, self.values(key), strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float):
                found = "no value" if value is None else repr(value)[:40]
                raise InputError(
                    f"{self.origin}: {key.removeprefix(CONFIG)}: expected a number at each point, "
                    f"found {found} ({name})"
                )
        return [float(value) for value in self.values(key)]

    def swept(self) -> list[str]:
        """Return the configuration's keys whose value is not the same at all points."""
        keys = [key for key in self.keys if key.startswith(CONFIG)]
        return [key for key in keys if len(set(map(repr, self.values(key)))) > 1]

    def where(self, conditions: Sequence[str]) -> Points:
        """Return the points that meet every `KEY=VALUE`.

        Raises InputError for a condition that no point meets, with the values that exist.
        """
        points = self
        for condition in conditions:
            name, _, wanted = (part.strip() for part in condition.partition("="))
            if not name or not wanted:
                raise InputError(f"--where {condition}: expected KEY=VALUE")
            values = points.values(points.resolve(name, "--where"))
            chosen = [index for index, value in enumerate(values) if _same(value, wanted)]
            if not chosen:
                found = sorted(set(map(format_value, values)))
                more = ", ..." if len(found) > 12 else ""
                raise InputError(
                    f"--where {condition}: no point of {self.origin} has it; "
                    f"found {', '.join(found[:12])}{more}"
                )
            points = points.at(chosen)
        return points

    def at(self, indices: Sequence[int]) -> Points:
        """Return these points, in this order."""
        return replace(
            self,
            rows=tuple(self.rows[i] for i in indices),
            names=tuple(self.names[i] for i in indices),
        )


def load_points(targets: Sequence[Path]) -> Points:
    """Load result JSONs, tables of results (.parquet, .csv) and folders of either.

    Raises InputError for what is missing, empty, cut off, in another format, or no result.
    """
    rows: list[tuple[str, Point]] = []
    missing = 0
    for target in targets:
        if (target / NAME).is_file():
            sweep = load_sweep(target)
            missing += sweep.expected - len(sweep)
            loaded: list[tuple[str, Point]] = [
                (_swept_name(values), flat(json.loads(text)))
                for values, text in zip(sweep.values, sweep.texts, strict=True)
            ]
        elif target.is_dir():
            loaded = _load_folder(target)
        elif not target.exists():
            raise InputError(f"{target}: no such file or folder")
        elif target.suffix.lower() in (".parquet", ".csv"):
            loaded = _load_table(target)
        else:
            loaded = [(target.stem, load_result(target))]
        if not loaded:
            raise InputError(f"{target}: holds no result; expected at least one finished point")
        rows += loaded
    origin = ", ".join(map(str, targets[:3])) + (", ..." if len(targets) > 3 else "")
    return Points(tuple(row for _, row in rows), tuple(name for name, _ in rows), origin, missing)


def _swept_name(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={format_value(value)}" for key, value in values.items())


def _load_folder(folder: Path) -> list[tuple[str, Point]]:
    for table in TABLES:
        if (folder / table).is_file():
            return _load_table(folder / table)
    results = [path for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
    points = [(path.stem, load_result(path)) for path in results if _is_result(path)]
    if not points:
        raise InputError(
            f"{folder}: holds no results; expected result JSON files, "
            f"or a finished sweep ({' or '.join(TABLES)})"
        )
    return points


def _is_result(path: Path) -> bool:
    """Whether a JSON file is meant as a result; a damaged file is, so that it is refused."""
    try:
        with path.open("rb") as file:
            return b'"traceEvents"' not in file.read(4096)
    except OSError:
        return True


def load_result(path: Path) -> Point:
    """Load one result JSON. Raises InputError unless it is complete and of this format."""
    values = read_json(path, "a complete result JSON")
    is_energy = (
        isinstance(values, dict)
        and values.get("format") == RESULT_FORMAT
        and "energy_pJ" in values
        and "requests" not in values
    )
    if not is_energy:  # `edensim energy` writes results that know nothing about requests
        RunResult.from_dict(values, str(path))
    return flat(values)


def _load_table(path: Path) -> list[tuple[str, Point]]:
    from pyarrow import csv, parquet

    with reading(path, "a table of results"):
        read = csv.read_csv if path.suffix.lower() == ".csv" else parquet.read_table
        table = read(path)
        names = table.column_names  # names that are no UTF-8 raise here
        rows = table.to_pylist()
    if {"clock", "command"} <= set(names):
        raise InputError(f"{path}: holds commands, not results; `--kind commands` draws it")
    if "cycles" not in names:
        raise InputError(
            f"{path}: not a table of results: found no column 'cycles'{nearest('cycles', names)}"
        )
    keys = set(known_keys()) - set(RunResult.__dataclass_fields__)  # a result has its own seed
    full_names = {
        name: CONFIG + name if name in keys or name.startswith("dram.timings.") else name
        for name in names
    }
    return [
        (f"point {number}", flat({full_names[name]: value for name, value in row.items()}))
        for number, row in enumerate(rows, start=1)
    ]


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values by dotted key, with None for what is not a number (NaN)."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in flatten(values)
    }


def format_value(value: Any) -> str:
    """Return a value as people write it: 1.05 and not 1.0499999999999998."""
    if value is None:
        return "default"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def value_order(value: Any) -> tuple[bool, bool, Any]:
    """Return a sort key: numbers in order, then words, then None."""
    return value is None, isinstance(value, str), 0 if value is None else value


def _same(value: Any, wanted: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return math.isclose(value, float(wanted), rel_tol=1e-9)
        except ValueError:
            return False
    return format_value(value).lower() == wanted.lower()
