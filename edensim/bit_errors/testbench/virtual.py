"""Stand in for a module on a board, whose errors only the module itself knows."""

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

#: Class of lines that were not read, or read long enough after their ACT.
SAFE: Final = 0


@dataclass
class VirtualModule:
    """A device on a board.

    Its hidden error models depend on the ACT-to-RD interval in ns and on VDD in V (None: nominal);
    None stands for no errors.

    Attributes
    ----------
    name, vendor, temp_C
        As the measured data give them.
    seed
        Decides where its weak cells are.
    vdd_V
        Nominal supply voltage.
    """

    name: str
    seed: int
    vendor: str | None
    temp_C: float
    vdd_V: float
    _model_at: Callable[[float, float | None], ErrorModel | None] = field(repr=False)
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
        """Make a module of one error model.

        Its cells need `needs_ns` from ACT to RD, and all reads that come sooner are alike.
        """
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
        """Make a module of a vendor.

        It is the middle one, or the `number`-th that is drawn from the spread between modules. At
        points outside the module's data it raises ModuleError later, unless `beyond_data` is set.
        """
        first = module.seed if seed is None else seed
        device = module
        if number is not None:
            device = msgspec.structs.replace(module, curves=_individual(module, first, number))
        nominal = module.nominal

        def model_at(interval_ns: float, vdd_V: float | None) -> ErrorModel | None:
            trcd_ns = interval_ns if interval_ns < nominal.trcd_ns else None
            low_V = vdd_V if vdd_V is not None and vdd_V < nominal.vdd_V else None
            if trcd_ns is None and low_V is None:
                return None
            return error_model(
                device, trcd_ns=trcd_ns, vdd_V=low_V, temp_C=temp_C, beyond_data=beyond_data
            )

        base_C = next(iter(module.curves.values())).base_temp_C
        name = module.name if number is None else f"{module.name}-{number}"
        return cls(
            name,
            first + (number or 0),
            module.vendor,
            base_C if temp_C is None else temp_C,
            nominal.vdd_V,
            model_at,
        )

    def placed(
        self, geometry: Geometry, intervals_ns: list[float], vdd_V: float | None
    ) -> tuple[Injector | None, list[int]]:
        """Return what flips the bits of reads at some intervals, and the class of each interval.

        The class SAFE has no errors; if all are safe, there is no injector.
        """
        known = self._models.setdefault(vdd_V, {})
        for interval_ns in intervals_ns:
            if interval_ns not in known:
                known[interval_ns] = self._model_at(interval_ns, vdd_V)
        failing = {
            interval_ns: model
            for interval_ns in intervals_ns
            if (model := known[interval_ns]) is not None
        }
        if not failing:
            return None, [SAFE] * len(intervals_ns)
        models: list[ErrorModel] = []
        for _, model in sorted(failing.items()):
            models.append(model.nested_in(models[-1]) if models else model)
        order = {interval_ns: index + 1 for index, interval_ns in enumerate(sorted(failing))}
        placed = injector(
            geometry, [[models[0].replaced(weak_fraction=0.0), *models]], seed=self.seed
        )
        return placed, [order.get(each, SAFE) for each in intervals_ns]


def _individual(module: Module, seed: int, number: int) -> dict[str, Curve | Table]:
    """Draw the curves of one module: their offset and slope differ as measured between modules."""
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
