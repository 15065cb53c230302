"""Fine characterization: a tolerable BER for each weight tensor and each ifm.

It is described in section 3.3 of Koppula et al., MICRO 2019. All data items begin at the coarse
BER, or at a share of it, because at the coarse BER itself there is little accuracy left to lose. In
turn, the BER of each is raised by a step. If a sample of the images is then classified too badly,
the step is taken back, and the item is left at what it had. The rounds end when no item can rise.

A step is linear, as the paper's is (0.5 percentage points around 4 %: an eighth), and relative to
the coarse BER, so that it suits networks that tolerate far less. Turns are in a new order in each
round: the accuracy that one item costs, another cannot lose any more, and the order must not favour
the same items each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edensim.eden.tolerance import Trial
from edensim.exceptions import InputError

#: An accuracy counts as reached despite the rounding of its sum.
ROUNDING = 1e-12


@dataclass(frozen=True)
class RaiseRules:
    """How items' BERs are raised.

    Attributes
    ----------
    coarse : float
        BER that all data tolerate together.
    begin, step : float
        Shares of the coarse BER that items begin at, and are raised by.
    highest : float
        BER that no item exceeds.
    threshold : float
        Accuracy that a trial must reach.
    seed : int
        Seed of the order of items; the trials are the same for the same seed.
    """

    coarse: float
    begin: float
    step: float
    highest: float
    threshold: float
    seed: int

    def ber(self, steps: int) -> float:
        """Return the BER after some steps."""
        return self.coarse * (self.begin + self.step * steps)

    def bers(self, steps: Mapping[str, int]) -> dict[str, float]:
        """Return the BER of each item after its steps."""
        return {name: self.ber(count) for name, count in steps.items()}


def raise_items(
    items: Sequence[str],
    rules: RaiseRules,
    *,
    accuracy: Callable[[Mapping[str, float]], float],
    known: Sequence[Trial] = (),
    after_round: Callable[[int, Mapping[str, float]], None] | None = None,
) -> Iterator[tuple[Trial, dict[str, float]]]:
    """Raise items' BERs until none can rise; yield each trial, and all BERs after it.

    Parameters
    ----------
    items : sequence of str
        Names of the data items.
    rules : RaiseRules
        Where they begin, and how they are raised.
    accuracy : callable
        Measures the accuracy of the sample at given BERs.
    known : sequence of Trial
        Trials of the same search that need not be done again.
    after_round : callable, optional
        Is called with the number of each round that raised something, and the BERs after it.

    Raises
    ------
    InputError
        If a known trial is of another search.
    """
    steps = dict.fromkeys(items, 0)
    rising = list(items)
    left = list(known)
    for number in range(1 + int(rules.highest / (rules.coarse * rules.step))):
        has_raised = False
        order = np.random.default_rng([rules.seed, number]).permutation(len(rising)).tolist()
        for item in [rising[index] for index in order]:
            raised = rules.ber(steps[item] + 1)
            if raised > rules.highest:
                rising.remove(item)
                continue
            if left:
                trial = left.pop(0)
                if (trial.item, trial.ber) != (item, raised):
                    raise InputError(
                        f"trial of {trial.item!r} at BER {trial.ber:g}: of another search; "
                        f"expected {item!r} at {raised:g}"
                    )
            else:
                score = accuracy({**rules.bers(steps), item: raised})
                trial = Trial(item, raised, score, score >= rules.threshold - ROUNDING)
            if trial.passed:
                has_raised = True
                steps[item] += 1
            else:
                rising.remove(item)
            yield trial, rules.bers(steps)
        if after_round is not None and has_raised:
            after_round(number, rules.bers(steps))
        if not rising:
            return
