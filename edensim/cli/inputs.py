"""What a command takes from a configuration beside a trace or result of any simulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edensim.config.loading import LoadedConfig
    from edensim.dram.standard import Standard


def stated_standard(config: Path | None, overrides: list[str] | None) -> Standard:
    """Return the standard that a configuration names, at its operating point."""
    from edensim.config.loading import load_config
    from edensim.dram.memory_system import MemorySystem

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        return MemorySystem.resolve(loaded.config.dram).standard


def stated_channels(loaded: LoadedConfig) -> int | None:
    """Return the number of channels that a configuration states, or None if it states none."""
    from edensim.config.loading import DEFAULT

    return None if loaded.origins["dram.channels"] == DEFAULT else loaded.config.dram.channels
