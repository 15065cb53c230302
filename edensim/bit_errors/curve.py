"""Describe how often bits fail at an operating point: by curves, with their spread, or tables.

A fitted curve is a link and a line: rate = saturation * share(z), z = offset + slope x (+ an effect
of temperature). Here x = (quantity - centre) / scale, or the same of squares, or a quantity with
another slope on either side of the centre (`bend`). Modules of a vendor differ in z by a normally
distributed offset and slope. Everything is scalar and needs no heavy imports.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from edensim.config.validation import PositiveFloat, Section

_LN10 = math.log(10.0)

#: Patterns that were measured one by one; without a pattern the rate is their mean.
PATTERNS: Final = ("0x00", "0xff", "0xaa", "0xcc")
#: The pattern of a curve that distinguishes none.
ANY: Final = "any"


def probit_share(z: float) -> float:
    """Return Phi(z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def logit_share(z: float) -> float:
    """Return 1 / (1 + exp(-z))."""
    return 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0


def exponential_share(z: float) -> float:
    """Return 1 - exp(-exp(z)), which is exponential in the tail and 1 at the top."""
    return -math.expm1(-math.exp(min(z, 50.0)))


SHARES: Final[Mapping[str, Callable[[float], float]]] = {
    "probit": probit_share,
    "logit": logit_share,
    "exponential": exponential_share,
}

#: How the quantity enters.
VARIABLES: Final = ("linear", "square", "bend")


def regressors(variable: str, x: float, centre: float, scale: float) -> tuple[float, ...]:
    """Return the factors of the slopes at a quantity `x` in ns or V; 1 at centre + scale."""
    if variable == "square":
        return ((x * x - centre * centre) / ((centre + scale) ** 2 - centre * centre),)
    step = (x - centre) / scale
    return (min(step, 0.0), max(step, 0.0)) if variable == "bend" else (step,)


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Axis = Literal["trcd_ns", "vdd_V"]
Rate = Literal["ber", "line_fault_fraction"]


class Spread(Section, frozen=True, kw_only=True):
    """How much a module that was never measured may differ, in z unless stated.

    Attributes
    ----------
    offset_sd, slope_sd
        Standard deviations between modules, corrected for the small sample.
    scatter_decades, scatter_tail_decades
        Scatter of one rate around its module's curve, up to the centre and from centre + scale on.
    modules
        Number of modules measured.
    quantile
        Student's t with modules - 1 degrees of freedom at 97.5 %.
    bank_sd
        Standard deviation between the banks of a module.
    """

    offset_sd: NotNegative = 0.0
    slope_sd: NotNegative = 0.0
    scatter_decades: NotNegative = 0.0
    scatter_tail_decades: NotNegative = 0.0
    modules: Annotated[int, msgspec.Meta(ge=1)] = 1
    quantile: PositiveFloat = 1.96
    bank_sd: NotNegative = 0.0


class Structure(Section, frozen=True, kw_only=True):
    """Which cells fail, given how many: an error model and what the rate does not say.

    Attributes
    ----------
    kind
        Name of the error model.
    failure_probability
        F of a weak cell; of the value that fails more often, if values differ.
    parameters
        Parameters of the model by name, such as `spread`.
    wrong_share
        Share of the bits of a faulty line that are wrong, if lines were counted.
    """

    kind: str = "uniform"
    failure_probability: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    parameters: dict[str, float] = {}
    wrong_share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


class Curve(Section, frozen=True, kw_only=True, tag_field="law", tag="fitted"):
    """A fitted curve of one rate.

    Attributes
    ----------
    at
        Conditions of the measurement.
    low, high, temp_C
        Ranges of the quantity and of the temperature in the data.
    detection_limit
        Lowest rate that the data could show.
    cutoff
        Quantity from which upwards the rate is 0, if there is one.
    coefficients
        Offset and slopes, by pattern.
    temperature
        Change of offset and slope per 10 degrees above `base_temp_C`.
    covariance
        Covariance of all coefficients, pattern after pattern.
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
        """Patterns that the curve distinguishes; ANY if it distinguishes none."""
        return tuple(self.coefficients)

    def z(self, pattern: str, x: float, temp_C: float | None = None) -> float:
        """Return z of the vendor's middle module."""
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
        """Return the mean rate over patterns at a quantity; `shift` is added to z."""
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
        """Return the 95 % interval for a module that was never measured.

        Its low end is 0 below the detection limit, where a rate cannot be distinguished from none.
        """
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
        """Return the scatter of one rate around its module's curve at a quantity."""
        part = min(1.0, max(0.0, (x - self.centre) / self.scale))
        return (1 - part) * self.spread.scatter_decades + part * self.spread.scatter_tail_decades

    def z_sd(self, patterns: Sequence[str], x: float) -> float:
        """Return the standard deviation of z of a new module.

        It comes from the difference between modules and from the errors of the coefficients.
        """
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
    """Points (quantity, rate) of one device, joined by straight lines in log10 of the rate."""

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
        """Lowest quantity in the data."""
        return self.points[0][0]

    @property
    def high(self) -> float:
        """Highest quantity in the data."""
        return self.points[-1][0]

    @property
    def patterns(self) -> tuple[str, ...]:
        """ANY: a table does not distinguish patterns."""
        return (ANY,)

    def rate_at(
        self, patterns: Sequence[str], x: float, temp_C: float | None = None, shift: float = 0.0
    ) -> float:
        """Return the rate at a quantity; beyond an end it is the rate of that end.

        Patterns and temperature change nothing.
        """
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
        """Return the rate twice, since a table says nothing about other modules."""
        rate = self.rate_at(patterns, x, temp_C)
        return rate, rate
