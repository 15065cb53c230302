"""Which data item goes to which operating point, of at most so many points: EDEN's greedy algorithm, and the optimum by integer programming.

Algorithm 1 of the paper (section 3.4) leaves three things open, which are decided so: points are ordered by what they cost, as the engine reports
it; an item that no lowered point is safe for stays at the nominal one; and a partition has one point, which is safe for all that it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import EdensimError

#: Relative difference below which the integer program's solution counts as the optimum.
GAP = 1e-6


@dataclass(frozen=True)
class Assignment:
    """point_of: index of each item's point; cost: in all; bound: none can be cheaper than this (None: not known)."""

    point_of: tuple[int, ...]
    cost: float
    bound: float | None = None


def safe_costs(
    costs: NDArray[np.float64], bers: Sequence[float], tolerated: Sequence[float]
) -> NDArray[np.float64]:
    """costs[item, point], infinite where the point's BER is above what the item tolerates."""
    unsafe = np.asarray(bers)[None, :] > np.asarray(tolerated)[:, None]
    return np.where(unsafe, np.inf, costs)


def greedy(costs: NDArray[np.float64], most: int) -> Assignment:
    """Each item at the cheapest point safe for it; then, while there are more than `most` points, the one whose items move on at the least cost goes.

    costs: of safe_costs; every item needs a finite one at some common point (the nominal one).
    """
    kept = sorted({int(point) for point in costs.argmin(1)})
    while len(kept) > most:
        without = [
            (_total(costs, [each for each in kept if each != point]), point) for point in kept
        ]
        if not np.isfinite(min(without)[0]):  # the point that is safe for all is not among them yet
            kept = sorted({*kept, int(np.isfinite(costs).all(0).argmax())})
            without = [
                (_total(costs, [each for each in kept if each != point]), point) for point in kept
            ]
        kept.remove(min(without)[1])
    chosen = [kept[index] for index in costs[:, kept].argmin(1)]
    return Assignment(tuple(chosen), float(costs[np.arange(len(costs)), chosen].sum()))


def exact(costs: NDArray[np.float64], most: int) -> Assignment:
    """The cheapest assignment to at most `most` points, with the bound that proves it (scipy's HiGHS).

    Variables: x[item, point], the item is there; y[point], the point is used. Raises EdensimError where the solver fails.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    items, points = costs.shape
    pairs = np.argwhere(np.isfinite(costs))
    scale = float(np.abs(costs[np.isfinite(costs)]).max()) or 1.0
    count = len(pairs)
    objective = np.concatenate([costs[pairs[:, 0], pairs[:, 1]] / scale, np.zeros(points)])
    each = np.arange(count)
    once = coo_array((np.ones(count), (pairs[:, 0], each)), (items, count + points))
    used = coo_array(
        (
            np.r_[np.ones(count), -np.ones(count)],
            (np.r_[each, each], np.r_[each, count + pairs[:, 1]]),
        ),
        (count, count + points),
    )
    few = coo_array(
        (np.ones(points), (np.zeros(points, int), count + np.arange(points))), (1, count + points)
    )
    constraints = [
        LinearConstraint(once.tocsr(), 1, 1),
        LinearConstraint(used.tocsr(), -np.inf, 0),
        LinearConstraint(few.tocsr(), 0, most),
    ]
    integrality = np.r_[
        np.zeros(count), np.ones(points)
    ]  # with the points fixed, each item takes its cheapest
    solution = milp(
        objective,
        constraints=constraints,
        integrality=integrality,
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": GAP},
    )
    if solution.x is None:
        raise EdensimError(f"the exact mapping was not found: {solution.message}")
    kept = np.flatnonzero(solution.x[count:] > 0.5).tolist()
    chosen = [kept[index] for index in costs[:, kept].argmin(1)]
    return Assignment(
        tuple(chosen),
        float(costs[np.arange(items), chosen].sum()),
        float(solution.mip_dual_bound) * scale,
    )


def _total(costs: NDArray[np.float64], kept: Sequence[int]) -> float:
    return float(costs[:, list(kept)].min(1).sum()) if kept else float("inf")
