"""`edensim.map_to_dram`: operating points for data, by what a network tolerates.

Mapping is described in section 3.4 of Koppula et al., MICRO 2019. A coarse mapping (one tolerable
BER) operates the whole module at the cheapest point whose BER the network tolerates. A fine mapping
(a tolerable BER for each data item) puts items into partitions with points of their own. What
tolerates no lowered point, and all that is no data item, stays at the nominal one. The cost of a
point is what the engine reports for the network's run at it. The result is a run at the mapped
points, with every tensor where the mapping puts it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edensim.bit_errors.module import Module, load_module
from edensim.config.loading import load_config
from edensim.config.models import RunConfig
from edensim.eden.assignment import exact, greedy, safe_costs
from edensim.eden.candidates import Candidate, candidates
from edensim.eden.dram_mapping import DramMapping
from edensim.eden.metadata import metadata
from edensim.eden.options import MapOptions
from edensim.eden.placement import Partition, place_items
from edensim.eden.tolerance import Tolerance
from edensim.exceptions import ConfigError, InputError, nearest
from edensim.files import read_json
from edensim.networks.layout import Layout
from edensim.networks.network import Operator
from edensim.results.layers import comparison
from edensim.simulation import prepare, run_prepared
from edensim.vocabulary import ProgressCallback

#: One tolerable BER, those of data items, or the file of either.
TolerableBers = float | str | os.PathLike[str] | Tolerance | Mapping[str, float]

_ALGORITHMS: Final = {"greedy": greedy, "exact": exact}


def map_to_dram(
    tolerance: TolerableBers,
    config: RunConfig | str | os.PathLike[str] | None = None,
    *,
    options: MapOptions | None = None,
    overrides: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    **arguments: Any,
) -> DramMapping:
    """Map a network's data to operating points of its memory.

    Parameters
    ----------
    tolerance : float, Tolerance, mapping or path
        A BER that all data tolerate (coarse), what `edensim.tolerance` found (fine if it has
        items), BERs by data item, or the file of one of these.
    config : RunConfig or path, optional
        A run with a machine and a network.
    options : MapOptions, optional
        Module, operating points to choose among, objective and algorithm. What is not set is as the
        section `eden` of the configuration says.
    overrides : sequence of str
        Configuration keys to set, as ``dram.channels=2``.
    progress : callable, optional
        Is called with the number of timings simulated, and of all.
    **arguments
        Fields of `MapOptions` by name, which take precedence over `options`, and sections of the
        configuration.

    Returns
    -------
    DramMapping
        A network that no lowered point is safe for stays at the nominal one; a note says so.

    Raises
    ------
    InputError
        If something cannot be accepted.

    References
    ----------
    S. Koppula et al., "EDEN: Enabling Energy-Efficient, High-Performance Deep Neural Network
    Inference Using Approximate DRAM", MICRO 2019, section 3.4.
    """
    options, sections = MapOptions.gather(options, arguments)
    if isinstance(config, RunConfig):
        loaded = load_config(None, overrides, config)
    else:
        loaded = load_config(None if config is None else Path(config), overrides, sections)
    with loaded.locating():
        return _mapped(_problem(tolerance, loaded.config, options, progress))


@dataclass(frozen=True)
class _Problem:
    """What is to be mapped, and the points to choose among.

    Attributes
    ----------
    run : RunConfig
        The network's run.
    module : Module
        The DRAM module whose bits fail.
    layout : Layout
        Where tensors lie before the mapping.
    coarse_ber : float, optional
        The BER that all data tolerate; None for a fine mapping.
    tolerable_bers : dict
        The BER that each data item tolerates.
    points : list of Candidate
        Operating points, the nominal one first.
    left_out : list of str
        Points that cannot be chosen, and why.
    objective, algorithm : str
        What is minimized, and how.
    most : int
        Number of points of a fine mapping, at most.
    """

    run: RunConfig
    module: Module
    layout: Layout
    coarse_ber: float | None
    tolerable_bers: dict[str, float]
    points: list[Candidate]
    left_out: list[str]
    objective: str
    algorithm: str
    most: int

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each data item."""
        return {name: self.layout[name].size_bytes for name in self.tolerable_bers}


@dataclass(frozen=True)
class _Choice:
    """The mapped run, its partitions, the point of each data item, and costs of alternatives."""

    run: RunConfig
    partitions: list[Partition]
    point_of: Mapping[str, Candidate]
    costs: dict[str, float | None]


def _problem(
    tolerance: TolerableBers,
    run: RunConfig,
    options: MapOptions,
    progress: ProgressCallback | None,
) -> _Problem:
    """Check what is given, and simulate the network at the points to choose among."""
    eden = run.eden
    if run.frontend is None or run.network is None:
        raise ConfigError(
            "frontend: a mapping needs a machine and a network; expected a run such as those in "
            "configs/runs/"
        )
    name = options.module or run.errors.module
    if name is None:
        raise ConfigError(
            "errors.module: names no module; expected one of configs/modules/ or a file"
        )
    module = load_module(name)
    layout = prepare(_changed(run, layout={"pinned": ()})).layout
    assert layout is not None
    coarse_ber, tolerable_bers = _tolerable(tolerance, layout, run.precision)
    points, left_out = candidates(
        run,
        module,
        vdd_V=options.vdd_V or eden.vdd_V,
        trcd_ns=options.trcd_ns or eden.trcd_ns,
        confidence=options.confidence,
        progress=progress,
    )
    return _Problem(
        run=run,
        module=module,
        layout=layout,
        coarse_ber=coarse_ber,
        tolerable_bers=tolerable_bers,
        points=points,
        left_out=left_out,
        objective=options.objective or eden.objective,
        algorithm=options.algorithm or eden.algorithm,
        most=options.partitions or eden.partitions,
    )


def _mapped(problem: _Problem) -> DramMapping:
    """Choose points, place the data, and run the network there."""
    run = _changed(
        problem.run,
        dram={"vdd_V": None, "trcd_ns": None, "partitions": (), "changes": ()},
        layout={"pinned": ()},
    )
    run = msgspec.structs.replace(run, baselines=(), errors=type(run.errors)())
    choice = (_fine if problem.coarse_ber is None else _coarse)(problem, run)
    prepared = prepare(choice.run)
    final = run_prepared(prepared)
    sizes, memory = problem.sizes, prepared.memory
    remarks = []
    if all(point.nominal for point in choice.point_of.values()):
        remarks.append(
            "no lowered point is safe for any of the data: all of it stays at the nominal point"
        )
    if problem.left_out:
        more = "; ..." if len(problem.left_out) > 1 else ""
        remarks.append(f"{len(problem.left_out)} points were left out: {problem.left_out[0]}{more}")
    return DramMapping(
        network=problem.layout.network.name,
        module=problem.module.name,
        precision=run.precision,
        objective=problem.objective,
        algorithm=problem.algorithm,
        fine=problem.coarse_ber is None,
        items={
            name: {"tolerable_ber": problem.tolerable_bers[name], "bytes": sizes[name], **point.at}
            for name, point in choice.point_of.items()
        },
        partitions=tuple(partition.to_dict(sizes) for partition in choice.partitions),
        points=tuple(point.to_dict() for point in problem.points),
        costs=choice.costs,
        comparison=comparison(final, problem.points[0].run),
        metadata=metadata(
            banks=memory.channels * memory.organization.banks_per_channel,
            partitions=len(choice.partitions),
            items=len(sizes),
            bits=problem.layout.bits,
            tck_ps=memory.standard.tck_ps,
            bounding=run.eden.bounding != "off",
        ),
        run=final,
        config=choice.run,
        notes={
            "said": remarks,
            "left_out": problem.left_out,
            "assumptions": dict(problem.module.assumptions),
        },
    )


def _coarse(problem: _Problem, run: RunConfig) -> _Choice:
    """Operate the whole module at the cheapest point that the network tolerates."""
    assert problem.coarse_ber is not None
    objective = problem.objective
    safe = [point for point in problem.points if point.ber <= problem.coarse_ber]
    cheapest = min(safe, key=lambda point: (point.cost(objective), point.ber))
    items = tuple(problem.tolerable_bers)
    return _Choice(
        _changed(run, dram={"vdd_V": cheapest.vdd_V, "trcd_ns": cheapest.trcd_ns}),
        [Partition("module", cheapest, (0, -1), items)],
        dict.fromkeys(items, cheapest),
        {"chosen": cheapest.cost(objective), "nominal": problem.points[0].cost(objective)},
    )


def _fine(problem: _Problem, run: RunConfig) -> _Choice:
    """Put each data item into a partition whose point it tolerates."""
    points, tolerable = problem.points, problem.tolerable_bers
    item_costs = [point.item_costs(problem.sizes, problem.objective) for point in points]
    table = safe_costs(
        np.array([[costs[name] for costs in item_costs] for name in tolerable]),
        [point.ber for point in points],
        list(tolerable.values()),
    )
    solutions = {name: solve(table, problem.most) for name, solve in _ALGORITHMS.items()}
    chosen = solutions[problem.algorithm].point_of
    point_of = {name: points[index] for name, index in zip(tolerable, chosen, strict=True)}
    mapped, partitions = place_items(run, problem.layout, point_of)
    nominal = tuple(name for name, point in point_of.items() if point.nominal)
    if nominal:
        last_row = partitions[0].rows[0] - 1 if partitions else -1
        partitions = [Partition("nominal", points[0], (0, last_row), nominal), *partitions]
    costs = {
        **{name: solution.cost for name, solution in solutions.items()},
        "bound": solutions["exact"].bound,
        "nominal": float(table[:, 0].sum()),
    }
    return _Choice(mapped, partitions, point_of, costs)


def _tolerable(
    tolerance: TolerableBers, layout: Layout, precision: str
) -> tuple[float | None, dict[str, float]]:
    """Return the one BER of a coarse mapping (None: fine), and the BER of each data item.

    Raises InputError.
    """
    given: Any = tolerance
    items = data_items(layout)
    if isinstance(given, str | os.PathLike):
        given = _read(Path(given))
    if isinstance(given, Tolerance):
        if given.precision != precision:
            raise InputError(
                f"tolerance: was found at {given.precision}; the run is at {precision}; "
                "expected the same"
            )
        given = {name: item.ber for name, item in given.items.items()} or given.ber
    is_coarse = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_coarse and not isinstance(given, Mapping):
        raise InputError(
            f"tolerance: expected a BER, a tolerance or a BER for each item, found {given!r}"
        )
    bers = dict.fromkeys(items, given) if is_coarse else dict(given)
    for name, ber in bers.items():
        if name not in items:
            raise InputError(
                f"tolerance: {layout.network.name} has no data item {name!r}"
                f"{nearest(name, items)}; is it of another network?"
            )
        if isinstance(ber, bool) or not isinstance(ber, int | float) or not 0 <= ber <= 1:
            raise InputError(f"tolerance: {name}: expected a BER from 0 to 1, found {ber!r}")
    return float(given) if is_coarse else None, {name: float(bers.get(name, 0.0)) for name in items}


def data_items(layout: Layout) -> list[str]:
    """List weight tensors and ifms of convolution and linear layers, in the order of first use."""
    layers = [
        layer
        for layer in layout.network.layers
        if layer.operator in (Operator.CONVOLUTION, Operator.LINEAR)
    ]
    return list(
        dict.fromkeys(name for layer in layers for name in (layer.weights[0], layer.inputs[0]))
    )


def _read(path: Path) -> Tolerance | dict[str, float]:
    """Read a tolerance, or BERs by data item."""
    values = read_json(path, "JSON of `edensim tolerance`")
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: expected a tolerance (`edensim tolerance --json`), or a BER for each item"
        )
    return Tolerance.from_dict(values, os.fspath(path)) if "format" in values else values


def _changed(run: RunConfig, **sections: Mapping[str, Any]) -> RunConfig:
    """Return a configuration with some keys of its sections changed."""
    changed = {
        name: msgspec.structs.replace(getattr(run, name), **values)
        for name, values in sections.items()
    }
    return msgspec.structs.replace(run, **changed)
