"""EDEN's error models (Koppula et al., MICRO 2019, section 4): which cells of approximate DRAM are weak, and how often a weak cell fails.

A model is a name, a number (the paper's) and one function from its parameters to a `CellLaw`, the common form that cells.py places and that
injection.py applies. Adding a model is writing that function under `@error_model(number, name)`.

A cell is weak with probability P (a fixed property of its place), and a weak cell fails with probability F at each access. Lines (bitlines,
wordlines) differ: the rate of weak cells of a line is the module's mean rate times a factor, lognormal with `spread` the standard deviation
of its natural logarithm, in 256 equally frequent classes; a line with factor g has P = 1 - exp(-rate * g). The F of a line is uniform within
`failure_spread` of the mean. The lognormal form is an assumption: the paper gives one P and F for each line.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.config.plugins import ERROR_MODELS
from edensim.exceptions import ConfigError, nearest

#: Classes of lines; a class holds every 256th part of them.
CLASSES: Final = 256
#: Steps of the factor of a line per 1.
STEPS: Final = 32
#: Largest spread: the weakest of 256 classes of lines has nearly all weak cells.
MAX_SPREAD: Final = 8.0


@dataclass(frozen=True, slots=True)
class CellLaw:
    """What every model comes down to.

    weak_fraction: P, the expected fraction of weak cells over all lines. failure_of_ones, failure_of_zeros: F of a weak cell that holds 1 or 0.
    bitline_spread, wordline_spread: how much lines differ (module docstring). failure_spread: half the width of the range of F over the lines
    that differ (wordlines if they do, else bitlines).
    """

    weak_fraction: float
    failure_of_ones: float
    failure_of_zeros: float
    bitline_spread: float = 0.0
    wordline_spread: float = 0.0
    failure_spread: float = 0.0

    @property
    def data_dependent(self) -> bool:
        return self.failure_of_ones != self.failure_of_zeros

    def mean_failure(self, ones_fraction: float = 0.5) -> float:
        """F of a weak cell, of data with that fraction of ones."""
        return ones_fraction * self.failure_of_ones + (1 - ones_fraction) * self.failure_of_zeros

    def rate(self) -> float:
        """The mean rate of weak cells: -ln(1 - P) where lines do not differ; infinite for P = 1."""
        return _rate(self.weak_fraction, self.bitline_spread, self.wordline_spread)


@functools.lru_cache(maxsize=64)
def line_factors(spread: float) -> NDArray[np.float64]:
    """Factors of the 256 classes of lines, ascending: multiples of 1/32, at least one, their mean exactly 1."""
    normal = NormalDist()
    logarithms = [spread * normal.inv_cdf((index + 0.5) / CLASSES) for index in range(CLASSES)]
    shares = [math.exp(value - logarithms[-1]) for value in logarithms]
    left = CLASSES * (STEPS - 1)  # beyond the one that each has
    exact = [share * left / sum(shares) for share in shares]
    steps = [int(value) for value in exact]
    for index in sorted(range(CLASSES), key=lambda index: exact[index] - steps[index])[
        CLASSES - (left - sum(steps)) :
    ]:
        steps[index] += 1
    return np.sort(np.array(steps, dtype=np.float64) + 1) / STEPS


def weak_fraction_of(
    rate: float, bitline_spread: float = 0.0, wordline_spread: float = 0.0
) -> float:
    """P over all lines at a mean rate of weak cells."""
    if bitline_spread == 0 == wordline_spread:
        return -math.expm1(-rate)
    factors, shares = _distinct_factors(bitline_spread, wordline_spread)
    return float(shares @ -np.expm1(-rate * factors))


@functools.lru_cache(maxsize=64)
def _distinct_factors(
    bitline_spread: float, wordline_spread: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors of cells, each once, and the shares of cells that have them."""
    factors, counts = np.unique(line_factors(bitline_spread), return_counts=True)
    others, other_counts = np.unique(line_factors(wordline_spread), return_counts=True)
    return np.outer(factors, others).ravel(), np.outer(counts, other_counts).ravel() / CLASSES**2


@functools.lru_cache(maxsize=4096)
def _rate(weak_fraction: float, bitline_spread: float, wordline_spread: float) -> float:
    """The inverse of `weak_fraction_of`."""
    if weak_fraction >= 1:
        return math.inf
    rate = -math.log1p(-weak_fraction)
    if weak_fraction <= 0 or bitline_spread == 0 == wordline_spread:
        return max(rate, 0.0)
    factors, shares = _distinct_factors(bitline_spread, wordline_spread)
    for _ in range(500):  # Newton from the left on a concave function never passes the root
        weak = np.exp(-rate * factors)
        slope = float(shares @ (factors * weak))
        if slope <= 0:
            return math.inf
        step = (weak_fraction - float(shares @ -np.expm1(-rate * factors))) / slope
        if step <= 1e-15 * rate:
            break
        rate += step
    return rate


@dataclass(frozen=True, slots=True)
class Kind:
    """A registered model: its number, name, function and the parameters that function takes, with their defaults (None: must be given)."""

    number: int
    name: str
    law: Callable[..., CellLaw]
    parameters: Mapping[str, float | None]

    @property
    def description(self) -> str:
        return (inspect.getdoc(self.law) or "").partition("\n")[0]


_KINDS: dict[int, Kind] = {}


def error_model(
    number: int, name: str
) -> Callable[[Callable[..., CellLaw]], Callable[..., CellLaw]]:
    """Register a function from parameters (its arguments) to a CellLaw as a model. Every model has a `weak_fraction`."""

    def register(law: Callable[..., CellLaw]) -> Callable[..., CellLaw]:
        taken = next(
            (kind for kind in _KINDS.values() if kind.number == number or kind.name == name), None
        )
        if taken is not None:
            raise ConfigError(
                f"error model {number} {name!r}: number or name is taken by {taken.number} {taken.name!r}"
            )
        arguments = inspect.signature(law).parameters.values()
        parameters = {
            each.name: None if each.default is each.empty else float(each.default)
            for each in arguments
        }
        _KINDS[number] = Kind(number, name, law, MappingProxyType(parameters))
        return law

    return register


@error_model(0, "uniform")
def uniform(weak_fraction: float, failure_probability: float = 0.5) -> CellLaw:
    """Weak cells anywhere in a bank (P, F_A)."""
    return CellLaw(weak_fraction, failure_probability, failure_probability)


@error_model(1, "bitline")
def bitline(
    weak_fraction: float,
    failure_probability: float = 0.5,
    spread: float = 1.0,
    failure_spread: float = 0.0,
) -> CellLaw:
    """Weak cells along bitlines: P_B and F_B differ from bitline to bitline."""
    return CellLaw(
        weak_fraction,
        failure_probability,
        failure_probability,
        bitline_spread=spread,
        failure_spread=failure_spread,
    )


@error_model(2, "wordline")
def wordline(
    weak_fraction: float,
    failure_probability: float = 0.5,
    spread: float = 1.0,
    failure_spread: float = 0.0,
) -> CellLaw:
    """Weak cells along wordlines: P_W and F_W differ from row to row."""
    return CellLaw(
        weak_fraction,
        failure_probability,
        failure_probability,
        wordline_spread=spread,
        failure_spread=failure_spread,
    )


@error_model(3, "data-dependent")
def data_dependent(
    weak_fraction: float, failure_of_ones: float, failure_of_zeros: float
) -> CellLaw:
    """Weak cells anywhere; a weak cell that holds 1 fails with F_V1, one that holds 0 with F_V0."""
    return CellLaw(weak_fraction, failure_of_ones, failure_of_zeros)


def kinds() -> tuple[Kind, ...]:
    """All registered models in the order of their numbers."""
    return tuple(_KINDS[number] for number in sorted(_KINDS))


def _load_plugins() -> None:
    """Import the models that other packages bring, which registers them.

    Raises ConfigError if what a package brings under a name is not the model of that name.
    """
    for name, member in ERROR_MODELS.plugins.items():
        law = ERROR_MODELS.load(name)
        if not any(kind.name == name and kind.law is law for kind in _KINDS.values()):
            raise ERROR_MODELS.refuse(
                member, f"expected a function under @error_model(NUMBER, {name!r}), found {law!r}"
            )


def _registered(kind: int | str) -> Kind | None:
    if isinstance(kind, int):
        return None if isinstance(kind, bool) else _KINDS.get(kind)
    return next((each for each in _KINDS.values() if kind in (each.name, str(each.number))), None)


def kind_of(kind: int | str) -> Kind:
    """Find the registered model of a number or name. Raises ConfigError, with the nearest name."""
    found = _registered(kind)
    if found is None:
        _load_plugins()
        found = _registered(kind)
    if found is None:
        names = [each.name for each in kinds()]
        hint = nearest(kind, names) if isinstance(kind, str) else ""
        raise ConfigError(
            f"error model: expected one of {', '.join(f'{each.number} {each.name}' for each in kinds())}, found {kind!r}{hint}"
        )
    return found


@dataclass(frozen=True)
class ErrorModel:
    """A model with its parameters. Make one with `ErrorModel.of`, which checks them.

    kind: the paper's number. parameters: by name, all of them.
    """

    kind: int
    parameters: Mapping[str, float]

    @classmethod
    def of(cls, kind: int | str, **parameters: float) -> ErrorModel:
        """A model by number or name. Raises ConfigError for an unknown model or parameter, one that is missing, and one out of range."""
        known = kind_of(kind)
        what = f"error model {known.number} ({known.name})"
        for name in parameters:
            if name not in known.parameters:
                raise ConfigError(
                    f"{what}: unknown parameter {name!r}{nearest(name, known.parameters)}; known: {', '.join(known.parameters)}"
                )
        values: dict[str, float] = {}
        for name, default in known.parameters.items():
            value = parameters.get(name, default)
            if value is None:
                raise ConfigError(
                    f"{what}: parameter {name} is missing; expected {', '.join(known.parameters)}"
                )
            high = MAX_SPREAD if name == "spread" else 1.0
            if isinstance(value, (bool, str)) or not 0 <= value <= high:
                raise ConfigError(f"{what}: {name}: expected 0 to {high:g}, found {value!r}")
            values[name] = float(value)
        mean, half = values.get("failure_probability", 0.5), values.get("failure_spread", 0.0)
        if not (half <= mean and mean + half <= 1):
            raise ConfigError(
                f"{what}: failure_spread: expected at most {min(mean, 1 - mean):g}, so that F stays within 0 and 1, found {half:g}"
            )
        return cls(known.number, MappingProxyType(values))

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.parameters.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.kind, dict(self.parameters))

    @property
    def name(self) -> str:
        return kind_of(self.kind).name

    @property
    def law(self) -> CellLaw:
        """Its common form."""
        return kind_of(self.kind).law(**self.parameters)

    def expected_ber(self, ones_fraction: float = 0.5) -> float:
        """Bit error rate expected in data with that fraction of ones: P times the mean F, over all lines."""
        law = self.law
        return law.weak_fraction * law.mean_failure(ones_fraction)

    def at_ber(self, ber: float, ones_fraction: float = 0.5) -> ErrorModel:
        """The same structure at another BER: other P, same F (all F raised in step where even P = 1 is not enough).

        Weak cells stay weak, and cells that fail in an access still fail in it, as the BER rises. Raises ConfigError for a BER that no P and F give.
        """
        if not 0 <= ber <= 1:
            raise ConfigError(
                f"error model {self.kind} ({self.name}): BER: expected 0 to 1, found {ber!r}"
            )
        if ber == 0:
            return self.replaced(weak_fraction=0.0)
        failure = self.law.mean_failure(ones_fraction)
        if failure >= ber:
            return self.replaced(weak_fraction=ber / failure)
        if failure > 0:
            half = self.parameters.get("failure_spread", 0.0)
            raised = {
                name: value * ber / failure
                for name, value in self.parameters.items()
                if name.startswith("failure_") and name != "failure_spread"
            }
            if max(raised.values()) + half <= 1:
                return self.replaced(weak_fraction=1.0, **raised)
        raise ConfigError(
            f"error model {self.kind} ({self.name}): BER {ber:g} cannot be reached with a mean failure probability of {failure:g} "
            f"(fraction of ones {ones_fraction:g})"
        )

    def replaced(self, **parameters: float) -> ErrorModel:
        """With other values of some parameters."""
        return ErrorModel.of(self.kind, **{**self.parameters, **parameters})

    def to_dict(self) -> dict[str, Any]:
        """{kind: name, parameter: value, ...}, as module files and results say it."""
        return {"kind": self.name, **self.parameters}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> ErrorModel:
        """Of a `to_dict`. Raises ConfigError as `of` does."""
        if "kind" not in given:
            raise ConfigError(
                f"error model: kind is missing; expected one of {', '.join(each.name for each in kinds())}"
            )
        return cls.of(
            given["kind"], **{name: value for name, value in given.items() if name != "kind"}
        )


def _restored(kind: int, parameters: Mapping[str, float]) -> ErrorModel:
    return ErrorModel(kind, MappingProxyType(dict(parameters)))


def at_ber(
    kind: int | str, ber: float, ones_fraction: float = 0.5, **parameters: float
) -> ErrorModel:
    """A model by its BER instead of its weak fraction; other parameters default to 0.5 for failure probabilities and as registered."""
    known = kind_of(kind)
    given = {
        name: 0.5
        for name, default in known.parameters.items()
        if default is None and name != "weak_fraction"
    } | parameters
    return ErrorModel.of(known.number, **{**given, "weak_fraction": 0.0}).at_ber(ber, ones_fraction)
