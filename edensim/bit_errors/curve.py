"""How often bits fail at an operating point: curves with the spread over modules, and tables. Scalar and without heavy imports.

A fitted curve is a link and a line: rate = saturation * share(z), z = offset + slope x (+ temperature), x = (quantity - centre) / scale or
the same of squares, or with another slope on either side of the centre (`bend`). Modules of a vendor differ in z by a normal offset and slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from edensim.config.models import PositiveFloat, Section

_LN10 = math.log(10.0)

#: Patterns that were measured one by one; without a pattern the answer is their mean.
PATTERNS: Final = ("0x00", "0xff", "0xaa", "0xcc")
#: A curve without patterns has this one.
ANY: Final = "any"


def probit_share(z: float) -> float:
    """Phi(z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def logit_share(z: float) -> float:
    """1 / (1 + exp(-z))."""
    return 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0


def exponential_share(z: float) -> float:
    """1 - exp(-exp(z)): exponential in the tail, 1 at the top."""
    return -math.expm1(-math.exp(min(z, 50.0)))


SHARES: Final[Mapping[str, Callable[[float], float]]] = {
    "probit": probit_share,
    "logit": logit_share,
    "exponential": exponential_share,
}

#: How the quantity enters: coefficients after the offset, one value each.
VARIABLES: Final = ("linear", "square", "bend")


def regressors(variable: str, x: float, centre: float, scale: float) -> tuple[float, ...]:
    """What the slopes of `variable` are multiplied with at a quantity `x` (ns, V): 1 at one `scale` beyond the centre."""
    if variable == "square":
        return ((x * x - centre * centre) / ((centre + scale) ** 2 - centre * centre),)
    step = (x - centre) / scale
    return (min(step, 0.0), max(step, 0.0)) if variable == "bend" else (step,)


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Axis = Literal["trcd_ns", "vdd_V"]
Rate = Literal["ber", "line_fault_fraction"]


class Spread(Section, frozen=True, kw_only=True):
    """What a module never measured may differ by, in z unless stated.

    offset_sd, slope_sd: between modules, small-sample corrected. scatter_decades: of one rate around its module's curve, scatter_tail_decades from
    one `scale` beyond the centre. modules: how many were measured. quantile: of Student's t with modules - 1 degrees of freedom at 97.5 %. bank_sd:
    between the banks of a module.
    """

    offset_sd: NotNegative = 0.0
    slope_sd: NotNegative = 0.0
    scatter_decades: NotNegative = 0.0
    scatter_tail_decades: NotNegative = 0.0
    modules: Annotated[int, msgspec.Meta(ge=1)] = 1
    quantile: PositiveFloat = 1.96
    bank_sd: NotNegative = 0.0


class Structure(Section, frozen=True, kw_only=True):
    """Which cells fail, where the rate says how many: an error model (models.py) and what the rate leaves open.

    kind: its name. failure_probability: F of a weak cell, of the value that fails more often where values differ. parameters: of the model, by
    name (`spread`). wrong_share: of the bits of a faulty line, where lines were counted.
    """

    kind: str = "uniform"
    failure_probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    parameters: dict[str, float] = {}
    wrong_share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


class Curve(Section, frozen=True, kw_only=True, tag_field="law", tag="fitted"):
    """A fitted curve of one rate. coefficients: by pattern, offset and slopes; covariance: of all of them, pattern after pattern.

    temperature: change of offset and slope per 10 degrees above base_temp_C. cutoff: the rate is 0 from that quantity upwards (None: nowhere).
    low, high: range of the data; temp_C: likewise. detection_limit: lowest rate that the data could show. at: conditions of the measurement.
    """

    axis: Axis
    rate: Rate
    source: str
    at: dict[str, float] = {}
    low: PositiveFloat
    high: PositiveFloat
    base_temp_C: float = 20.0
    temp_C: tuple[float, float] = (20.0, 20.0)
    detection_limit: Share = 0.0
    form: Literal["probit", "logit", "exponential"]
    variable: Literal["linear", "square", "bend"] = "linear"
    centre: float
    scale: PositiveFloat
    saturation: Annotated[float, msgspec.Meta(gt=0, le=1)]
    cutoff: PositiveFloat | None = None
    coefficients: dict[str, tuple[float, ...]]
    temperature: tuple[float, float] = (0.0, 0.0)
    spread: Spread = Spread()
    structure: Structure = Structure()
    covariance: tuple[tuple[float, ...], ...] = ()
    fit: dict[str, float | int | str | list[str]] = {}

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns it tells apart; ANY where it tells none."""
        return tuple(self.coefficients)

    def z(self, pattern: str, x: float, temp_C: float | None = None) -> float:
        """Of the vendor's middle module."""
        offset, *slopes = self.coefficients[pattern]
        values = regressors(self.variable, x, self.centre, self.scale)
        warmer = 0.0 if temp_C is None else (temp_C - self.base_temp_C) / 10.0
        tilt = sum(values)
        return (
            offset
            + sum(s * v for s, v in zip(slopes, values, strict=True))
            + warmer * (self.temperature[0] + self.temperature[1] * tilt)
        )

    def rate_at(
        self, patterns: Sequence[str], x: float, temp_C: float | None = None, shift: float = 0.0
    ) -> float:
        """Mean rate over patterns at a quantity; `shift` is added to z."""
        if self.cutoff is not None and x >= self.cutoff - 1e-9:
            return 0.0
        share = SHARES[self.form]
        return (
            self.saturation
            * sum(share(self.z(pattern, x, temp_C) + shift) for pattern in patterns)
            / len(patterns)
        )

    def interval_at(
        self, patterns: Sequence[str], x: float, temp_C: float | None = None
    ) -> tuple[float, float]:
        """95 % interval for one module never measured. Below the detection limit the low end is 0: such rates cannot be told from none."""
        middle = self.rate_at(patterns, x, temp_C)
        if middle == 0.0:
            return 0.0, self.detection_limit
        sd = self.z_sd(patterns, x)
        flat = self.spread.quantile * self.scatter_decades(x) / math.sqrt(len(patterns))
        ends = []
        for sign in (-1.0, 1.0):
            rate = self.rate_at(patterns, x, temp_C, sign * self.spread.quantile * sd)
            decades = math.hypot(math.log10(max(rate, 1e-300) / middle), flat)
            ends.append(min(1.0, middle * 10.0 ** (sign * decades)))
        low, high = ends
        return (0.0 if low < self.detection_limit else low), max(high, self.detection_limit)

    def scatter_decades(self, x: float) -> float:
        """Scatter of one rate around its module's curve at a quantity."""
        part = min(1.0, max(0.0, (x - self.centre) / self.scale))
        return (1 - part) * self.spread.scatter_decades + part * self.spread.scatter_tail_decades

    def z_sd(self, patterns: Sequence[str], x: float) -> float:
        """Standard deviation of z of a new module: between modules, and of the coefficients."""
        values = regressors(self.variable, x, self.centre, self.scale)
        spread = self.spread
        variance = spread.offset_sd**2 + (spread.slope_sd * sum(values)) ** 2
        return math.sqrt(variance + self._coefficient_variance(patterns, values))

    def _coefficient_variance(self, patterns: Sequence[str], values: tuple[float, ...]) -> float:
        if not self.covariance:
            return 0.0
        names = list(self.coefficients)
        width = 1 + len(values)
        weights = [0.0] * (width * len(names))
        for pattern in patterns:
            first = names.index(pattern) * width
            for offset, value in enumerate((1.0, *values)):
                weights[first + offset] += value / len(patterns)
        return max(
            0.0,
            sum(
                wi * wj * cij
                for wi, row in zip(weights, self.covariance, strict=True)
                for wj, cij in zip(weights, row, strict=True)
            ),
        )


class Table(Section, frozen=True, kw_only=True, tag_field="law", tag="table"):
    """A curve of points (quantity, rate), straight in log10 rate between them. No spread: it is one device."""

    axis: Axis
    rate: Rate
    source: str
    at: dict[str, float] = {}
    points: tuple[tuple[PositiveFloat, Annotated[float, msgspec.Meta(gt=0, le=1)]], ...]
    base_temp_C: float = 20.0
    temp_C: tuple[float, float] = (20.0, 20.0)
    detection_limit: Share = 0.0
    cutoff: PositiveFloat | None = None
    structure: Structure = Structure()

    @property
    def low(self) -> float:
        return self.points[0][0]

    @property
    def high(self) -> float:
        return self.points[-1][0]

    @property
    def patterns(self) -> tuple[str, ...]:
        return (ANY,)

    def rate_at(
        self, patterns: Sequence[str], x: float, temp_C: float | None = None, shift: float = 0.0
    ) -> float:
        """The rate at a quantity, the end's beyond an end (patterns and temperature change nothing)."""
        if self.cutoff is not None and x >= self.cutoff - 1e-9:
            return 0.0
        if x <= self.low:
            return self.points[0][1]
        for (x0, rate0), (x1, rate1) in zip(self.points, self.points[1:], strict=False):
            if x <= x1 + 1e-12:
                part = (x - x0) / (x1 - x0)
                return math.exp((1 - part) * math.log(rate0) + part * math.log(rate1))
        return self.points[-1][1]

    def interval_at(
        self, patterns: Sequence[str], x: float, temp_C: float | None = None
    ) -> tuple[float, float]:
        """The rate twice: a table says nothing about other modules."""
        rate = self.rate_at(patterns, x, temp_C)
        return rate, rate
