"""edensim: a cycle-level memory-system simulator for DNN inference on approximate DRAM.

import edensim
result = edensim.simulate("network.trace", dram={"speed_bin": "2400R", "channels": 2})
print(result.summary())
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
    from edensim.eden.boosting import boost
    from edensim.eden.characterization import tolerance
    from edensim.eden.mapping import map_to_dram
    from edensim.machines.systolic.scalesim import scalesim_counts
    from edensim.networks.loading import load_network
    from edensim.reproduction.reproduce import reproduce
    from edensim.results.run_result import RunResult
    from edensim.simulation import simulate
    from edensim.sweep import sweep

#: Module of each public name; it is imported when the name is first used.
_HOMES = {
    "RunResult": "edensim.results.run_result",
    "boost": "edensim.eden.boosting",
    "evaluate": "edensim.accuracy.evaluation",
    "fit": "edensim.bit_errors.fit",
    "inject": "edensim.bit_errors.injection",
    "load_network": "edensim.networks.loading",
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
