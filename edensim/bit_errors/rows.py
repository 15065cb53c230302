"""Read tables that say how often rows, or bins of rows, fail in each bank.

They show how much wordlines and banks differ, not how many bits fail.
"""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import DataError, FitError

Floats = NDArray[np.float64]

_BANK: Final = re.compile(r"bank_?(\d+)", re.IGNORECASE)
_MODULE: Final = ("dimm", "module")
_POINT: Final = ("vdd", "vdd_V", "trcd_ns")


@dataclass(frozen=True)
class RowMap:
    """Probability that a row of a module has a wrong bit at an operating point.

    `failing` has the shape [rows, banks]; `smallest` is the step of the measurement.
    """

    module: str
    point: float
    failing: Floats
    smallest: float


@dataclass(frozen=True)
class RowStructure:
    """How rates of weak cells differ.

    The spreads, between rows of a bank and between banks of a module, are standard deviations of
    the natural logarithm of the rate, and medians over maps. `shared` is the correlation of rows of
    the same number across banks.
    """

    row_spread: float
    bank_spread: float
    shared: float
    maps: int
    modules: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "row_spread": self.row_spread,
            "bank_spread": self.bank_spread,
            "shared_across_banks": self.shared,
            "maps": self.maps,
            "modules": list(self.modules),
        }


def is_row_table(path: Path) -> bool:
    """Return whether a CSV file has a column for each bank (bank0, bank1, ...)."""
    if path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return sum(bool(_BANK.fullmatch(name.strip())) for name in file.readline().split(",")) > 1


def read_rows(path: Path, modules: set[str] | None = None) -> list[RowMap]:
    """Read the maps of a table, or those of some modules only.

    Raises DataError with file and line for what is not a probability.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = [str(name) for name in reader.fieldnames or ()]
        banks = sorted(
            (name for name in header if _BANK.fullmatch(name)),
            key=lambda name: int(_BANK.fullmatch(name).group(1)),  # type: ignore[union-attr]
        )
        module = next((name for name in _MODULE if name in header), None)
        point = next((name for name in _POINT if name in header), None)
        if module is None or point is None:
            raise DataError(
                f"{path}:1: expected columns of the module (dimm) and the operating point (vdd or "
                f"trcd_ns), found {', '.join(header)}"
            )
        grouped: dict[tuple[str, float], list[list[float]]] = {}
        for row in reader:
            if modules is not None and row[module] not in modules:
                continue
            values = [_probability(path, reader.line_num, name, row[name]) for name in banks]
            grouped.setdefault(
                (row[module], _number(path, reader.line_num, point, row[point])), []
            ).append(values)
    if not grouped:
        raise DataError(f"{path}: holds no rows of the modules of the other tables")
    maps = []
    for (name, at), rows in grouped.items():
        failing = np.array(rows)
        above = failing[failing > 0]
        maps.append(RowMap(name, at, failing, float(above.min()) if len(above) else math.nan))
    return maps


def row_structure(maps: list[RowMap]) -> RowStructure:
    """Find the spreads over maps in which some rows fail and most do not always.

    Raises FitError if there is no such map.
    """
    rows, banks, shared, modules = [], [], [], set()
    for each in maps:
        rate = -np.log1p(-np.minimum(each.failing, 0.999))
        if np.sum(rate > 0) < 20 or np.mean(each.failing > 0.99) > 0.4:
            continue
        smallest = -math.log1p(-min(each.smallest, 0.999))
        spreads = [
            censored_spread(column, smallest) for column in rate.T if np.sum(column > 0) >= 10
        ]
        if not spreads:
            continue
        rows.append(float(np.median(spreads)))
        by_bank = rate.mean(axis=0)
        banks.append(float(np.std(np.log(np.maximum(by_bank, smallest / len(rate))), ddof=1)))
        shared.append(_shared(rate))
        modules.add(each.module)
    if not rows:
        raise FitError(
            "tables of rows: no map in which some rows fail and most do not always; how rows "
            "differ is not identifiable"
        )
    return RowStructure(
        float(np.median(rows)),
        float(np.median(banks)),
        float(np.nanmedian(shared)),
        len(rows),
        tuple(sorted(modules)),
    )


def censored_spread(rate: Floats, smallest: float) -> float:
    """Return the standard deviation of ln(rate) by maximum likelihood.

    Zeros count as rates below `smallest`.
    """
    from scipy.optimize import minimize
    from scipy.stats import norm

    measured = np.log(rate[rate > 0])
    hidden = int(np.sum(rate <= 0))
    edge = math.log(smallest)

    def cost(theta: Floats) -> float:
        mean, sd = float(theta[0]), math.exp(float(theta[1]))
        return -float(
            np.sum(norm.logpdf(measured, mean, sd)) + hidden * norm.logcdf(edge, mean, sd)
        )

    start = np.array(
        [float(measured.mean()) - hidden / len(rate), math.log(max(0.3, float(measured.std())))]
    )
    fit = minimize(cost, start, method="Nelder-Mead", options={"maxiter": 400})
    return float(min(8.0, math.exp(fit.x[1])))


def _shared(rate: Floats) -> float:
    """Return the mean correlation of rows of the same number between banks."""
    alive = rate[:, rate.std(axis=0) > 0]
    if alive.shape[1] < 2:
        return math.nan
    matrix = np.atleast_2d(np.corrcoef(alive, rowvar=False))
    return float(matrix[np.triu_indices_from(matrix, 1)].mean())


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        raise DataError(
            f"{path}:{line}: {name}: expected a number, found {text or 'nothing'!r}"
        ) from None


def _probability(path: Path, line: int, name: str, text: str) -> float:
    value = _number(path, line, name, text)
    if not 0 <= value <= 1:
        raise DataError(f"{path}:{line}: {name}: expected a probability from 0 to 1, found {text}")
    return value
