"""edensim: a cycle-level memory-system simulator for DNN inference on approximate DRAM.

import edensim
result = edensim.simulate("network.trace", dram={"speed_bin": "2400R", "channels": 2})
print(result.summary())
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edensim.dnn.loading import load_network
    from edensim.eden.boosting import boost
    from edensim.eden.characterization import tolerance
    from edensim.eden.mapping import map_to_dram
    from edensim.errors.fitted import fit
    from edensim.errors.injection import inject
    from edensim.inference.evaluation import evaluate
    from edensim.profiling import profile
    from edensim.reproduction.run import reproduce
    from edensim.results import RunResult
    from edensim.sweep import sweep

__version__ = "0.1.0"
__all__ = [
    "RunResult",
    "__version__",
    "boost",
    "evaluate",
    "fit",
    "inject",
    "load_network",
    "map_to_dram",
    "profile",
    "reproduce",
    "simulate",
    "sweep",
    "tolerance",
]


def simulate(
    trace: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    commands: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    **sections: Mapping[str, Any],
) -> RunResult:
    """Simulate a memory trace, as `edensim simulate` does.

    config: a run YAML. sections: configuration as keyword arguments (`dram={"channels": 2}`), overrides: as `--set` takes them
    (`"dram.channels=2"`). Later wins, in the order sections, config, trace, overrides. commands: where to write every command issued (CSV).
    progress: called with requests done and, where known, requests in all.

    Raises InputError (what was asked cannot be accepted) or another EdensimError.
    """
    from pathlib import Path

    from edensim.config import load_config
    from edensim.system import run

    named = [] if trace is None else [f"trace={os.fspath(trace)}"]
    loaded = load_config(Path(config) if config is not None else None, [*named, *overrides], sections)
    with loaded.locating():
        return run(loaded.config, commands_path=Path(commands) if commands is not None else None, progress=progress)


def __getattr__(name: str) -> Any:
    if name == "sweep":
        from importlib import import_module

        return import_module("edensim.sweep")  # a package that can be called
    if name == "fit":
        from edensim.errors.fitted import fit

        return fit
    if name == "evaluate":
        from edensim.inference.evaluation import evaluate

        return evaluate
    if name == "inject":
        from edensim.errors.injection import inject

        return inject
    if name == "load_network":
        from edensim.dnn.loading import load_network

        return load_network
    if name == "profile":
        from edensim.profiling import profile

        return profile
    if name == "boost":
        from edensim.eden.boosting import boost

        return boost
    if name == "map_to_dram":
        from edensim.eden.mapping import map_to_dram

        return map_to_dram
    if name == "reproduce":
        from edensim.reproduction.run import reproduce

        return reproduce
    if name == "tolerance":
        from edensim.eden.characterization import tolerance

        return tolerance
    if name == "RunResult":
        from edensim.results import RunResult

        return RunResult
    raise AttributeError(f"module 'edensim' has no attribute {name!r}")
