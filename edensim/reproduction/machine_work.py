"""Work of machines and memories: a network on a machine at an operating point; the rates of a module; what reads are exposed to."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edensim.config.loading import load_config, resolved
from edensim.config.models import RunConfig
from edensim.config.paths import config_folders
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard
from edensim.results.run_result import RunResult
from edensim.simulation import PreparedRun, prepare, result, simulate_prepared

LAWS: Final = ("linear", "quadratic", "array")
#: VDD that the paper's reductions are shares of: its DDR4's.
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
    """A network on a machine of configs/hardware at a reduced point: time, counters, traffic, and energy by each voltage law.

    less_V: off VDD, in proportion to the 1.2 V of the paper's DDR4 (every bar of its figure 13 is that share); less_ns: off tRCD; ideal: a tRCD of
    one clock.
    """
    base = machine_config(
        machine, [f"network={network}", f"precision={precision}", *(settings or [])]
    )
    standard = MemorySystem.resolve(base.dram, base.controller).specified
    point = msgspec.structs.replace(base.dram, **point_of(standard, less_V, less_ns, ideal))
    prepared = prepare(msgspec.structs.replace(base, dram=point, baselines=()))
    memory = simulate_prepared(prepared)
    by_law = {law: result(at_law(prepared, law), memory) for law in LAWS}
    main = by_law["linear"]
    return {
        "time_ns": main.time_ns,
        "cycles": main.cycles,
        "frontend": dict(main.frontend or {}),
        "commands": dict(main.commands),
        "dram_bytes": dram_bytes(main),
        "point": {"vdd_V": point.vdd_V, "trcd_ns": point.trcd_ns},
        "energy_pJ": {law: found.energy_pJ.to_dict() for law, found in by_law.items()},
        "config": resolved(msgspec.structs.replace(base, dram=point, baselines=())),
        "seed": main.seed,
    }


def machine_config(machine: str, settings: list[str]) -> RunConfig:
    """A machine of configs/hardware with some keys set."""
    path = next(
        found
        for folder in config_folders("hardware")
        if (found := folder / f"eden-{machine}.yaml").exists()
    )
    return load_config(path, settings).config


def point_of(
    standard: Standard, less_V: float, less_ns: float, ideal: bool = False
) -> dict[str, float | None]:
    """VDD (V) and tRCD (ns) of a reduced point; None: as specified."""
    vdd_V = round(standard.currents.vdd_V * (1 - less_V / PAPER_VDD_V), 4) if less_V else None
    trcd_ns = (
        round(standard.timings["nRCD"] * standard.tck_ps / 1000 - less_ns, 3) if less_ns else None
    )
    return {"vdd_V": vdd_V, "trcd_ns": 1e-3 if ideal else trcd_ns}


def at_law(prepared: PreparedRun, law: str) -> PreparedRun:
    """The same run with its energy by another voltage law."""
    from dataclasses import replace

    energy = msgspec.structs.replace(prepared.config.energy, voltage_law=law)
    return replace(prepared, config=msgspec.structs.replace(prepared.config, energy=energy))


def dram_bytes(found: RunResult) -> int:
    """Bytes moved, over all layers."""
    return sum(sum(layer["bytes_by_kind"].values()) for layer in found.layers)


def module_rates(
    module: str, patterns: list[str], vdd_V: list[float], trcd_ns: list[float]
) -> dict[str, Any]:
    """BER of a fitted module by pattern at some VDDs and some tRCDs, with 95 % intervals; what lies beyond its data is marked."""
    from edensim.bit_errors.module import load_module
    from edensim.bit_errors.prediction import predict

    loaded = load_module(module)
    found: dict[str, Any] = {}
    for axis, values in (("vdd_V", vdd_V), ("trcd_ns", trcd_ns)):
        found[axis] = {}
        for pattern in patterns:
            points = []
            for value in values:
                said = predict(loaded, **{axis: value}, pattern=pattern, beyond_data=True)
                points.append(
                    {
                        "at": value,
                        "ber": said.ber_median,
                        "interval": list(said.ber_interval),
                        "beyond_data": bool(said.beyond_data),
                    }
                )
            found[axis][pattern] = points
    return found


def exposed_run(
    machine: str, network: str, module: str, trcd_ns: float, exposure: str
) -> dict[str, Any]:
    """The BER that a network's reads see at a tRCD, over all tensors and of each, under one rule of exposure."""
    settings = [
        f"network={network}",
        f"errors.module={module}",
        f"errors.exposure={exposure}",
        f"dram.trcd_ns={trcd_ns}",
    ]
    config = msgspec.structs.replace(machine_config(machine, settings), baselines=())
    prepared = prepare(config)
    main = result(prepared, simulate_prepared(prepared))
    errors: dict[str, Any] = dict(main.bit_errors or {})
    return {
        "bit_errors": errors,
        "time_ns": main.time_ns,
        "config": resolved(config),
        "seed": main.seed,
    }
