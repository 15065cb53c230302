"""Define error models: which cells of approximate DRAM are weak, and how often a weak cell fails.

The built-in models are those of EDEN (Koppula et al., MICRO 2019, section 4). A model is a name, a
number (the paper's) and one function from its parameters to a `CellDistribution`, the common form
that cells.py places and injector.py applies. To add a model, write that function under
`@error_model(number, name)`.

A cell is weak with probability P, which is a fixed property of its place, and a weak cell fails
with probability F at each access. Lines (bitlines, wordlines) differ: the rate of weak cells of a
line is the module's mean rate times a factor. The factor is lognormal, `spread` is the standard
deviation of its natural logarithm, and there are 256 equally frequent classes of lines. A line with
factor g has P = 1 - exp(-rate * g). The F of a line is uniform within `failure_spread` of the mean.
The lognormal form is an assumption: the paper gives one P and F for each line.
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

#: Number of classes of lines; each holds the same share of them.
CLASSES: Final = 256
#: The factor of a line is a multiple of one part in so many.
STEPS: Final = 32
#: Largest spread; the weakest of the 256 classes of lines then has nearly all weak cells.
MAX_SPREAD: Final = 8.0


@dataclass(frozen=True, slots=True)
class CellDistribution:
    """The common form of all models.

    Attributes
    ----------
    weak_fraction
        P, the expected fraction of weak cells over all lines.
    failure_of_ones, failure_of_zeros
        F of a weak cell that holds 1, or 0.
    bitline_spread, wordline_spread
        How much lines differ; see the start of this file.
    failure_spread
        Half the width of the range of F over the lines that differ, which are wordlines if these
        do, else bitlines.
    """

    weak_fraction: float
    failure_of_ones: float
    failure_of_zeros: float
    bitline_spread: float = 0.0
    wordline_spread: float = 0.0
    failure_spread: float = 0.0

    @property
    def data_dependent(self) -> bool:
        """Whether ones and zeros fail differently."""
        return self.failure_of_ones != self.failure_of_zeros

    def mean_failure(self, ones_fraction: float = 0.5) -> float:
        """Return the mean F of a weak cell in data with a fraction of ones."""
        return ones_fraction * self.failure_of_ones + (1 - ones_fraction) * self.failure_of_zeros

    def rate(self) -> float:
        """Return the mean rate of weak cells, which is infinite for P = 1."""
        return _rate(self.weak_fraction, self.bitline_spread, self.wordline_spread)


@functools.lru_cache(maxsize=64)
def line_factors(spread: float) -> NDArray[np.float64]:
    """Return the factors of the 256 classes of lines in ascending order.

    They are multiples of 1/32, at least 1/32, and their mean is exactly 1.
    """
    normal = NormalDist()
    logarithms = [spread * normal.inv_cdf((index + 0.5) / CLASSES) for index in range(CLASSES)]
    shares = [math.exp(value - logarithms[-1]) for value in logarithms]
    left = CLASSES * (STEPS - 1)  # to be shared out, as each class has one step
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
    """Return P over all lines at a mean rate of weak cells."""
    if bitline_spread == 0 == wordline_spread:
        return -math.expm1(-rate)
    factors, shares = _distinct_factors(bitline_spread, wordline_spread)
    return float(shares @ -np.expm1(-rate * factors))


@functools.lru_cache(maxsize=64)
def _distinct_factors(
    bitline_spread: float, wordline_spread: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the different factors of cells, and the share of the cells that has each."""
    factors, counts = np.unique(line_factors(bitline_spread), return_counts=True)
    others, other_counts = np.unique(line_factors(wordline_spread), return_counts=True)
    return np.outer(factors, others).ravel(), np.outer(counts, other_counts).ravel() / CLASSES**2


@functools.lru_cache(maxsize=4096)
def _rate(weak_fraction: float, bitline_spread: float, wordline_spread: float) -> float:
    """Return the mean rate of weak cells at a P, the inverse of `weak_fraction_of`."""
    if weak_fraction >= 1:
        return math.inf
    rate = -math.log1p(-weak_fraction)
    if weak_fraction <= 0 or bitline_spread == 0 == wordline_spread:
        return max(rate, 0.0)
    factors, shares = _distinct_factors(bitline_spread, wordline_spread)
    # Newton's method from the left on a concave function never passes the root.
    for _ in range(500):
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
    """A registered model; a parameter without a default is None and must be given."""

    number: int
    name: str
    distribution: Callable[..., CellDistribution]
    parameters: Mapping[str, float | None]

    @property
    def description(self) -> str:
        """First line of the model's docstring."""
        return (inspect.getdoc(self.distribution) or "").partition("\n")[0]


_KINDS: dict[int, Kind] = {}


def error_model(
    number: int, name: str
) -> Callable[[Callable[..., CellDistribution]], Callable[..., CellDistribution]]:
    """Register a function as a model.

    Its arguments are the parameters of the model, of which one is `weak_fraction`, and it returns
    a `CellDistribution`.

    Raises
    ------
    ConfigError
        If the number or the name is taken.
    """

    def register(distribution: Callable[..., CellDistribution]) -> Callable[..., CellDistribution]:
        taken = next(
            (kind for kind in _KINDS.values() if kind.number == number or kind.name == name), None
        )
        if taken is not None:
            raise ConfigError(
                f"error model {number} {name!r}: number or name is taken by {taken.number} "
                f"{taken.name!r}; expected another"
            )
        arguments = inspect.signature(distribution).parameters.values()
        parameters = {
            each.name: None if each.default is each.empty else float(each.default)
            for each in arguments
        }
        _KINDS[number] = Kind(number, name, distribution, MappingProxyType(parameters))
        return distribution

    return register


@error_model(0, "uniform")
def uniform(weak_fraction: float, failure_probability: float = 0.5) -> CellDistribution:
    """Weak cells anywhere in a bank (P, F_A)."""  # noqa: D401  (a description for users)
    return CellDistribution(weak_fraction, failure_probability, failure_probability)


@error_model(1, "bitline")
def bitline(
    weak_fraction: float,
    failure_probability: float = 0.5,
    spread: float = 1.0,
    failure_spread: float = 0.0,
) -> CellDistribution:
    """Weak cells along bitlines: P_B and F_B differ from bitline to bitline."""  # noqa: D401
    return CellDistribution(
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
) -> CellDistribution:
    """Weak cells along wordlines: P_W and F_W differ from row to row."""  # noqa: D401
    return CellDistribution(
        weak_fraction,
        failure_probability,
        failure_probability,
        wordline_spread=spread,
        failure_spread=failure_spread,
    )


@error_model(3, "data-dependent")
def data_dependent(
    weak_fraction: float, failure_of_ones: float, failure_of_zeros: float
) -> CellDistribution:
    """Weak cells anywhere; a weak cell that holds 1 fails with F_V1, one that holds 0 with F_V0."""
    return CellDistribution(weak_fraction, failure_of_ones, failure_of_zeros)


def kinds() -> tuple[Kind, ...]:
    """Return all registered models in the order of their numbers."""
    return tuple(_KINDS[number] for number in sorted(_KINDS))


def _load_plugins() -> None:
    """Import the models that other packages bring, which registers them.

    Raises ConfigError if what a package brings under a name is not the model of that name.
    """
    for name, member in ERROR_MODELS.plugins.items():
        distribution = ERROR_MODELS.load(name)
        if not any(
            kind.name == name and kind.distribution is distribution for kind in _KINDS.values()
        ):
            raise ERROR_MODELS.refuse(
                member,
                f"expected a function under @error_model(NUMBER, {name!r}), found {distribution!r}",
            )


def _registered(kind: int | str) -> Kind | None:
    if isinstance(kind, int):
        return None if isinstance(kind, bool) else _KINDS.get(kind)
    return next((each for each in _KINDS.values() if kind in (each.name, str(each.number))), None)


def kind_of(kind: int | str) -> Kind:
    """Find the registered model of a number or name.

    Raises
    ------
    ConfigError
        If there is none; the message gives the nearest name.
    """
    found = _registered(kind)
    if found is None:
        _load_plugins()
        found = _registered(kind)
    if found is None:
        hint = nearest(kind, [known.name for known in kinds()]) if isinstance(kind, str) else ""
        expected = ", ".join(f"{known.number} {known.name}" for known in kinds())
        raise ConfigError(f"error model: expected one of {expected}, found {kind!r}{hint}")
    return found


@dataclass(frozen=True)
class ErrorModel:
    """An error model with its parameters; `ErrorModel.of` makes one and checks them.

    Attributes
    ----------
    kind
        Number of the model (EDEN's for the built-in ones).
    parameters
        Values of all parameters by name.
    """

    kind: int
    parameters: Mapping[str, float]

    @classmethod
    def of(cls, kind: int | str, **parameters: float) -> ErrorModel:
        """Make a model from its number or name and its parameters.

        Raises
        ------
        ConfigError
            If the model or a parameter is unknown, or a parameter is missing or out of range.
        """
        known = kind_of(kind)
        what = f"error model {known.number} ({known.name})"
        for name in parameters:
            if name not in known.parameters:
                raise ConfigError(
                    f"{what}: unknown parameter {name!r}{nearest(name, known.parameters)}; "
                    f"known: {', '.join(known.parameters)}"
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
                f"{what}: failure_spread: expected at most {min(mean, 1 - mean):g}, "
                f"so that F stays within 0 and 1, found {half:g}"
            )
        return cls(known.number, MappingProxyType(values))

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.parameters.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.kind, dict(self.parameters))

    @property
    def name(self) -> str:
        """Name of the model."""
        return kind_of(self.kind).name

    @property
    def distribution(self) -> CellDistribution:
        """The common form of the model."""
        return kind_of(self.kind).distribution(**self.parameters)

    def expected_ber(self, ones_fraction: float = 0.5) -> float:
        """Return the bit error rate expected in data with a fraction of ones."""
        distribution = self.distribution
        return distribution.weak_fraction * distribution.mean_failure(ones_fraction)

    def at_ber(self, ber: float, ones_fraction: float = 0.5) -> ErrorModel:
        """Return the model with the same structure at another bit error rate.

        P changes and F stays; if even P = 1 is not enough, all F are raised by one factor. As the
        BER rises, weak cells stay weak, and cells that fail in an access still fail in it.

        Raises
        ------
        ConfigError
            If no P and F give that BER.
        """
        if not 0 <= ber <= 1:
            raise ConfigError(
                f"error model {self.kind} ({self.name}): BER: expected 0 to 1, found {ber!r}"
            )
        if ber == 0:
            return self.replaced(weak_fraction=0.0)
        failure = self.distribution.mean_failure(ones_fraction)
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
            f"error model {self.kind} ({self.name}): BER {ber:g} cannot be reached with a mean "
            f"failure probability of {failure:g} (fraction of ones {ones_fraction:g})"
        )

    def replaced(self, **parameters: float) -> ErrorModel:
        """Return the model with other values of some parameters."""
        return ErrorModel.of(self.kind, **{**self.parameters, **parameters})

    def nested_in(self, other: ErrorModel) -> ErrorModel:
        """Return the model with the structure of another, and no more weak cells than that.

        The other belongs to a shorter interval, so that lines and weak cells keep their places.
        """
        mine, theirs = self.distribution, other.distribution
        if self.kind != other.kind or (mine.bitline_spread, mine.wordline_spread) != (
            theirs.bitline_spread,
            theirs.wordline_spread,
        ):
            return other.at_ber(min(self.expected_ber(), other.expected_ber()))
        return self.replaced(weak_fraction=min(mine.weak_fraction, theirs.weak_fraction))

    def to_dict(self) -> dict[str, Any]:
        """Return `kind` (the name) and the parameters, as in module files and results."""
        return {"kind": self.name, **self.parameters}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> ErrorModel:
        """Make a model from what `to_dict` returns; raises ConfigError as `of` does."""
        if "kind" not in given:
            raise ConfigError(
                f"error model: kind is missing; expected one of "
                f"{', '.join(known.name for known in kinds())}"
            )
        return cls.of(
            given["kind"], **{name: value for name, value in given.items() if name != "kind"}
        )


def _restored(kind: int, parameters: Mapping[str, float]) -> ErrorModel:
    return ErrorModel(kind, MappingProxyType(dict(parameters)))


def at_ber(
    kind: int | str, ber: float, ones_fraction: float = 0.5, **parameters: float
) -> ErrorModel:
    """Make a model from its bit error rate instead of its weak fraction.

    Failure probabilities that are not given are 0.5; other parameters have their defaults.
    """
    known = kind_of(kind)
    given = {
        name: 0.5
        for name, default in known.parameters.items()
        if default is None and name != "weak_fraction"
    } | parameters
    return ErrorModel.of(known.number, **{**given, "weak_fraction": 0.0}).at_ber(ber, ones_fraction)
