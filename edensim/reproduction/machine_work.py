"""Run the work of machines and memories: networks on machines, and bit error rates of modules."""

from dataclasses import replace
from typing import Any, Final

import msgspec

from edensim.config.loading import load_config, resolved
from edensim.config.models import RunConfig
from edensim.config.paths import config_folders
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard
from edensim.results.run_result import RunResult
from edensim.simulation import PreparedRun, prepare, result_of, run_prepared, simulate_prepared

LAWS: Final = ("linear", "quadratic", "array")
#: VDD of the paper's DDR4, of which its reductions are shares.
PAPER_VDD_V: Final = 1.2


def machine_run(
    machine: str,
    network: str,
    precision: str,
    less_V: float = 0.0,
    less_ns: float = 0.0,
    ideal: bool = False,
    settings: list[str] | None = None,
) -> dict[str, Any]:
    """Run a network on a machine at a reduced operating point.

    Parameters
    ----------
    machine : str
        A machine of configs/hardware.
    network, precision : str
        The network, and how its data are stored.
    less_V : float
        Reduction of VDD for the 1.2 V of the paper's DDR4; other memories are reduced by the same
        share, as every bar of the paper's figure 13 is.
    less_ns : float
        Reduction of tRCD.
    ideal : bool
        Whether tRCD is one clock instead.
    settings : list of str, optional
        Further settings ``KEY=VALUE``.

    Returns
    -------
    dict
        Time, counters, traffic, and the energy by each voltage law.
    """
    base = machine_config(
        machine, [f"network={network}", f"precision={precision}", *(settings or [])]
    )
    standard = MemorySystem.resolve(base.dram, base.controller).specified
    point = msgspec.structs.replace(base.dram, **reduced_point(standard, less_V, less_ns, ideal))
    config = msgspec.structs.replace(base, dram=point, baselines=())
    prepared = prepare(config)
    memory = simulate_prepared(prepared)
    by_law = {law: result_of(with_law(prepared, law), memory) for law in LAWS}
    main = by_law["linear"]
    return {
        "time_ns": main.time_ns,
        "cycles": main.cycles,
        "frontend": dict(main.frontend or {}),
        "commands": dict(main.commands),
        "dram_bytes": dram_bytes(main),
        "point": {"vdd_V": point.vdd_V, "trcd_ns": point.trcd_ns},
        "energy_pJ": {law: outcome.energy_pJ.to_dict() for law, outcome in by_law.items()},
        "config": resolved(config),
        "seed": main.seed,
    }


def machine_config(machine: str, settings: list[str]) -> RunConfig:
    """Return the configuration of a machine with some keys set."""
    paths = (folder / f"eden-{machine}.yaml" for folder in config_folders("hardware"))
    return load_config(next(path for path in paths if path.exists()), settings).config


def reduced_point(
    standard: Standard, less_V: float, less_ns: float, ideal: bool = False
) -> dict[str, float | None]:
    """Return VDD (V) and tRCD (ns) of a reduced point, None for a value as specified."""
    specified_ns = standard.timings["nRCD"] * standard.tck_ps / 1000
    vdd_V = round(standard.currents.vdd_V * (1 - less_V / PAPER_VDD_V), 4) if less_V else None
    trcd_ns = round(specified_ns - less_ns, 3) if less_ns else None
    return {"vdd_V": vdd_V, "trcd_ns": 1e-3 if ideal else trcd_ns}


def with_law(prepared: PreparedRun, law: str) -> PreparedRun:
    """Return the same run with its energy by another voltage law."""
    energy = msgspec.structs.replace(prepared.config.energy, voltage_law=law)
    return replace(prepared, config=msgspec.structs.replace(prepared.config, energy=energy))


def dram_bytes(run: RunResult) -> int:
    """Return the bytes that all layers moved."""
    return sum(sum(layer["bytes_by_kind"].values()) for layer in run.layers)


def module_rates(
    module: str, patterns: list[str], vdd_V: list[float], trcd_ns: list[float]
) -> dict[str, Any]:
    """Return the BER of a module at each VDD and each tRCD, by pattern.

    Each BER has its 95 % interval, and a mark if it lies beyond the module's data.
    """
    from edensim.bit_errors.module import load_module
    from edensim.bit_errors.prediction import predict

    loaded = load_module(module)

    def point(axis: str, value: float, pattern: str) -> dict[str, Any]:
        prediction = predict(loaded, **{axis: value}, pattern=pattern, beyond_data=True)
        return {
            "at": value,
            "ber": prediction.ber_median,
            "interval": list(prediction.ber_interval),
            "beyond_data": bool(prediction.beyond_data),
        }

    return {
        axis: {pattern: [point(axis, value, pattern) for value in values] for pattern in patterns}
        for axis, values in (("vdd_V", vdd_V), ("trcd_ns", trcd_ns))
    }


def exposed_run(
    machine: str, network: str, module: str, trcd_ns: float, exposure: str
) -> dict[str, Any]:
    """Return the BER that a network's reads meet at a tRCD under one rule of exposure."""
    settings = [
        f"network={network}",
        f"errors.module={module}",
        f"errors.exposure={exposure}",
        f"dram.trcd_ns={trcd_ns}",
    ]
    config = msgspec.structs.replace(machine_config(machine, settings), baselines=())
    main = run_prepared(prepare(config))
    return {
        "bit_errors": dict(main.bit_errors or {}),
        "time_ns": main.time_ns,
        "config": resolved(config),
        "seed": main.seed,
    }
