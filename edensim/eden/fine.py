"""Fine-grained characterization: a tolerable BER for each weight tensor and each ifm (Koppula et al., MICRO 2019, section 3.3).

All items begin at the coarse BER, or a share of it: at the coarse BER itself there is little accuracy left to lose. In turn each one's is raised by
a step; where a sample of the images is then classified too badly, the step is taken back and the item is left at what it had; until none can rise.
A step is linear, as the paper's (0.5 percentage points around 4 %: an eighth), and relative to the coarse BER, so that it suits networks that
tolerate far less. Turns are in a new order each round: what one item takes of the accuracy that may be lost, another cannot take any more, and the
order must not favour the same items each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from edensim.eden.tolerance import Trial
from edensim.exceptions import InputError

#: An accuracy counts as reached despite the rounding of its sum.
ROUNDING = 1e-12


def raise_items(
    items: Sequence[str],
    *,
    coarse: float,
    begin: float,
    step: float,
    highest: float,
    threshold: float,
    seed: int,
    accuracy: Callable[[Mapping[str, float]], float],
    known: Sequence[Trial] = (),
    after_round: Callable[[int, Mapping[str, float]], None] | None = None,
) -> Iterator[tuple[Trial, dict[str, float]]]:
    """Each trial, and the BER of every item after it. The same for the same seed.

    begin, step: of the coarse BER; highest: BER that no item passes; accuracy(bers): of the sample;
    known: trials of the same search that need not be done again; after_round(number, bers): called after each round that raised something.

    Raises InputError where these are of another search.
    """
    steps = dict.fromkeys(items, 0)
    rising = list(items)
    left = list(known)
    for number in range(1 + int(highest / (coarse * step))):
        passed = list[bool]()
        order = np.random.default_rng([seed, number]).permutation(len(rising)).tolist()
        for item in [rising[index] for index in order]:
            raised = coarse * (begin + step * (steps[item] + 1))
            if raised > highest:
                rising.remove(item)
                continue
            trial = left.pop(0) if left else None
            if trial is None:
                found = accuracy(
                    {
                        name: raised if name == item else coarse * (begin + step * steps[name])
                        for name in items
                    }
                )
                trial = Trial(item, raised, found, found >= threshold - ROUNDING)
            elif (trial.item, trial.ber) != (item, raised):
                raise InputError(
                    f"trial of {trial.item!r} at BER {trial.ber:g}: of another search; expected {item!r} at {raised:g}"
                )
            passed.append(trial.passed)
            if trial.passed:
                steps[item] += 1
            else:
                rising.remove(item)
            yield trial, {name: coarse * (begin + step * steps[name]) for name in items}
        if after_round is not None and any(passed):
            after_round(number, {name: coarse * (begin + step * steps[name]) for name in items})
        if not rising:
            return
