"""Define the forms of curve that may describe measured rates."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.mixture import LINKS, Link

Form = Literal["probit", "logit", "exponential"]
Variable = Literal["linear", "square", "bend"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One form of curve; modules differ by an offset (`effects` 1), or by a slope too (2)."""

    form: Form
    variable: Variable
    cutoff: float | None
    saturation: float
    effects: int

    @property
    def name(self) -> str:
        """The candidate in words, as results give it."""
        words = [
            self.form,
            self.variable,
            f"saturation {self.saturation:g}",
            f"{'offset' if self.effects == 1 else 'offset and slope'} by module",
        ]
        if self.cutoff is not None:
            words.append(f"cut-off at {self.cutoff:g}")
        return ", ".join(words)

    @property
    def link(self) -> Link:
        """Function from z to the logarithm of the share."""
        return LINKS[self.form]

    @property
    def width(self) -> int:
        """Number of coefficients of a pattern: the offset and the slopes."""
        return 3 if self.variable == "bend" else 2

    def falling(self, coefficients: int) -> NDArray[np.bool_]:
        """Return which of so many coefficients are slopes, which must not rise above 0."""
        return np.asarray(np.arange(coefficients) % self.width != 0)

    def used(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which quantities lie below the cut-off."""
        if self.cutoff is None:
            return np.ones(len(x), dtype=bool)
        return np.asarray(x < self.cutoff - 1e-9)
