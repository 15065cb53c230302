"""List all targets in the order of their numbers, and find them by name."""

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


def targets_named(names: Sequence[str]) -> list[Target]:
    """Return targets by name or number, in order; "all" is every one. Raises InputError."""
    if "all" in names or not names:
        return list(TARGETS)
    known = {target.name for target in TARGETS} | {str(target.number) for target in TARGETS}
    for name in names:
        if name not in known:
            words = [target.name for target in TARGETS]
            raise InputError(
                f"unknown target {name!r}{nearest(name, words)} "
                f"(known: all, {', '.join(words)}, or their numbers 1 to {len(words)})"
            )
    return [target for target in TARGETS if {target.name, str(target.number)} & set(names)]
