"""edensim simulates the memory of DNN inference on approximate DRAM, cycle by cycle.

>>> import edensim
>>> result = edensim.simulate("network.trace", dram={"speed_bin": "2400R", "channels": 2})
>>> print(result.summary())

The names in `edensim.__all__` are public; all others may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edensim._version import __version__

if TYPE_CHECKING:
    from edensim.accuracy.evaluation import evaluate
    from edensim.bit_errors.fit import fit
    from edensim.bit_errors.injection import inject
    from edensim.bit_errors.testbench.profile import profile
    from edensim.config.loading import load_config
    from edensim.config.models import RunConfig
    from edensim.dram.memory_system import MemorySystem
    from edensim.dram.standard import load_standard
    from edensim.eden.boosting import boost
    from edensim.eden.characterization import tolerance
    from edensim.eden.mapping import map_to_dram
    from edensim.energy.breakdown import EnergyBreakdown
    from edensim.exceptions import ConfigError, EdensimError, InputError
    from edensim.machines.systolic.scalesim import scalesim_counts
    from edensim.networks.loading import load_network
    from edensim.networks.network import Network
    from edensim.reproduction.reproduce import reproduce
    from edensim.results.run_result import RunResult
    from edensim.simulation import simulate
    from edensim.sweep import sweep
    from edensim.sweep.result import SweepResult

#: The module of each public name, which is imported when the name is first used.
_HOMES = {
    "ConfigError": "edensim.exceptions",
    "EdensimError": "edensim.exceptions",
    "EnergyBreakdown": "edensim.energy.breakdown",
    "InputError": "edensim.exceptions",
    "MemorySystem": "edensim.dram.memory_system",
    "Network": "edensim.networks.network",
    "RunConfig": "edensim.config.models",
    "RunResult": "edensim.results.run_result",
    "SweepResult": "edensim.sweep.result",
    "boost": "edensim.eden.boosting",
    "evaluate": "edensim.accuracy.evaluation",
    "fit": "edensim.bit_errors.fit",
    "inject": "edensim.bit_errors.injection",
    "load_config": "edensim.config.loading",
    "load_network": "edensim.networks.loading",
    "load_standard": "edensim.dram.standard",
    "map_to_dram": "edensim.eden.mapping",
    "profile": "edensim.bit_errors.testbench.profile",
    "reproduce": "edensim.reproduction.reproduce",
    "scalesim_counts": "edensim.machines.systolic.scalesim",
    "simulate": "edensim.simulation",
    "tolerance": "edensim.eden.characterization",
}

__all__ = [  # noqa: PLE0604 (the table has the names)
    "__version__",
    "sweep",
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name == "sweep":
        return import_module("edensim.sweep")  # a package that can be called
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edensim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
