"""Hold the results of a sweep as a table with a row per point, and write it as CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edensim.exceptions import EdensimError, InputError
from edensim.files import flatten, save_bytes, save_text
from edensim.results.data_frame import data_frame
from edensim.results.run_result import RunResult
from edensim.sweep.grid import Values
from edensim.sweep.store import Store

if TYPE_CHECKING:
    import pandas as pd

#: Keys of a result that are no columns. `config` is the swept keys and what all points share, and
#: the tensors of a network would be hundreds of columns.
_NO_COLUMNS: Final = frozenset(
    {"format", "config", "memory", "notes", "commands_by_tensor", "energy_by_tensor_pJ"}
)


@dataclass(frozen=True)
class SweepResult:
    """The finished points of a sweep, in the order of its grid, the last key fastest.

    Attributes
    ----------
    keys : tuple of str
        The swept configuration keys.
    values : tuple of dict
        Their values at each point.
    texts : tuple of str
        The result JSON of each point.
    expected : int
        Number of points of the whole sweep. Fewer are here while it is not finished.
    simulated : int
        Number of points that this call has run.
    simulations : int
        Number of simulations that those points took.
    damaged : tuple of str
        Points whose rows in the store are damaged, by their values or keys. They are left out, and
        the same sweep runs them again.
    """

    keys: tuple[str, ...]
    values: tuple[Values, ...]
    texts: tuple[str, ...]
    expected: int
    simulated: int = 0
    simulations: int = 0
    damaged: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def results(self) -> tuple[RunResult, ...]:
        """The result of each point, as `edensim.simulate` returns it."""
        return tuple(RunResult.from_dict(json.loads(text)) for text in self.texts)

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """A flat row per point: the swept keys, then the result by dotted keys.

        The configuration, the tensors and the lists (histograms) are in `results` only.
        """
        rows = []
        for values, text in zip(self.values, self.texts, strict=True):
            result = json.loads(text)
            leaves = dict(flatten({key: result[key] for key in result if key not in _NO_COLUMNS}))
            plain = {key: leaf for key, leaf in leaves.items() if not isinstance(leaf, list)}
            rows.append({**values, **plain})
        return rows

    def to_dataframe(self) -> pd.DataFrame:
        """Return `points` as a data frame.

        Raises
        ------
        EdensimError
            If pandas (``pip install "edensim[pandas]"``) is not installed.
        """
        return data_frame(self.points)

    def columns(self) -> dict[str, list[Any]]:
        """Return `points` by column, with None for a point that has no such value."""
        names = dict.fromkeys(name for point in self.points for name in point)
        return {name: [point.get(name) for point in self.points] for name in names}


def load_sweep(folder: str | Path) -> SweepResult:
    """Load the last sweep of a folder, as far as it is finished.

    Parameters
    ----------
    folder : path
        The folder that `sweep` was given as `out`.

    Returns
    -------
    SweepResult
        The finished points.

    Raises
    ------
    InputError
        If the folder has no sweep, or its results cannot be read.
    """
    with Store.open(Path(folder)) as store:
        if not store.plan():
            raise InputError(f"{store.name}: holds no sweep yet")
        loaded = collect(store)
    if loaded.damaged:
        warnings.warn(
            f"{store.name}: {len(loaded.damaged)} damaged points are left out "
            f"({'; '.join(loaded.damaged[:3])}{'; ...' if len(loaded.damaged) > 3 else ''}); "
            "the same sweep command runs them again",
            stacklevel=2,
        )
    return loaded


def collect(store: Store, simulated: int = 0, simulations: int = 0) -> SweepResult:
    """Return the finished points of the last sweep of a store."""
    plan = store.plan()
    texts, damaged_keys = store.result_texts([key for key, _ in plan])
    known = [(key, values) for key, values in plan if values is not None]
    finished = [(texts[key], values) for key, values in known if key in texts]
    damaged = [f"point {number} of the plan" for number, (_, v) in enumerate(plan, 1) if v is None]
    damaged += [_words(values) for key, values in known if key in damaged_keys]
    return SweepResult(
        tuple(dict.fromkeys(name for _, values in known for name in values)),
        tuple(values for _, values in finished),
        tuple(text for text, _ in finished),
        len(plan),
        simulated,
        simulations,
        tuple(damaged),
    )


def _words(values: Values) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def pareto_front(energies: ArrayLike, times: ArrayLike) -> NDArray[np.bool_]:
    """Find the points that no other point beats in energy and time.

    A point beats another if it is lower in one of them and not higher in the other.

    Parameters
    ----------
    energies, times : array_like, shape (n,)
        Energy and time of each point, in any unit.

    Returns
    -------
    ndarray of bool, shape (n,)
        Which points are in front. Equal points are all in front; a point with a value that is not
        finite is never.

    Raises
    ------
    ValueError
        If the arguments differ in length or are not one-dimensional.
    """
    energy, time = np.asarray(energies, float), np.asarray(times, float)
    if energy.ndim != 1 or energy.shape != time.shape:
        raise ValueError(
            "expected energies and times of equal number, "
            f"found shapes {energy.shape} and {time.shape}"
        )
    front = np.zeros(len(energy), bool)
    best_energy, best_time = np.inf, np.inf
    for index in np.lexsort((energy, time)):  # by time, then energy
        if not (np.isfinite(energy[index]) and np.isfinite(time[index])):
            continue
        if energy[index] < best_energy:
            best_energy, best_time = energy[index], time[index]
        front[index] = energy[index] == best_energy and time[index] == best_time
    return front


def table_paths(folder: Path) -> tuple[Path, Path]:
    """Return the paths of results.csv and results.parquet in a sweep's folder."""
    return folder / "results.csv", folder / "results.parquet"


def write_tables(result: SweepResult, folder: Path) -> None:
    """Write both table files, each whole or not at all.

    Raises EdensimError if that fails (full disk).
    """
    csv_path, parquet_path = table_paths(folder)
    columns = {
        name: [_cell(value) for value in values] for name, values in result.columns().items()
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    try:
        save_text(csv_path, text.getvalue())
        save_bytes(parquet_path, _parquet(columns))
    except InputError as exception:
        raise EdensimError(
            f"{exception}; finished points are kept, the same command writes the tables"
        ) from None


def _cell(value: Any) -> Any:
    """Return a value as one cell holds it: a list or a mapping as JSON."""
    return json.dumps(value) if isinstance(value, list | tuple | Mapping) else value


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # a swept key that takes numbers and words
            arrays[name] = pa.array([None if value is None else str(value) for value in values])
    buffer = io.BytesIO()
    parquet.write_table(pa.table(arrays), buffer)
    return buffer.getvalue()
