"""Sweeps: one configuration at many points, resumable, on this machine or a Dask cluster.

The package is also the function: ``edensim.sweep(run, over)`` calls `edensim.sweep.sweep.sweep`,
so that the verb and the package share their name.
"""

from __future__ import annotations

import sys
from types import ModuleType

from edensim.sweep.result import SweepResult, load_sweep, pareto_front
from edensim.sweep.sweep import sweep

__all__ = ["SweepResult", "load_sweep", "pareto_front", "sweep"]


class _CallableModule(ModuleType):
    __call__ = staticmethod(sweep)


sys.modules[__name__].__class__ = _CallableModule
