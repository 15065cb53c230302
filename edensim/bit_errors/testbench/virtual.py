"""A module whose truth is known to it alone: what it answers to a board is wrong bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from edensim.bit_errors.cells import Geometry
from edensim.bit_errors.curve import Curve, Table
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel
from edensim.bit_errors.module import Module
from edensim.bit_errors.prediction import error_model

#: Class of lines that were not read, or long enough after their ACT.
SAFE: Final = 0


@dataclass
class VirtualModule:
    """A device on a board. Its law, hidden, gives the error model of a read by ACT-to-RD interval (ns) and VDD (V, None: nominal); None: no errors.

    name: as the data name it. seed: of the places of its weak cells. vendor, temp_C: as the data say.
    """

    name: str
    seed: int
    vendor: str | None
    temp_C: float
    vdd_V: float
    _law: Callable[[float, float | None], ErrorModel | None] = field(repr=False)
    _models: dict[float | None, dict[float, ErrorModel | None]] = field(
        init=False, repr=False, default_factory=dict
    )

    @classmethod
    def of_model(
        cls,
        model: ErrorModel,
        *,
        needs_ns: float,
        seed: int = 1,
        name: str = "virtual",
        vdd_V: float = 1.2,
    ) -> VirtualModule:
        """A module of one error model: cells need `needs_ns` from ACT to RD, and all reads that come sooner are alike."""
        return cls(
            name,
            seed,
            None,
            20.0,
            vdd_V,
            lambda interval_ns, _: model if interval_ns < needs_ns else None,
        )

    @classmethod
    def of_module(
        cls,
        module: Module,
        *,
        number: int | None = None,
        seed: int | None = None,
        temp_C: float | None = None,
        beyond_data: bool = False,
    ) -> VirtualModule:
        """One module of a vendor: the middle one, or the `number`-th of those that the spread between modules allows.

        Asked later at points outside the module's data it raises ModuleError, unless `beyond_data`.
        """
        first = module.seed if seed is None else seed
        own = (
            module
            if number is None
            else msgspec.structs.replace(module, curves=_individual(module, first, number))
        )
        nominal = module.nominal

        def law(interval_ns: float, vdd_V: float | None) -> ErrorModel | None:
            trcd_ns = interval_ns if interval_ns < nominal.trcd_ns else None
            low_V = vdd_V if vdd_V is not None and vdd_V < nominal.vdd_V else None
            if trcd_ns is None and low_V is None:
                return None
            return error_model(
                own, trcd_ns=trcd_ns, vdd_V=low_V, temp_C=temp_C, beyond_data=beyond_data
            )

        base_C = next(iter(module.curves.values())).base_temp_C
        name = module.name if number is None else f"{module.name}-{number}"
        return cls(
            name,
            first + (number or 0),
            module.vendor,
            base_C if temp_C is None else temp_C,
            nominal.vdd_V,
            law,
        )

    def placed(
        self, geometry: Geometry, intervals_ns: list[float], vdd_V: float | None
    ) -> tuple[Injector | None, list[int]]:
        """What flips the bits of reads at some intervals, and the class of lines of each (SAFE: no errors); None where all are safe."""
        known = self._models.setdefault(vdd_V, {})
        for interval_ns in intervals_ns:
            if interval_ns not in known:
                known[interval_ns] = self._law(interval_ns, vdd_V)
        asked = {
            interval_ns: model
            for interval_ns, model in ((each, known[each]) for each in intervals_ns)
            if model is not None
        }
        if not asked:
            return None, [SAFE] * len(intervals_ns)
        models: list[ErrorModel] = []
        for _, model in sorted(asked.items()):
            models.append(model if not models else _no_worse(model, models[-1]))
        order = {interval_ns: index + 1 for index, interval_ns in enumerate(sorted(asked))}
        placed = injector(
            geometry, [[models[0].replaced(weak_fraction=0.0), *models]], seed=self.seed
        )
        return placed, [order.get(each, SAFE) for each in intervals_ns]


def _no_worse(model: ErrorModel, shorter: ErrorModel) -> ErrorModel:
    """A model with the structure of the one at a shorter interval, and no more weak cells: lines and cells keep their places."""
    law, other = model.law, shorter.law
    if model.kind != shorter.kind or (law.bitline_spread, law.wordline_spread) != (
        other.bitline_spread,
        other.wordline_spread,
    ):
        return shorter.at_ber(min(model.expected_ber(), shorter.expected_ber()))
    return model.replaced(weak_fraction=min(law.weak_fraction, other.weak_fraction))


def _individual(module: Module, seed: int, number: int) -> dict[str, Curve | Table]:
    """Curves of one module: offset and slope drawn from what was seen between modules."""
    curves: dict[str, Curve | Table] = {}
    for index, (name, curve) in enumerate(module.curves.items()):
        if isinstance(curve, Curve):
            offset, slope = np.random.default_rng([seed, number, index]).standard_normal(2) * (
                curve.spread.offset_sd,
                curve.spread.slope_sd,
            )
            drawn = {
                pattern: (
                    values[0] + float(offset),
                    *(min(value + float(slope), 0.0) for value in values[1:]),
                )
                for pattern, values in curve.coefficients.items()
            }
            curves[name] = msgspec.structs.replace(curve, coefficients=drawn)
        else:
            curves[name] = curve
    return curves
