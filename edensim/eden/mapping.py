"""`edensim.map_to_dram`: data to operating points, by what a network tolerates and what a module's bits do (Koppula et al., MICRO 2019, section 3.4).

Coarse (one tolerable BER): the whole module at the cheapest point whose BER the network tolerates. Fine (a tolerable BER for each data item): items
go to partitions with points of their own; what tolerates no lowered point, and all that is no data item, stays at the nominal one. What
a point costs is what the engine reports for the network's run at it; and what the mapping gives is a run at the mapped points, with every
tensor where the mapping puts it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edensim._version import __version__
from edensim.bit_errors.module import Module, load_module
from edensim.config.loading import load_config, resolved
from edensim.config.models import RunConfig
from edensim.eden.assignment import Assignment, exact, greedy, safe_costs
from edensim.eden.candidates import CONFIDENCES, OBJECTIVES, Candidate, candidates
from edensim.eden.metadata import metadata
from edensim.eden.placement import Part, placed
from edensim.eden.tolerance import Tolerance
from edensim.exceptions import ConfigError, InputError, nearest
from edensim.files import save_text
from edensim.networks.layout import Layout
from edensim.networks.network import Operator
from edensim.results.data_frame import data_frame
from edensim.results.layers import comparison
from edensim.results.run_result import RunResult
from edensim.simulation import prepare, run_prepared
from edensim.vocabulary import ProgressCallback

if TYPE_CHECKING:
    import pandas as pd

ALGORITHMS = ("greedy", "exact")


@dataclass(frozen=True)
class DramMapping:
    """items: of each data item its tolerable BER, its point and the point's BER. config: to be simulated as it is; run: that was; nominal: beside it.

    costs: of the assignment by each algorithm, and the bound that proves the exact one. notes: points left out, assumptions, the fallback.
    """

    network: str
    module: str
    precision: str
    objective: str
    algorithm: str
    fine: bool
    items: Mapping[str, Mapping[str, Any]]
    partitions: tuple[Mapping[str, Any], ...]
    points: tuple[Mapping[str, Any], ...]
    costs: Mapping[str, float | None]
    comparison: Mapping[str, float]
    metadata: Mapping[str, Any]
    run: RunResult
    config: RunConfig
    notes: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as --json writes them."""
        fields = (
            "network",
            "module",
            "precision",
            "objective",
            "algorithm",
            "fine",
            "costs",
            "comparison",
            "metadata",
            "notes",
        )
        return {
            **{name: getattr(self, name) for name in fields},
            "items": {name: dict(item) for name, item in self.items.items()},
            "partitions": [dict(each) for each in self.partitions],
            "points": [dict(each) for each in self.points],
            "run": self.run.to_dict(),
            "config": resolved(self.config),
            "version": __version__,
            "seed": self.config.seed,
        }

    def to_dataframe(self) -> pd.DataFrame:
        """A row an item."""
        return data_frame([{"item": name, **item} for name, item in self.items.items()])

    def summary(self) -> str:
        """A few lines."""
        kind = f"fine, {self.algorithm}" if self.fine else "coarse"
        lines = [
            f"{self.network} at {self.precision} on {self.module}: {kind} mapping for least {self.objective}"
        ]
        for part in self.partitions:
            at = f"VDD {_word(part['vdd_V'], 'V')}, tRCD {_word(part['trcd_ns'], 'ns')}, BER {part['ber']:.3g}"
            lines.append(
                f"{part['name']:<14} {at}: {len(part['items'])} items, {part['bytes']:,} bytes"
            )
        lines.append(
            f"energy         {self.run.energy_pJ.total / 1e9:,.3f} mJ, {self.comparison['energy_saved']:.2%} less than at the nominal point"
        )
        lines.append(
            f"time           {self.run.time_ns / 1e3:,.3f} us, {self.comparison['speedup']:.4f} times as fast"
        )
        if (
            self.fine
            and self.costs.get("exact") is not None
            and self.costs.get("greedy") is not None
        ):
            greedy_cost, exact_cost = self.costs["greedy"], self.costs["exact"]
            assert greedy_cost is not None
            assert exact_cost is not None
            lines.append(
                f"greedy         costs {greedy_cost / exact_cost - 1:.3%} more than the optimum"
            )
        lines.append(
            f"controller     {self.metadata['total_bytes']} bytes of tables, {self.metadata['bounding_cycles']} cycle a load for bounds"
        )
        lines += [f"note           {text}" for text in self.notes.get("said", ())]
        return "\n".join(lines)

    def save_config(self, path: Path) -> None:
        """Write the mapped run, for `edensim simulate`: what differs from the defaults, as YAML. Whole or not at all."""
        import yaml

        save_text(path, yaml.safe_dump(_changed(self.config), sort_keys=False, width=150))


def map_to_dram(
    tolerance: float | str | os.PathLike[str] | Tolerance | Mapping[str, float],
    config: RunConfig | str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    module: str | os.PathLike[str] | None = None,
    vdd_V: Sequence[float] = (),
    trcd_ns: Sequence[float] = (),
    partitions: int | None = None,
    objective: str | None = None,
    algorithm: str | None = None,
    confidence: str = "median",
    progress: ProgressCallback | None = None,
    **sections: Mapping[str, Any],
) -> DramMapping:
    """Map a network's data to operating points of its memory.

    tolerance: a BER (coarse), a tolerance (or its file; fine where it has items), or {item: BER}. config: a run with a machine and a network.
    module: whose bits fail how (None: the configuration's `errors.module`). vdd_V, trcd_ns, partitions, objective, algorithm: None or empty: as
    `eden.*` says.
    confidence: with the module's median BER, or the upper end of its interval for a module never measured.

    A network that no point is safe for stays at the nominal one; a note says so. Raises InputError for what cannot be accepted.
    """
    loaded = load_config(
        None if config is None or isinstance(config, RunConfig) else Path(config),
        overrides,
        config if isinstance(config, RunConfig) else sections,
    )
    with loaded.locating():
        run = loaded.config
        eden = run.eden
        objective, algorithm = objective or eden.objective, algorithm or eden.algorithm
        for what, value, known in (
            ("objective", objective, OBJECTIVES),
            ("algorithm", algorithm, ALGORITHMS),
            ("confidence", confidence, CONFIDENCES),
        ):
            if value not in known:
                raise InputError(
                    f"{what}: expected one of {', '.join(known)}, found {value!r}{nearest(value, known)}"
                )
        if run.frontend is None or run.network is None:
            raise ConfigError(
                "frontend: a mapping needs a machine and a network; expected a run such as those in configs/runs/"
            )
        named = os.fspath(module) if module is not None else run.errors.module
        if named is None:
            raise ConfigError(
                "errors.module: names no module; expected one of configs/modules/ or a file"
            )
        device = load_module(named)
        layout = prepare(
            msgspec.structs.replace(run, layout=msgspec.structs.replace(run.layout, pinned=()))
        ).layout
        assert layout is not None
        coarse, tolerated = _tolerated(tolerance, layout, run)
        found, left_out = candidates(
            run,
            device,
            vdd_V=vdd_V or eden.vdd_V,
            trcd_ns=trcd_ns or eden.trcd_ns,
            confidence=confidence,
            progress=progress,
        )
        most = eden.partitions if partitions is None else partitions
        if most < 1:
            raise InputError(f"partitions: expected 1 or more, found {most}")
        sizes = {name: layout[name].size_bytes for name in tolerated}
        return _mapped(
            run,
            device,
            layout,
            found,
            tolerated,
            sizes,
            coarse,
            most,
            objective,
            algorithm,
            left_out,
        )


def _mapped(
    run: RunConfig,
    device: Module,
    layout: Layout,
    found: Sequence[Candidate],
    tolerated: Mapping[str, float],
    sizes: Mapping[str, int],
    coarse: float | None,
    most: int,
    objective: str,
    algorithm: str,
    left_out: Sequence[str],
) -> DramMapping:
    """Choose, place, and run."""
    costs: dict[str, float | None] = {}
    base = msgspec.structs.replace(
        run,
        dram=msgspec.structs.replace(run.dram, vdd_V=None, trcd_ns=None, partitions=(), changes=()),
        baselines=(),
    )
    base = msgspec.structs.replace(
        base, layout=msgspec.structs.replace(base.layout, pinned=()), errors=type(base.errors)()
    )
    if coarse is not None:
        safe = [each for each in found if each.ber <= coarse]
        chosen = min(safe, key=lambda each: (each.cost(objective), each.ber))
        point_of = dict.fromkeys(tolerated, chosen)
        mapped = msgspec.structs.replace(
            base,
            dram=msgspec.structs.replace(base.dram, vdd_V=chosen.vdd_V, trcd_ns=chosen.trcd_ns),
        )
        parts = [Part("module", chosen, (0, -1), tuple(tolerated))]
        costs = {"chosen": chosen.cost(objective), "nominal": found[0].cost(objective)}
    else:
        table = np.array(
            [[each.item_costs(sizes, objective)[name] for each in found] for name in tolerated]
        )
        table = safe_costs(table, [each.ber for each in found], list(tolerated.values()))
        solutions: dict[str, Assignment] = {
            "greedy": greedy(table, most),
            "exact": exact(table, most),
        }
        costs = {name: solution.cost for name, solution in solutions.items()}
        costs |= {"bound": solutions["exact"].bound, "nominal": float(table[:, 0].sum())}
        point_of = {
            name: found[index]
            for name, index in zip(tolerated, solutions[algorithm].point_of, strict=True)
        }
        mapped, parts = placed(base, layout, point_of)
    prepared = prepare(mapped)
    final = run_prepared(prepared)
    nominal = found[0].run
    said = []
    if all(each.nominal for each in point_of.values()):
        said.append(
            "no lowered point is safe for any of the data: all of it stays at the nominal point"
        )
    if left_out:
        said.append(
            f"{len(left_out)} points were left out: {left_out[0]}{'; ...' if len(left_out) > 1 else ''}"
        )
    items = {
        name: {
            "tolerable_ber": tolerated[name],
            "bytes": sizes[name],
            "vdd_V": each.vdd_V,
            "trcd_ns": each.trcd_ns,
            "ber": each.ber,
        }
        for name, each in point_of.items()
    }
    kept = [name for name, each in point_of.items() if each.nominal]
    if coarse is None and kept:
        parts = [
            Part("nominal", found[0], (0, parts[0].rows[0] - 1 if parts else -1), tuple(kept)),
            *parts,
        ]
    return DramMapping(
        network=layout.network.name,
        module=device.name,
        precision=run.precision,
        objective=objective,
        algorithm=algorithm,
        fine=coarse is None,
        items=items,
        partitions=tuple(_part(part, sizes) for part in parts),
        points=tuple(each.to_dict() for each in found),
        costs=costs,
        comparison=comparison(final, nominal),
        metadata=metadata(
            banks=prepared.memory.channels * prepared.memory.organization.banks_per_channel,
            partitions=len(parts),
            items=len(items),
            bits=layout.bits,
            tck_ps=prepared.memory.standard.tck_ps,
            bounding=run.eden.bounding != "off",
        ),
        run=final,
        config=mapped,
        notes={"said": said, "left_out": list(left_out), "assumptions": dict(device.assumptions)},
    )


def _part(part: Part, sizes: Mapping[str, int]) -> dict[str, Any]:
    point = {
        "vdd_V": part.candidate.vdd_V,
        "trcd_ns": part.candidate.trcd_ns,
        "ber": part.candidate.ber,
    }
    rows = list(part.rows) if part.rows[1] >= 0 else None
    return {
        "name": part.name,
        **point,
        "rows": rows,
        "bytes": sum(sizes[name] for name in part.items),
        "items": list(part.items),
    }


def _tolerated(given: Any, layout: Layout, run: RunConfig) -> tuple[float | None, dict[str, float]]:
    """The one BER of a coarse mapping (None: fine), and of each data item. Raises InputError."""
    items = data_items(layout)
    if isinstance(given, str | os.PathLike):
        given = _read(Path(given))
    if isinstance(given, Tolerance):
        if given.precision != run.precision:
            raise InputError(
                f"tolerance: was found at {given.precision}; the run is at {run.precision}; expected the same"
            )
        given = {name: item.ber for name, item in given.items.items()} if given.items else given.ber
    if isinstance(given, bool) or not isinstance(given, int | float | Mapping):
        raise InputError(
            f"tolerance: expected a BER, a tolerance or a BER for each item, found {given!r}"
        )
    bers = dict.fromkeys(items, given) if isinstance(given, int | float) else dict(given)
    for name, ber in bers.items():
        if name not in items:
            raise InputError(
                f"tolerance: {layout.network.name} has no data item {name!r}{nearest(name, items)}; is it of another network?"
            )
        if isinstance(ber, bool) or not isinstance(ber, int | float) or not 0 <= ber <= 1:
            raise InputError(f"tolerance: {name}: expected a BER from 0 to 1, found {ber!r}")
    return (float(given) if isinstance(given, int | float) else None), {
        name: float(bers.get(name, 0.0)) for name in items
    }


def data_items(layout: Layout) -> list[str]:
    """Weight tensors and ifms of convolution and linear layers, in the order of first use."""
    layers = [
        layer
        for layer in layout.network.layers
        if layer.operator in (Operator.CONVOLUTION, Operator.LINEAR)
    ]
    return list(
        dict.fromkeys(name for layer in layers for name in (layer.weights[0], layer.inputs[0]))
    )


def _read(path: Path) -> Tolerance | dict[str, float]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exception:
        raise InputError(f"{path}: cannot be read: {exception.strerror}") from None
    except ValueError as exception:
        raise InputError(f"{path}: is not JSON: {exception}") from None
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: expected a tolerance (`edensim tolerance --json`), or a BER for each item"
        )
    return Tolerance.load(path) if "format" in values else values


def _changed(config: RunConfig) -> dict[str, Any]:
    """What differs from the defaults, nested."""
    own, default = resolved(config), resolved(RunConfig())
    found: dict[str, Any] = {}
    for key, value in own.items():
        if isinstance(value, dict):
            inner = {name: each for name, each in value.items() if each != default[key][name]}
            if inner:
                found[key] = {name: _plain(each) for name, each in inner.items()}
        elif value != default[key]:
            found[key] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Lists for tuples, and nothing that is not set."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return (
        {key: _plain(each) for key, each in value.items() if each is not None}
        if isinstance(value, dict)
        else value
    )


def _word(value: float | None, unit: str) -> str:
    return "nominal" if value is None else f"{value:g} {unit}"
