"""Pictures of saved results: one run, several, a sweep, or a command trace. Nothing here simulates."""

from __future__ import annotations

from edensim.plots.kinds import KINDS, plot

__all__ = ["KINDS", "plot"]
