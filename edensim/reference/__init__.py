"""The executable specification of the controller: a SimPy twin that ticks every cycle, and a checker that replays command lists.

Neither reads the compiled engine, and neither reads the other: three texts have to agree.
"""

from __future__ import annotations

from edensim.reference.checker import CommandChecker, Violation, check_commands, require_legal
from edensim.reference.tiles import simulate_reference_tiles
from edensim.reference.twin import ReferenceRun, simulate_reference

__all__ = ["CommandChecker", "ReferenceRun", "Violation", "check_commands", "require_legal", "simulate_reference", "simulate_reference_tiles"]
