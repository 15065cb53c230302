"""Whether the refreshes of a run can be done at its operating points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from edensim.config.models import DramConfig, PointConfig
    from edensim.dram.memory_system import MemorySystem

#: Refreshes that may be postponed (JEDEC DDR3 and DDR4), so that a row stays open for long.
MOST_POSTPONED = 8


def check_refresh(dram: DramConfig, memory: MemorySystem, refresh: str) -> None:
    """Refuse refreshes that never end, and rows that stay open for longer than refreshes can wait.

    Parameters
    ----------
    dram
        The configuration of `memory`, whose keys the messages name.
    memory
        The memory.
    refresh
        `all-bank`, `per-bank` or `none`. The ranks of a channel refresh side by side.
    """
    plan = memory.plan
    names = {"all-bank": ("nREFI", "nRFC"), "per-bank": ("nREFIpb", "nRFCpb")}
    if refresh not in names or names[refresh][0] not in memory.standard.timings:
        return
    interval, duration = names[refresh]
    longest = (MOST_POSTPONED + 1) * memory.standard.timings["nREFI"]
    sections: list[tuple[str, PointConfig, int]] = [("dram", dram, 0)]
    for index, change in enumerate(plan.changes):
        sections.append((f"dram.changes.{index}", dram.changes[index], change.point))
    for index, partition in enumerate(plan.partitions):
        sections.append((f"dram.partitions.{index}", dram.partitions[index], partition.point))
    for prefix, section, point in sections:
        timings = plan.points[point].timings
        if timings[interval] <= timings[duration]:
            raise ConfigError(
                f"{_key(prefix, section, 'trefi_ns', interval)}: expected more than "
                f"{timings[duration]} cycles, which a refresh takes, found {timings[interval]}"
            )
        if timings["nRAS"] > longest:
            raise ConfigError(
                f"{_key(prefix, section, 'tras_ns', 'nRAS')}: expected at most {longest} cycles, "
                f"since only {MOST_POSTPONED} refreshes may wait for a row to close, "
                f"found {timings['nRAS']}"
            )


def _key(prefix: str, section: PointConfig, knob: str, timing: str) -> str:
    """Name the key that decides a timing: a knob of the section, or what is specified."""
    is_set = getattr(section, knob, None) is not None
    return f"{prefix}.{knob}" if is_set else f"dram.timings.{timing}"
