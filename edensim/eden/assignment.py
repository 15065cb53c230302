"""Assignments of data items to a limited number of operating points, greedy and exact.

Algorithm 1 of Koppula et al. (MICRO 2019, section 3.4) leaves three things open, which are decided
here: points are ordered by their cost, as the engine reports it; an item that no lowered point is
safe for stays at the nominal one; and a partition has one point, which is safe for all its items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from edensim.exceptions import EdensimError

if TYPE_CHECKING:
    from scipy.optimize import LinearConstraint

#: Relative difference below which the integer program's solution counts as the optimum.
GAP: Final = 1e-6

Costs = NDArray[np.float64]


@dataclass(frozen=True)
class Assignment:
    """Which point each data item has.

    Attributes
    ----------
    point_of : tuple of int
        Index of each item's point.
    cost : float
        Cost of all items.
    bound : float, optional
        Cost that no assignment is below; None if it is not known.
    """

    point_of: tuple[int, ...]
    cost: float
    bound: float | None = None


def safe_costs(costs: Costs, bers: Sequence[float], tolerable: Sequence[float]) -> Costs:
    """Return costs [item, point], which are infinite if the item does not tolerate the BER."""
    is_unsafe = np.asarray(bers)[None, :] > np.asarray(tolerable)[:, None]
    return np.where(is_unsafe, np.inf, costs)


def greedy(costs: Costs, most: int) -> Assignment:
    """Assign each item to the cheapest point that is safe for it, then reduce the points.

    While there are more than `most` points, the one goes whose items move on at the least cost.
    `costs` are those of `safe_costs`; at some point (the nominal one) those of all items must be
    finite.
    """

    def total(points: Sequence[int]) -> float:
        return float(costs[:, list(points)].min(1).sum()) if points else float("inf")

    def without_each(points: Sequence[int]) -> list[tuple[float, int]]:
        return [(total([other for other in points if other != point]), point) for point in points]

    points = sorted({int(point) for point in costs.argmin(1)})
    while len(points) > most:
        reduced = without_each(points)
        if not np.isfinite(min(reduced)[0]):  # the point that is safe for all is not yet used
            points = sorted({*points, int(np.isfinite(costs).all(0).argmax())})
            reduced = without_each(points)
        points.remove(min(reduced)[1])
    return _at_cheapest(costs, points)


def exact(costs: Costs, most: int) -> Assignment:
    """Find the cheapest assignment to at most `most` points, with scipy's HiGHS.

    The variables are x[item, point], for each safe pair: the item is there; and y[point]: the point
    is used. With the points fixed, each item takes its cheapest, so that only y must be integer.
    Raises EdensimError if the solver fails.
    """
    from scipy.optimize import Bounds, milp

    points = costs.shape[1]
    pairs = np.argwhere(np.isfinite(costs))
    scale = float(np.abs(costs[np.isfinite(costs)]).max()) or 1.0
    solution = milp(
        np.concatenate([costs[pairs[:, 0], pairs[:, 1]] / scale, np.zeros(points)]),
        constraints=_constraints(pairs, costs.shape, most),
        integrality=np.r_[np.zeros(len(pairs)), np.ones(points)],
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": GAP},
    )
    if solution.x is None:
        raise EdensimError(f"the exact mapping was not found: {solution.message}")
    used = np.flatnonzero(solution.x[len(pairs) :] > 0.5).tolist()
    return _at_cheapest(costs, used, float(solution.mip_dual_bound) * scale)


def _constraints(
    pairs: NDArray[np.int64], shape: tuple[int, ...], most: int
) -> list[LinearConstraint]:
    """Require one point per item, only used points, and at most `most` of them."""
    from scipy.optimize import LinearConstraint
    from scipy.sparse import coo_array

    (items, points), count = shape, len(pairs)
    pair, ones = np.arange(count), np.ones(count)
    one_point = coo_array((ones, (pairs[:, 0], pair)), (items, count + points))
    only_used = coo_array(
        (np.r_[ones, -ones], (np.r_[pair, pair], np.r_[pair, count + pairs[:, 1]])),
        (count, count + points),
    )
    few = coo_array(
        (np.ones(points), (np.zeros(points, int), count + np.arange(points))), (1, count + points)
    )
    return [
        LinearConstraint(one_point.tocsr(), 1, 1),
        LinearConstraint(only_used.tocsr(), -np.inf, 0),
        LinearConstraint(few.tocsr(), 0, most),
    ]


def _at_cheapest(costs: Costs, points: Sequence[int], bound: float | None = None) -> Assignment:
    """Assign each item to the cheapest of some points."""
    chosen = [points[index] for index in costs[:, list(points)].argmin(1)]
    return Assignment(tuple(chosen), float(costs[np.arange(len(costs)), chosen].sum()), bound)
