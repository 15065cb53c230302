"""What a run leaves behind: counts, energy, and one result object that can be saved, loaded and read by people.

`Counts` is filled by an engine (or from a command list), `EnergyBreakdown` by `edensim.energy`, `RunResult` joins both with the
configuration. All three are plain values: nothing here computes a simulation.
"""

from __future__ import annotations

from edensim.results.breakdown import EnergyBreakdown
from edensim.results.counts import Counts
from edensim.results.files import save_bytes, save_text
from edensim.results.run import RESULT_FORMAT, RunResult

__all__ = ["RESULT_FORMAT", "Counts", "EnergyBreakdown", "RunResult", "save_bytes", "save_text"]
