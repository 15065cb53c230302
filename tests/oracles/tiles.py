"""A tiled machine made of whatever schedules a test hands it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edensim.config.models import ControllerConfig
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import Standard, load_standard
from edensim.engine.engine import Engine
from edensim.engine.machine import MachineRun
from edensim.engine.memory_run import simulate_machine
from edensim.engine.monitor import Monitor
from edensim.engine.tiles import Schedule, run_tiled

CLOCK_MHZ = 1200.0  # DDR4-2400's: one machine cycle is one memory cycle


@dataclass(frozen=True)
class Machine:
    """Runs the schedules it was given."""

    work: tuple[Schedule, ...]
    depth: int = 2
    outstanding: int = 0
    clock_MHz: float = CLOCK_MHZ
    name: str = "tiles"

    def run(self, engine: Engine) -> MachineRun:
        return run_tiled(engine, self)

    def schedules(self) -> tuple[Schedule, ...]:
        return self.work

    def counters(self) -> dict[str, Any]:
        return {}

    def layer_counters(self) -> list[dict[str, Any]]:
        return []


def standard(**settings: Any) -> Standard:
    return load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R", **settings)


def run(*work: Schedule, channels: int = 1, **settings: Any) -> tuple[MemoryRun, np.ndarray]:
    """Run schedules on DDR4-2400R without refresh; the run and its commands."""
    kept: list[np.ndarray] = []
    machine = Machine(work, **settings)
    memory = simulate_machine(
        MemorySystem.nominal(standard(), channels),
        ControllerConfig(refresh="none"),
        machine,
        monitor=Monitor(commands=kept.append),
    )
    return memory, np.concatenate(kept) if kept else np.zeros(0)
