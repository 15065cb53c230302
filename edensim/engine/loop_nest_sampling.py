"""Sample long loops whose turns are alike: walk some turns, and extrapolate the rest.

Turns are walked at equal distances over the whole loop (systematic sampling), so that slow changes
show, such as caches that fill with what was written. If what all turns share fits the last level,
the turns left out still pass through the caches, each of their lines once. What they displace, and
so their misses and write-backs, is then counted, and only their time is extrapolated. If it does
not fit, a turn leaves the caches as it found them. A long turn may itself consist of steps that are
alike. Then only its begin is walked, until nothing of the turn before is left in the caches, and
some steps behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edensim.engine.loop_nest_counters import CpuCounters, total, with_traffic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.engine.cpu_engine import CpuEngine
    from edensim.engine.loop_nest_layer import LoopNestLayer, Sample

#: Fewest lines touched in the turns walked at once; short loops touch a fiftieth of their lines.
#: Turns are walked STRATA times, besides the first and the last turns, in loops that touch more
#: than LONG_TOUCHES lines; less often in shorter ones, and if each turn streams more than the last
#: level holds.
WALKED_TOUCHES = 100_000
STRATA, STRATA_SHORT, STRATA_STREAMED = 16, 4, 2
LONG_TOUCHES = 5_000_000
#: Most lines walked in a loop, if that leaves this many strata.
MOST_TOUCHES, FEWEST_STRATA = 2_500_000, 3
#: Loops that touch fewer lines are walked whole.
LEAST_TOUCHES = 500_000
#: Loops of fewer turns are not walked in steps.
LEAST_TURNS = 4
#: A loop is walked whole if more than this part of it would be walked.
MOST_WALKED = 0.6
#: What is used over and over stays in the last level if it fills at most this part of it; if it
#: fills more, everything is displaced before it is used again.
RESIDENT_PART = 0.95
#: Part of the last level that turns left out may fill until what all share is touched again.
WARMED_PART = 0.03
#: The begin of a turn in steps streams the last level so many times. The steps walked behind it
#: touch at least so many lines.
BEGIN_PART = 1.25
STEADY_TOUCHES = 100_000


@dataclass(frozen=True)
class Plan:
    """How to sample a loop.

    Attributes
    ----------
    turns : int
        Turns of the loop on every core.
    rest : int
        1 if some cores have one turn more.
    block, strata : int
        Turns walked at once, and how often that is done.
    resident : bool
        Whether what the turns share fits the last level.
    """

    turns: int
    rest: int
    block: int
    strata: int
    resident: bool


def plan_of(sample: Sample, layer: LoopNestLayer, cpu: CpuEngine) -> Plan | None:
    """Plan how to sample a loop; return None if it is walked whole."""
    nest = layer.nests[sample.nest]
    cores = cpu.config.cores if nest["parallel"] else 1
    turns, rest = divmod(int(nest["loops"][0]), cores)
    capacity = cpu.config.l3_kB * 1024 * cpu.config.cores
    resident = sample.shared_bytes <= RESIDENT_PART * capacity
    touches = turns * sample.touches
    strata = STRATA_STREAMED if not resident else STRATA if touches > LONG_TOUCHES else STRATA_SHORT
    block = -(-min(WALKED_TOUCHES, touches // 50) // max(1, sample.touches))
    # Fewer long turns are walked, down to three walks: a turn that streams shows all there is.
    strata = min(
        strata,
        max(MOST_TOUCHES // max(1, block * sample.touches) - 2, FEWEST_STRATA if resident else 1),
    )
    if touches < LEAST_TOUCHES or block * (strata + 2) > MOST_WALKED * turns:
        return None
    return Plan(turns, int(rest > 0), block, strata, resident)


def run_sampled(cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, plan: Plan) -> CpuCounters:
    """Run a nest in samples; return what was extrapolated."""
    steps = None if plan.resident or plan.turns < LEAST_TURNS else steps_of(cpu, sample)
    extra = (
        run_in_turns(cpu, layer, sample, plan)
        if steps is None
        else run_in_steps(cpu, layer, sample, plan.turns, *steps)
    )
    if plan.rest:
        walk(cpu, layer, sample, plan.turns, plan.turns + 1)
    return extra


def run_in_turns(cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, plan: Plan) -> CpuCounters:
    """Run the turns that all cores have in samples; return what was extrapolated.

    The counters of turns between two walks lie between those of the walks.
    """
    block = plan.block
    walk(cpu, layer, sample, 0, block)  # cold misses happen only once
    starts = np.linspace(block, plan.turns - block, plan.strata + 1).astype(int).tolist()
    parts: list[CpuCounters] = []
    earlier = measured(cpu, layer, sample, starts[0], block)
    for start, stop in zip(starts[:-1], starts[1:], strict=True):
        left = stop - start - block
        traffic = (
            warm(cpu, layer, sample, start + block, stop) if plan.resident and left > 0 else None
        )
        later = measured(cpu, layer, sample, stop, block)
        if left > 0:
            weight = (
                between(earlier.writes, later.writes, traffic.writes * block / left)
                if traffic
                else 0.5
            )
            parts.append(extrapolated(earlier, later, weight, left / block, traffic))
            cpu.engine.exposures += np.rint(
                (earlier.exposures * (1 - weight) + later.exposures * weight) * (left / block)
            ).astype(np.int64)
        earlier = later
    extra = total(parts)
    assert extra is not None
    return extra


def steps_of(cpu: CpuEngine, sample: Sample) -> tuple[int, int] | None:
    """Return how many steps of a streamed turn are its begin, and how many are walked behind it.

    Returns None if the turn has no more steps than these.
    """
    capacity = cpu.config.l3_kB * 1024 * cpu.config.cores
    begin = -(-int(BEGIN_PART * capacity) * sample.steps // sample.shared_bytes)
    steady = -(-STEADY_TOUCHES * sample.steps // sample.touches)
    return (begin, steady) if begin + steady < sample.steps else None


def run_in_steps(
    cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, turns: int, begin: int, steady: int
) -> CpuCounters:
    """Run a nest of which two turns are walked in part; return what was extrapolated."""
    left = sample.steps - begin - steady
    walk(cpu, layer, sample, 0, 1, (0, begin))  # cold misses happen only once
    first = measured(cpu, layer, sample, 0, 1, (begin, begin + steady))
    head = measured(cpu, layer, sample, 1, 1, (0, begin))
    second = measured(cpu, layer, sample, 1, 1, (begin, begin + steady))
    parts = (
        (first, left / steady),
        (head, turns - 2),
        (second, left / steady + (turns - 2) * (left + steady) / steady),
    )
    for walked, factor in parts:
        cpu.engine.exposures += np.rint(walked.exposures * factor).astype(np.int64)
    # What follows finds the lines of the last turn in the caches.
    snapshot = cpu.snapshot()
    end = (sample.steps - begin, sample.steps)
    walk(cpu, layer, sample, turns - 1, turns, end, functional=True)
    cpu.rollback(snapshot)
    extra = total(walked.counters.times(factor) for walked, factor in parts)
    assert extra is not None
    return extra


@dataclass(frozen=True)
class Walked:
    """The counters of some turns, and the exposures of their reads."""

    counters: CpuCounters
    exposures: NDArray[np.int64]

    @property
    def writes(self) -> int:
        """Number of lines written back."""
        return self.counters.counters["llc_writebacks"]


@dataclass(frozen=True)
class Traffic:
    """What turns that were left out would have requested from the memory.

    Lines read and written, the same by tensor, and the memory accesses of a line.
    """

    reads: int
    writes: int
    moved: NDArray[np.int64]
    parts: int


def measured(
    cpu: CpuEngine,
    layer: LoopNestLayer,
    sample: Sample,
    start: int,
    block: int,
    steps: tuple[int, int] | None = None,
) -> Walked:
    """Walk some turns, or some steps of them, and return what happened."""
    before, exposures = cpu.counters(), cpu.engine.exposures.copy()
    walk(cpu, layer, sample, start, start + block, steps)
    return Walked(cpu.counters().minus(before), cpu.engine.exposures - exposures)


def between(earlier: int, later: int, written: float) -> float:
    """Return where turns that wrote back some lines lie between the walks before and after them.

    The result is 0 to 1, and one half if the two walks are about alike.
    """
    if abs(later - earlier) * 50 <= max(earlier, later):
        return 0.5
    return min(1.0, max(0.0, (written - earlier) / (later - earlier)))


def extrapolated(
    earlier: Walked, later: Walked, weight: float, factor: float, traffic: Traffic | None
) -> CpuCounters:
    """Extrapolate the counters of turns between two walks."""
    part = earlier.counters.times((1 - weight) * factor).plus(later.counters.times(weight * factor))
    if traffic is None:
        return part
    return replace(
        part,
        counters={
            **part.counters,
            "llc_read_misses": traffic.reads,
            "llc_writebacks": traffic.writes,
        },
        moved=traffic.moved,
        counts=with_traffic(
            part.counts, traffic.reads * traffic.parts, traffic.writes * traffic.parts
        ),
    )


def walk(
    cpu: CpuEngine,
    layer: LoopNestLayer,
    sample: Sample,
    start: int,
    stop: int,
    steps: tuple[int, int] | None = None,
    *,
    functional: bool = False,
) -> None:
    """Walk some turns as they are; of their second loop some steps, or all (None)."""
    nest, refs = layer.nests[sample.nest : sample.nest + 1].copy(), layer.refs
    nest["first"], nest["stop"] = start, stop
    if steps is not None:
        nest["loops"][:, 1] = steps[1] - steps[0]
        refs = refs.copy()
        for place, stride in (
            ("base", "stride"),
            ("row", "row_stride"),
            ("column", "column_stride"),
        ):
            refs[place] += steps[0] * refs[stride][:, 1]
    cpu.run(nest, refs, functional=functional)


def warm(cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, start: int, stop: int) -> Traffic:
    """Let turns pass through the caches; return what they would have requested from the memory."""
    snapshot = cpu.snapshot()
    config = cpu.config
    group = max(1, int(WARMED_PART * config.l3_kB * 1024 / max(1, sample.each_bytes)))
    for first in range(start, stop, group):
        turns = layer.nests[list(sample.each)].copy()
        turns["first"], turns["stop"] = first, min(first + group, stop)
        cpu.run(turns, layer.refs, functional=True)
        if sample.shared:
            cpu.run(layer.nests[list(sample.shared)], layer.refs, functional=True)
    counters, moved = cpu.rollback(snapshot)
    return Traffic(
        counters["llc_read_misses"], counters["llc_writebacks"], moved, int(cpu.machine[0]["parts"])
    )
