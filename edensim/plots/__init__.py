"""Pictures of saved results: one run, several, a sweep, or a command trace. Nothing here simulates."""

from __future__ import annotations

from edensim.plots.commands import parse_clocks
from edensim.plots.kinds import KINDS, check_kind, plot

__all__ = ["KINDS", "check_kind", "parse_clocks", "plot"]
