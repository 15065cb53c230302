"""All targets, in the order of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edensim.exceptions import InputError, nearest
from edensim.reproduction.accuracy_targets import ACCURACY_TARGETS
from edensim.reproduction.machine_targets import MACHINE_TARGETS
from edensim.reproduction.memory_targets import MEMORY_TARGETS
from edensim.reproduction.target import Target
from edensim.reproduction.tolerance_targets import TOLERANCE_TARGETS

TARGETS: Final = tuple(
    sorted(
        (*MACHINE_TARGETS, *MEMORY_TARGETS, *ACCURACY_TARGETS, *TOLERANCE_TARGETS),
        key=lambda target: target.number,
    )
)


def chosen(names: Sequence[str]) -> list[Target]:
    """Targets by name or number; `all` is every one. Raises InputError."""
    if "all" in names or not names:
        return list(TARGETS)
    known = {each.name: each for each in TARGETS} | {str(each.number): each for each in TARGETS}
    for name in names:
        if name not in known:
            words = [each.name for each in TARGETS]
            raise InputError(
                f"unknown target {name!r}{nearest(name, words)} (known: all, {', '.join(words)}, or their numbers 1 to {len(words)})"
            )
    wanted = {known[name].number for name in names}
    return [each for each in TARGETS if each.number in wanted]
