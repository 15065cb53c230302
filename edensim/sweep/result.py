"""What a sweep leaves: a table with a row per point, as Python objects, CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edensim.exceptions import EdensimError, InputError
from edensim.files import save_bytes, save_text
from edensim.results.run_result import RunResult
from edensim.sweep.grid import Values
from edensim.sweep.store import Store

if TYPE_CHECKING:
    import pandas as pd

#: Keys of a result that are no columns: `config` is the swept keys and what all points share; a network's tensors would be hundreds.
_NO_COLUMNS: Final = frozenset({"format", "config", "commands_by_tensor", "energy_by_tensor_pJ"})


@dataclass(frozen=True)
class SweepResult:
    """Points of a sweep, in the order of its grid, the last key fastest.

    keys: swept configuration keys. values: theirs at each point. texts: result JSON of each point.
    expected: points that the sweep has; fewer are here while it is not finished. simulated: points run by this very call.
    simulations: how many simulations those took.
    """

    keys: tuple[str, ...]
    values: tuple[Values, ...]
    texts: tuple[str, ...]
    expected: int
    simulated: int = 0
    simulations: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def results(self) -> tuple[RunResult, ...]:
        """The result of each point, as `edensim.simulate` would give it."""
        return tuple(RunResult.from_dict(json.loads(text)) for text in self.texts)

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """A flat row per point: the swept keys, then the result's numbers and words under dotted names (`energy_pJ.total`).

        Its configuration, its tensors and its lists (histograms) are in `results` only.
        """
        return [
            {
                **values,
                **dict(
                    _flat(
                        {
                            key: value
                            for key, value in json.loads(text).items()
                            if key not in _NO_COLUMNS
                        }
                    )
                ),
            }
            for values, text in zip(self.values, self.texts, strict=True)
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """`points` as a table."""
        import pandas as pd

        return pd.DataFrame(self.points)

    def columns(self) -> dict[str, list[Any]]:
        """`points` by column; None where a point has no such value."""
        names = dict.fromkeys(name for point in self.points for name in point)
        return {name: [point.get(name) for point in self.points] for name in names}


def load_sweep(folder: str | Path) -> SweepResult:
    """The last sweep of a folder, as far as it is finished. Raises InputError for a folder without one, or a store that cannot be read."""
    with Store.open(Path(folder)) as store:
        if not store.plan():
            raise InputError(f"{store.name}: holds no sweep yet")
        return collected(store)


def collected(store: Store, simulated: int = 0, simulations: int = 0) -> SweepResult:
    """The finished points of the store's last sweep."""
    plan = store.plan()
    texts = store.result_texts([key for key, _ in plan])
    finished = [(values, texts[key]) for key, values in plan if key in texts]
    keys = tuple(dict.fromkeys(name for _, values in plan for name in values))
    return SweepResult(
        keys,
        tuple(v for v, _ in finished),
        tuple(t for _, t in finished),
        len(plan),
        simulated,
        simulations,
    )


def pareto_front(energies: ArrayLike, times: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other point beats: none is better in one (lower) and at least as good in the other. Equal points are all in front.

    Points that are not finite are never in front. Raises ValueError for sequences of unequal length.
    """
    energy, time = np.asarray(energies, float), np.asarray(times, float)
    if energy.ndim != 1 or energy.shape != time.shape:
        raise ValueError(
            f"expected energies and times of equal number, found shapes {energy.shape} and {time.shape}"
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


# --------------------------------------------------------------------------------------------------------------------------- table files


def table_paths(folder: Path) -> tuple[Path, Path]:
    """results.csv and results.parquet of a sweep's folder."""
    return folder / "results.csv", folder / "results.parquet"


def write_tables(result: SweepResult, folder: Path) -> None:
    """Write both table files, each whole or not at all. EdensimError where that fails (full disk)."""
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
    """A value as one cell holds it: lists and mappings as JSON."""
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


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield f"{prefix}{key}", value
