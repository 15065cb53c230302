"""Read tables of measured error rates, as characterization studies publish them.

Columns and units are checked strictly, and what is left out is counted by reason.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.curve import ANY, Axis, Rate
from edensim.exceptions import DataError, nearest

Floats = NDArray[np.float64]

#: Names of columns by meaning; messages use the first name.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "module": ("dimm", "module", "dimm_name"),
    "vendor": ("vendor",),
    "trcd_ns": ("trcd_ns",),
    "trp_ns": ("trp_ns",),
    "vdd_V": ("vdd_V", "vdd", "vdd_v"),
    "temp_C": ("temp_c", "temp_C", "temperature_C"),
    "temp_K": ("temp_k", "temp_K", "temperature_K"),
    "pattern": ("pattern",),
    "bank": ("bank",),
    "row": ("row",),
    "rate": ("ber_mean", "ber", "frac_faulty", "line_fault_fraction"),
    "faulty": ("n_faulty_lines", "n_wrong_bits"),
    "tested": ("n_lines", "n_bits"),
    "runs": ("n_runs",),
    "suspect": ("suspect_first_read",),
    "split": ("split",),
}
#: Bits tested per row of a table that does not say: a bank of 1 Gb, the smaller one of FLY-DRAM.
BITS: Final = 2.0**30
#: A bank with a larger share of wrong bits reads a constant: it is stuck, and its cells not weak.
STUCK: Final = 0.85
#: Patterns of which a constant gets all bits wrong or all right; of others it gets half.
SOLID: Final = ("0x00", "0xff")


@dataclass(frozen=True)
class Characterization:
    """Rates of several modules, in arrays with a value per row of the table.

    Attributes
    ----------
    x
        Quantity that was lowered, in ns or V.
    bank
        Bank, -1 if the table has none.
    tested
        Bits (or lines) times runs.
    at
        Conditions that were the same in all rows.
    dropped
        Number of rows left out, by reason.
    """

    path: Path
    axis: Axis
    rate_kind: Rate
    vendor: NDArray[np.str_]
    module: NDArray[np.str_]
    pattern: NDArray[np.str_]
    temp_C: Floats
    x: Floats
    bank: NDArray[np.int64]
    rate: Floats
    tested: Floats
    at: Mapping[str, float]
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.rate)

    def choose(self, keep: NDArray[np.bool_], reason: str = "") -> Characterization:
        """Return the marked rows; the others count as dropped if a reason is given."""
        arrays = {
            name: getattr(self, name)[keep]
            for name in ("vendor", "module", "pattern", "temp_C", "x", "bank", "rate", "tested")
        }
        lost = int(np.sum(~keep))
        return replace(
            self,
            **arrays,
            dropped={**self.dropped, reason: lost} if reason and lost else self.dropped,
        )

    def of_vendor(self, vendor: str | None) -> Characterization:
        """Return the rows of one vendor, which must be named if there are several.

        Raises DataError if it is not named, or not in the table.
        """
        known = sorted(set(self.vendor.tolist()))
        if vendor is None:
            if len(known) > 1:
                raise DataError(
                    f"{self.path}: holds vendors {', '.join(known)}; expected one "
                    f"(--vendor {known[0]})"
                )
            return self
        if vendor not in known:
            raise DataError(
                f"{self.path}: vendor {vendor!r}: expected one of {', '.join(known)}"
                f"{nearest(vendor, known)}"
            )
        return self.choose(self.vendor == vendor)

    def over_banks(self) -> Characterization:
        """Return means over banks, a row for each module, pattern, temperature and quantity."""
        keys = list(
            zip(
                self.module.tolist(),
                self.pattern.tolist(),
                self.temp_C.tolist(),
                self.x.tolist(),
                strict=True,
            )
        )
        first: dict[Any, int] = {}
        for row, key in enumerate(keys):
            first.setdefault(key, row)
        order = {key: number for number, key in enumerate(first)}
        group = np.array([order[key] for key in keys], dtype=np.intp)
        rows = np.array(list(first.values()), dtype=np.intp)
        weight = np.bincount(group, self.tested, len(rows)).astype(np.float64)
        mean = np.bincount(group, self.rate * self.tested, len(rows)) / np.maximum(weight, 1e-300)
        chosen = {
            name: getattr(self, name)[rows]
            for name in ("vendor", "module", "pattern", "temp_C", "x")
        }
        return replace(self, **chosen, bank=np.full(len(rows), -1), rate=mean, tested=weight)


def read_characterization(
    path: Path, *, axis: Axis | None = None, bits: float = BITS
) -> Characterization:
    """Read the rates of a CSV file.

    Points that opened a sweep (`suspect_first_read`), rows with a lower tRP, which makes other
    errors, rows held back (`split`) and stuck banks are left out and counted.

    Parameters
    ----------
    path
        The file.
    axis
        What was lowered; None means the column that varies.
    bits
        Bits tested per row, if no column says.

    Raises
    ------
    DataError
        If something cannot be right, such as a unit, a rate above 1, or a temperature below 0 K.
        The message has file, line and column.
    """
    header, rows = _rows(path)
    names = {
        meaning: name
        for meaning, spellings in COLUMNS.items()
        for name in spellings
        if name in header
    }
    if "rate" not in names and not {"faulty", "tested"} <= set(names):
        hint = next(
            (
                nearest(name, COLUMNS["rate"])
                for name in header
                if "ber" in name.lower() or "frac" in name.lower()
            ),
            "",
        )
        raise DataError(
            f"{path}:1: no column of rates; expected one of {', '.join(COLUMNS['rate'])}, "
            f"found {', '.join(header)}{hint}"
        )
    if "module" not in names:
        raise DataError(
            f"{path}:1: column {COLUMNS['module'][0]!r} is missing; found {', '.join(header)}"
        )
    if "trcd_ns" not in names and "vdd_V" not in names:
        hint = next(
            (f"; {name!r} would need to be in ns" for name in header if "trcd" in name.lower()), ""
        )
        raise DataError(
            f"{path}:1: no column of what was lowered; expected trcd_ns or vdd_V, "
            f"found {', '.join(header)}{hint}"
        )
    columns = {meaning: _column(path, rows, name, meaning) for meaning, name in names.items()}
    return _assembled(path, columns, names, len(rows), axis, bits)


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = []
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}:{reader.line_num}: expected {len(header)} values, as in the "
                        "header, "
                        "found another number"
                    )
                rows.append(row)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read: {problem.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path}: not a CSV file: {problem}") from None
    if not rows:
        raise DataError(f"{path}: holds no rows; expected a header and at least one row")
    return header, rows


#: Lowest and highest possible value by meaning, and what is expected.
_RANGES: Final[Mapping[str, tuple[float, float, str]]] = {
    "trcd_ns": (0.1, 1000.0, "nanoseconds (seconds and picoseconds look otherwise)"),
    "trp_ns": (0.1, 1000.0, "nanoseconds (seconds and picoseconds look otherwise)"),
    "vdd_V": (0.1, 5.0, "volts (not millivolts or percent)"),
    "temp_C": (-273.15, 200.0, "degrees Celsius, not below -273.15"),
    "temp_K": (0.0, 473.15, "kelvin, not below 0"),
    "rate": (0.0, 1.0, "a fraction from 0 to 1 (not a percentage)"),
    "faulty": (0.0, 1e18, "a count"),
    "tested": (1.0, 1e18, "a count above 0"),
    "runs": (1.0, 1e9, "a count above 0"),
    "bank": (0.0, 1e6, "a bank number"),
    "row": (0.0, 1e9, "a row number"),
    "suspect": (0.0, 1.0, "0 or 1"),
}


def _column(path: Path, rows: Sequence[Mapping[str, str]], name: str, meaning: str) -> NDArray[Any]:
    texts = [row[name].strip() for row in rows]
    if meaning not in _RANGES:
        for number, text in enumerate(texts):
            if not text:
                raise DataError(f"{path}:{number + 2}: {name}: expected a name, found nothing")
        return np.array(texts)
    low, high, expected = _RANGES[meaning]
    values = np.empty(len(texts))
    for number, text in enumerate(texts):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise DataError(
                f"{path}:{number + 2}: {name}: expected {expected}, found {text or 'nothing'!r}"
            )
        values[number] = value
    return values


def _assembled(
    path: Path,
    columns: Mapping[str, NDArray[Any]],
    names: Mapping[str, str],
    count: int,
    axis: Axis | None,
    bits: float,
) -> Characterization:
    chosen = axis or _axis(path, columns)
    other: Axis = "vdd_V" if chosen == "trcd_ns" else "trcd_ns"
    if chosen not in columns:
        raise DataError(f"{path}:1: column {chosen!r} is missing")
    if other in columns and len(set(columns[other].tolist())) > 1 and axis is None:
        raise DataError(
            f"{path}: trcd_ns and vdd_V both vary; expected one of them lowered in a table "
            "(or name one: --axis)"
        )
    runs = columns.get("runs", np.ones(count))
    tested = columns["tested"] if "tested" in columns else np.full(count, bits)
    rate = columns["rate"] if "rate" in columns else columns["faulty"] / columns["tested"]
    too_many = np.flatnonzero(rate > 1.0)
    if len(too_many):
        raise DataError(
            f"{path}:{too_many[0] + 2}: {names['faulty']}: more than {names['tested']} were "
            "found faulty"
        )
    lines = (
        names.get("rate") in ("frac_faulty", "line_fault_fraction")
        or names.get("faulty") == "n_faulty_lines"
    )
    if "temp_K" in columns and "temp_C" in columns:
        raise DataError(
            f"{path}:1: temperature in Celsius ({names['temp_C']}) and kelvin "
            f"({names['temp_K']}); expected one of them"
        )
    temp_C = (
        columns["temp_C"]
        if "temp_C" in columns
        else columns["temp_K"] - 273.15
        if "temp_K" in columns
        else np.full(count, 20.0)
    )
    table = Characterization(
        path=path,
        axis=chosen,
        rate_kind="line_fault_fraction" if lines else "ber",
        vendor=columns.get("vendor", np.full(count, "?")),
        module=columns["module"],
        pattern=np.array([_pattern(text) for text in columns["pattern"].tolist()])
        if "pattern" in columns
        else np.full(count, ANY),
        temp_C=np.round(temp_C, 6),
        x=columns[chosen],
        bank=columns["bank"].astype(np.int64) if "bank" in columns else np.full(count, -1),
        rate=rate,
        tested=tested * runs,
        at=_conditions(columns, other),
        dropped={},
    )
    return _cleaned(table, columns)


def _axis(path: Path, columns: Mapping[str, NDArray[Any]]) -> Axis:
    varying: list[Axis] = [
        name
        for name in ("trcd_ns", "vdd_V")
        if name in columns and len(set(columns[name].tolist())) > 1
    ]
    if not varying:
        raise DataError(
            f"{path}: neither trcd_ns nor vdd_V varies; expected rates at two or more values of "
            "one of them"
        )
    return varying[0]


def _conditions(columns: Mapping[str, NDArray[Any]], other: str) -> dict[str, float]:
    """Return what was the same in all rows; the highest tRP is the one not lowered."""
    at = {}
    for name in (other, "trp_ns"):
        if name in columns:
            at[name] = float(columns[name].max())
    return at


def _pattern(text: str) -> str:
    """Return a pattern in lower case, `0x0` as `0x00`."""
    lowered = text.lower()
    return "0x00" if lowered == "0x0" else lowered


def _cleaned(table: Characterization, columns: Mapping[str, NDArray[Any]]) -> Characterization:
    """Leave out rows that show other effects."""
    keep = np.ones(len(table), dtype=bool)
    reasons: list[tuple[str, NDArray[np.bool_]]] = []
    if "suspect" in columns:
        reasons.append(("suspect first read", columns["suspect"] == 0))
    if "trp_ns" in columns and table.axis == "trcd_ns":
        reasons.append(("tRP lowered", columns["trp_ns"] >= columns["trp_ns"].max() - 1e-9))
    if "split" in columns:
        training = np.char.lower(columns["split"].astype(str))
        reasons.append(("held back", np.isin(training, ("train", "training", "fit"))))
    dropped: Counter[str] = Counter()
    for reason, good in reasons:
        dropped[reason] += int(np.sum(keep & ~good))
        keep &= good
    return _without_stuck(
        replace(
            table.choose(keep), dropped={name: number for name, number in dropped.items() if number}
        )
    )


def _without_stuck(table: Characterization) -> Characterization:
    """Leave out solid patterns at points at which some bank of the module reads a constant."""
    point = list(zip(table.module.tolist(), table.temp_C.tolist(), table.x.tolist(), strict=True))
    solid = np.isin(table.pattern, SOLID).tolist()
    stuck = {
        key
        for key, rate, each in zip(point, table.rate.tolist(), solid, strict=True)
        if each and rate > STUCK
    }
    if table.rate_kind != "ber" or not stuck:
        return table
    return table.choose(
        np.array(
            [not (each and key in stuck) for key, each in zip(point, solid, strict=True)],
            dtype=bool,
        ),
        "stuck banks",
    )
