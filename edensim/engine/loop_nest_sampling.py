"""Long loops whose turns are alike: some turns are walked, the rest is extrapolated from those just before.

Systematic sampling: turns are walked at equal distances over the whole loop, so that slow changes (caches filling with what was written) are seen.
Where what all turns share fits the last level, the turns left out still pass through the caches, line by line but each line once: what they
displace, and so their misses and write-backs, is counted; only their time is extrapolated. Where it does not fit, a turn leaves the caches as it
found them; of a long one that consists of steps which are alike, too, only its begin is walked, until nothing of the turn before is left in the
caches, and some steps behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edensim.engine.loop_nest_counters import Tally, with_traffic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edensim.engine.loop_nest_layer import LoopNestLayer, Sample
    from edensim.engine.loop_nests import CpuEngine

#: Lines touched in the turns walked at once, at least (of short loops a fiftieth); and how often that is done, beside the first and the last turns,
#: in loops that touch so many lines, in shorter ones, and where each turn streams more than the last level holds.
WALKED_TOUCHES = 100_000
STRATA, STRATA_SHORT, STRATA_STREAMED = 16, 4, 2
LONG_TOUCHES = 5_000_000
#: Lines walked in a loop at most, where that leaves this many strata.
MOST_TOUCHES, FEWEST_STRATA = 2_500_000, 3
#: Loops that touch fewer lines are walked whole.
LEAST_TOUCHES = 500_000
#: Loops of fewer turns are not walked in steps.
LEAST_TURNS = 4
#: Loops of which more would be walked than this part are walked whole.
MOST_WALKED = 0.6
#: What is used over and over stays in the last level up to this part of it; of more, everything is gone before it is used again.
RESIDENT_PART = 0.95
#: Part of the last level that turns left out may fill before what they share is touched again.
WARMED_PART = 0.03
#: Of a turn in steps: its begin streams so many times the last level; lines touched in the steps walked behind it, at least.
BEGIN_PART = 1.25
STEADY_TOUCHES = 100_000


@dataclass(frozen=True)
class Plan:
    """turns: of the loop on every core; rest: 1 if some cores have one more; block: turns walked at once; strata: how often; resident: what the turns
    share fits the last level."""

    turns: int
    rest: int
    block: int
    strata: int
    resident: bool


def plan_of(sample: Sample, layer: LoopNestLayer, cpu: CpuEngine) -> Plan | None:
    """How to sample a loop; None if it is walked whole."""
    nest = layer.nests[sample.nest]
    cores = cpu.config.cores if nest["parallel"] else 1
    turns, rest = divmod(int(nest["loops"][0]), cores)
    capacity = cpu.config.l3_kB * 1024 * cpu.config.cores
    resident = sample.shared_bytes <= RESIDENT_PART * capacity
    total = turns * sample.touches
    strata = STRATA_STREAMED if not resident else STRATA if total > LONG_TOUCHES else STRATA_SHORT
    block = -(-min(WALKED_TOUCHES, total // 50) // max(1, sample.touches))
    # Long turns: fewer of them, down to three walks (a turn that streams shows all there is to see).
    strata = min(
        strata,
        max(MOST_TOUCHES // max(1, block * sample.touches) - 2, FEWEST_STRATA if resident else 1),
    )
    if total < LEAST_TOUCHES or block * (strata + 2) > MOST_WALKED * turns:
        return None
    return Plan(turns, int(rest > 0), block, strata, resident)


def run_sampled(cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, plan: Plan) -> Tally:
    """Run a nest in samples; returns what was extrapolated."""
    steps = None if plan.resident or plan.turns < LEAST_TURNS else steps_of(cpu, sample)
    extra = (
        run_in_turns(cpu, layer, sample, plan)
        if steps is None
        else run_in_steps(cpu, layer, sample, plan.turns, *steps)
    )
    if plan.rest:
        walk(cpu, layer, sample, plan.turns, plan.turns + 1)
    return extra


def run_in_turns(cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, plan: Plan) -> Tally:
    """Run the turns that all cores have in samples; returns what was extrapolated. Between two walks, figures lie between theirs."""
    block = plan.block
    walk(cpu, layer, sample, 0, block)  # what is cold is only there once
    starts = np.linspace(block, plan.turns - block, plan.strata + 1).astype(int).tolist()
    extra: Tally | None = None
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
            part = extrapolated(earlier, later, weight, left / block, traffic)
            cpu.engine.exposures += np.rint(
                (earlier.exposures * (1 - weight) + later.exposures * weight) * (left / block)
            ).astype(np.int64)
            extra = part if extra is None else extra.plus(part)
        earlier = later
    assert extra is not None
    return extra


def steps_of(cpu: CpuEngine, sample: Sample) -> tuple[int, int] | None:
    """Steps of a streamed turn's begin, and of those walked behind it; None where it has no more steps than these."""
    capacity = cpu.config.l3_kB * 1024 * cpu.config.cores
    begin = -(-int(BEGIN_PART * capacity) * sample.steps // sample.shared_bytes)
    steady = -(-STEADY_TOUCHES * sample.steps // sample.touches)
    return (begin, steady) if begin + steady < sample.steps else None


def run_in_steps(
    cpu: CpuEngine, layer: LoopNestLayer, sample: Sample, turns: int, begin: int, steady: int
) -> Tally:
    """Run a nest of which two turns are walked in part; returns what was extrapolated."""
    left = sample.steps - begin - steady
    walk(cpu, layer, sample, 0, 1, (0, begin))  # what is cold is only there once
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
    extra, *others = (walked.tally.times(factor) for walked, factor in parts)
    for other in others:
        extra = extra.plus(other)
    held = cpu.hold()
    walk(
        cpu, layer, sample, turns - 1, turns, (sample.steps - begin, sample.steps), functional=True
    )  # what follows finds the last turn's lines
    cpu.restore(held)
    return extra


@dataclass(frozen=True)
class Walked:
    """Figures of some turns, and the exposures of their reads."""

    tally: Tally
    exposures: NDArray[np.int64]

    @property
    def writes(self) -> int:
        """Lines written back."""
        return self.tally.counters["llc_writebacks"]


@dataclass(frozen=True)
class Traffic:
    """What turns that were left out asked of memory: lines, and by tensor; memory accesses for a line."""

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
    """Walk some turns, or some steps of them, and say what happened."""
    before, exposures = cpu.tally(), cpu.engine.exposures.copy()
    walk(cpu, layer, sample, start, start + block, steps)
    return Walked(cpu.tally().minus(before), cpu.engine.exposures - exposures)


def between(earlier: int, later: int, found: float) -> float:
    """Where turns that wrote back `found` lines lie between those before and after them: 0 to 1; halfway where these are about alike."""
    if abs(later - earlier) * 50 <= max(earlier, later):
        return 0.5
    return min(1.0, max(0.0, (found - earlier) / (later - earlier)))


def extrapolated(
    earlier: Walked, later: Walked, weight: float, factor: float, traffic: Traffic | None
) -> Tally:
    """Figures of turns between two walks."""
    part = earlier.tally.times((1 - weight) * factor).plus(later.tally.times(weight * factor))
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
    """Some turns as they are; steps: of their second loop, None for all."""
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
    """Let turns pass through the caches; returns what they would have asked of memory."""
    held = cpu.hold()
    config = cpu.config
    group = max(1, int(WARMED_PART * config.l3_kB * 1024 / max(1, sample.each_bytes)))
    for first in range(start, stop, group):
        each = layer.nests[list(sample.each)].copy()
        each["first"], each["stop"] = first, min(first + group, stop)
        cpu.run(each, layer.refs, functional=True)
        if sample.shared:
            cpu.run(layer.nests[list(sample.shared)], layer.refs, functional=True)
    counters, moved = cpu.restore(held)
    return Traffic(
        counters["llc_read_misses"], counters["llc_writebacks"], moved, int(cpu.machine[0]["parts"])
    )
