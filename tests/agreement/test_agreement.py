"""Do the compiled engine and the SimPy twin, two independent texts, issue the same commands at the same clocks for any stream?

Streams are made to collide: few rows and banks, many writes, small queues, refreshes every few requests. Each run is also replayed by the checker.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edensim.config.models import ControllerConfig, DramConfig, SourceConfig
from edensim.dram.address import AddressMap, address_map
from edensim.dram.counts import Counts
from edensim.dram.legality import plan_gaps
from edensim.dram.memory_run import MemoryRun
from edensim.dram.memory_system import MemorySystem
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.dram.protocol import check_commands
from edensim.dram.standard import Standard, load_standard, standard_names
from edensim.engine.memory_run import simulate_memory
from edensim.reference.counting import ReferenceRun
from edensim.reference.simulation import simulate_reference
from edensim.vocabulary import COMMAND, REQUEST, Command

STANDARDS = standard_names()
WITH_BANK_REFRESH = [name for name in STANDARDS if Command.REFpb in load_standard(name).commands]
MAPPINGS = ("RoBaRaCoCh", "ChRaBaRoCo", "MOP4CLXOR")

common = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@dataclass(frozen=True)
class Memory:
    """What a run needs besides its source and stream."""

    standard: str
    ranks: int
    channels: int
    timings: tuple[tuple[str, int], ...]
    controller: ControllerConfig

    def resolved(self) -> tuple[Standard, AddressMap]:
        return resolve(
            self.standard, self.ranks, self.channels, self.timings, self.controller.address_mapping
        )

    def system(self, plan: OperatingPlan | None = None) -> MemorySystem:
        standard, mapping = self.resolved()[0], self.controller.address_mapping
        if plan is None:
            return MemorySystem.nominal(standard, self.channels, mapping)
        return MemorySystem(standard, plan, mapping)


@functools.cache
def resolve(
    name: str, ranks: int, channels: int, timings: tuple[tuple[str, int], ...], mapping: str
) -> tuple[Standard, AddressMap]:
    standard = load_standard(name, ranks=ranks, timings=dict(timings))
    return standard, address_map(mapping, standard.organization, channels)


@st.composite
def memories(draw: st.DrawFn, refresh: str | None = None) -> Memory:
    """A standard and a controller; refresh intervals are short, so that refreshes meet requests."""
    refresh = (
        draw(st.sampled_from(["all-bank", "none", "per-bank"])) if refresh is None else refresh
    )
    name = draw(st.sampled_from(WITH_BANK_REFRESH if refresh == "per-bank" else STANDARDS))
    ranks = draw(st.sampled_from([1, 2]))
    timings: tuple[tuple[str, int], ...] = ()
    if refresh == "all-bank":
        timings = (
            ("nREFI", draw(st.sampled_from([170, 300, 900]))),
            ("nRFC", draw(st.sampled_from([20, 70]))),
        )
    elif refresh == "per-bank":
        timings = (
            ("nREFIpb", draw(st.sampled_from([35, 90, 300]))),
            ("nRFCpb", draw(st.sampled_from([12, 30]))),
        )
    size = st.sampled_from([1, 2, 3, 5, 8, 32])
    low, high = draw(st.sampled_from([(0.2, 0.8), (0.05, 0.1), (0.5, 0.5), (0.3, 1.0), (0.7, 0.9)]))
    controller = {
        "scheduler": draw(st.sampled_from(["frfcfs", "frfcfs-row-hit", "fcfs"])),
        "row_policy": draw(st.sampled_from(["open", "closed", "capped"])),
        "row_cap": draw(st.sampled_from([1, 2, 4])),
        "refresh": refresh,
        "address_mapping": draw(st.sampled_from(MAPPINGS)),
        "read_queue": draw(size),
        "write_queue": draw(size),
        "write_high_watermark": high,
        "write_low_watermark": low,
        "power_down": draw(st.sampled_from(["none", "none", "idle"])),
        "power_down_idle_cycles": draw(st.sampled_from([1, 5, 40])),
        "power_down_exit_ns": draw(st.sampled_from([1.0, 7.5, 30.0])),
        "self_refresh_idle_cycles": draw(st.sampled_from([None, None, 1, 9, 33])),
    }
    return Memory(
        name,
        ranks,
        draw(st.sampled_from([1, 1, 2])),
        timings,
        msgspec.convert(controller, ControllerConfig),
    )


@dataclass(frozen=True)
class Shape:
    """How a stream is drawn: how many banks, rows and columns it meets, how often it writes, how long it stays in a row."""

    requests: int
    banks: int
    rows: int
    columns: int
    writes: float
    stay: float
    gap: int
    seed: int


shapes = st.builds(
    Shape,
    requests=st.sampled_from([1, 4, 12, 30, 60, 90]),
    banks=st.sampled_from([1, 2, 4, 64]),
    rows=st.sampled_from([1, 2, 5]),
    columns=st.sampled_from([1, 3, 16]),
    writes=st.sampled_from([0.0, 0.15, 0.5, 0.9, 1.0]),
    stay=st.sampled_from([0.0, 0.6, 0.9]),
    gap=st.sampled_from([0, 2, 12, 60]),
    seed=st.integers(0, 1 << 20),
)


def stream(shape: Shape, memory: Memory) -> np.ndarray:
    """REQUEST records of a shape; as a core trace, gap is the bubbles, and about half of the write share has a write-back."""
    standard, mapping = memory.resolved()
    organization = standard.organization
    generator = np.random.default_rng(shape.seed)
    count = shape.requests
    bank = generator.integers(0, min(shape.banks, organization.banks_per_channel), count)
    row = generator.integers(0, shape.rows, count)
    channel = generator.integers(0, memory.channels, count)
    for index in range(1, count):
        if generator.random() < shape.stay:
            bank[index], row[index], channel[index] = (
                bank[index - 1],
                row[index - 1],
                channel[index - 1],
            )
    # Neighbouring flat banks are in other ranks and bank groups first, so that few banks meet every kind of constraint.
    rank, rest = bank % organization.ranks, bank // organization.ranks
    bankgroup, inside = rest % organization.bankgroups, rest // organization.bankgroups
    column = generator.integers(0, shape.columns, count)
    requests = np.zeros(count, dtype=REQUEST)
    requests["address"] = mapping.encode(channel, rank, bankgroup, inside, row, column)
    requests["is_write"] = generator.random(count) < shape.writes
    requests["clock"] = np.cumsum(generator.integers(0, shape.gap + 1, count))
    requests["gap"] = generator.integers(0, shape.gap + 1, count)
    requests["writeback"] = np.where(
        generator.random(count) < shape.writes / 2, generator.permutation(requests["address"]), -1
    )
    requests["tensor"] = -1
    return requests


def run_both(
    memory: Memory, source: SourceConfig, requests: np.ndarray, pieces: int = 1
) -> tuple[ReferenceRun, MemoryRun]:
    twin = simulate_reference(
        memory.system(), memory.controller, source, [requests], max_cycles=200_000
    )
    chunks = np.array_split(requests, pieces)
    return twin, simulate_memory(memory.system(), memory.controller, source, chunks, commands=True)


def described(record: np.void) -> str:
    fields = ", ".join(
        f"{name} {record[name]}" for name in COMMAND.names or () if name not in ("clock", "command")
    )
    return f"clock {record['clock']} {Command(int(record['command'])).name} ({fields})"


def first_difference(twin: np.ndarray, engine: np.ndarray) -> str:
    for index, (wanted, found) in enumerate(zip(twin, engine, strict=False)):
        if wanted != found:
            return f"command {index}: twin {described(wanted)}; engine {described(found)}"
    if len(twin) != len(engine):
        longer = twin if len(twin) > len(engine) else engine
        extra = described(longer[min(len(twin), len(engine))])
        return f"{len(twin)} commands of the twin, {len(engine)} of the engine; first extra one: {extra}"
    return ""


def assert_same(memory: Memory, twin: ReferenceRun, engine: MemoryRun) -> None:
    standard, _ = memory.resolved()
    assert engine.commands is not None
    commands = engine.commands[np.lexsort((engine.commands["channel"], engine.commands["clock"]))]
    assert first_difference(twin.commands, commands) == ""
    assert engine.cycles == twin.cycles
    for name in [field.name for field in dataclasses.fields(Counts)]:
        assert np.array_equal(getattr(twin.counts, name), getattr(engine.counts, name)), name
    violation = check_commands(commands, standard, channels=memory.channels)
    assert violation is None, str(violation)


@settings(common, max_examples=220)
@given(memories(), shapes, st.integers(1, 7))
def test_saturating(memory: Memory, shape: Shape, pieces: int) -> None:
    """Requests as fast as the queues take them, the stream cut into any number of chunks."""
    twin, engine = run_both(memory, SourceConfig(kind="saturating"), stream(shape, memory), pieces)
    assert_same(memory, twin, engine)


@settings(common, max_examples=120)
@given(memories(), shapes, st.integers(1, 7))
def test_timed(memory: Memory, shape: Shape, pieces: int) -> None:
    """Requests at their clocks, with idle times in which only refreshes happen."""
    twin, engine = run_both(memory, SourceConfig(kind="timed"), stream(shape, memory), pieces)
    assert_same(memory, twin, engine)


@settings(common, max_examples=60)
@given(memories(refresh="all-bank"), st.integers(0, 1 << 20))
def test_write_drains_and_forwarding(memory: Memory, seed: int) -> None:
    """Half writes to very few lines: drains start and stop, reads are forwarded, writes coalesce."""
    requests = stream(
        Shape(requests=80, banks=2, rows=2, columns=2, writes=0.5, stay=0.3, gap=1, seed=seed),
        memory,
    )
    twin, engine = run_both(memory, SourceConfig(kind="saturating"), requests)
    assert_same(memory, twin, engine)


@settings(common, max_examples=40)
@given(memories(), st.integers(0, 1 << 20))
def test_random_rows_meet_the_activation_window(memory: Memory, seed: int) -> None:
    """Every request opens a row, in any bank: ACT -> ACT and the window of four decide."""
    requests = stream(
        Shape(requests=90, banks=64, rows=5, columns=1, writes=0.0, stay=0.0, gap=0, seed=seed),
        memory,
    )
    twin, engine = run_both(memory, SourceConfig(kind="saturating"), requests)
    assert_same(memory, twin, engine)


def test_write_mode_stays_while_a_refresh_is_served() -> None:
    """A read arrives just before a refresh is due, a write just after: no queue is looked at in the refresh's cycle, so write mode stays."""
    controller = ControllerConfig(write_queue=2)
    memory = Memory("DDR4", 1, 1, (("nREFI", 170), ("nRFC", 20)), controller)
    requests = np.zeros(2, dtype=REQUEST)
    requests["address"], requests["clock"], requests["is_write"] = (0, 1 << 20), (169, 170), (0, 1)
    twin, engine = run_both(memory, SourceConfig(kind="timed"), requests)
    assert [Command(int(code)).name for code in twin.commands["command"]][:3] == [
        "REFab",
        "ACT",
        "WR",
    ]
    assert_same(memory, twin, engine)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Memory, OperatingPlan]:
    """A memory with partitions of their own timings, banks or rows of banks, whose module changes its operating point up to twice."""
    memory = draw(memories())
    standard, _ = memory.resolved()
    ns = standard.tck_ps / 1000

    def faster(rcd: int, rp: int) -> dict[str, float]:
        return {
            "trcd_ns": max(1, standard.timings["nRCD"] - rcd) * ns,
            "trp_ns": max(1, standard.timings["nRP"] - rp) * ns,
        }

    points = st.builds(faster, st.integers(0, 9), st.integers(0, 9))
    banks = standard.organization.banks_per_rank
    split = sorted(draw(st.sets(st.integers(1, banks - 1), max_size=2)))
    partitions = [
        {"banks": f"{first}-{last - 1}", **draw(points)}
        for first, last in itertools.pairwise([0, *split])
    ]
    if draw(st.booleans()):  # streams meet rows 0 to 4
        whole = split[-1] if split else 0
        rows = draw(st.sampled_from(["0", "1-2", "0-1,3", "2-4"]))
        partitions.append({"banks": f"{whole}-{banks - 1}", "rows": rows, **draw(points)})
        if rows == "1-2":
            partitions.append({"banks": f"{whole}-{banks - 1}", "rows": "3-100", **draw(points)})
    first = draw(st.integers(1, 500))
    clocks = [first, first + draw(st.integers(61, 400))][: draw(st.integers(0, 2))]
    changes = [
        {"at_cycle": clock, "settling_ns": draw(st.integers(0, 60)) * ns, **draw(points)}
        for clock in clocks
    ]
    if memory.controller.refresh == "all-bank":
        for change in changes:
            change["trefi_ns"] = draw(st.sampled_from([160, 250, 700, 1500])) * ns
    dram = {
        "standard": memory.standard,
        "ranks": memory.ranks,
        "channels": memory.channels,
        "timings": dict(memory.timings),
        **draw(points),
    }
    config = msgspec.convert({**dram, "partitions": partitions, "changes": changes}, DramConfig)
    return memory, resolve_operating_plan(config)[1]


@settings(common, max_examples=100)
@given(plans(), shapes, st.integers(1, 4), st.booleans())
def test_operating_points(
    case: tuple[Memory, OperatingPlan], shape: Shape, pieces: int, from_core: bool
) -> None:
    """Banks and rows with their own timings, and changes of the module's in mid-run."""
    memory, plan = case
    standard, mapping = memory.resolved()
    source = (
        SourceConfig(kind="core", llc_kB=1, instructions=300)
        if from_core
        else SourceConfig(kind="saturating")
    )
    requests = stream(shape, memory)
    twin = simulate_reference(memory.system(plan), memory.controller, source, [requests])
    cut = np.array_split(requests, pieces)
    engine = simulate_memory(memory.system(plan), memory.controller, source, cut, commands=True)
    assert engine.commands is not None
    commands = engine.commands[np.lexsort((engine.commands["channel"], engine.commands["clock"]))]
    assert first_difference(twin.commands, commands) == ""
    assert engine.cycles == twin.cycles
    begins = [epoch.halted_at for epoch in engine.epochs[1:]]
    violation = check_commands(
        commands,
        standard,
        channels=memory.channels,
        gaps_of=plan_gaps(standard, plan, begins),
        change_clocks=begins,
    )
    assert violation is None, str(violation)


def quiet_gaps(memory: Memory, seed: int) -> np.ndarray:
    """Bursts of requests with long silences between them."""
    requests = stream(
        Shape(requests=24, banks=4, rows=2, columns=2, writes=0.3, stay=0.5, gap=3, seed=seed),
        memory,
    )
    requests["clock"] += np.repeat(np.random.default_rng(seed).integers(0, 900, 6).cumsum(), 4)
    return requests


@settings(common, max_examples=60)
@given(memories(), st.integers(0, 1 << 20))
def test_sleep_between_bursts(memory: Memory, seed: int) -> None:
    """Silences of several refresh intervals: ranks power down, refresh themselves, and wake for a request; the clocks they slept are the same too."""
    standard, mapping = memory.resolved()
    twin = simulate_reference(
        memory.system(), memory.controller, SourceConfig(kind="timed"), [quiet_gaps(memory, seed)]
    )
    engine = simulate_memory(
        memory.system(),
        memory.controller,
        SourceConfig(kind="timed"),
        [quiet_gaps(memory, seed)],
        commands=True,
    )
    assert_same(memory, twin, engine)


@pytest.mark.parametrize("scheduler", ["frfcfs", "frfcfs-row-hit", "fcfs"])
@pytest.mark.parametrize("row_policy", ["open", "closed"])
def test_a_change_that_settles_for_long(scheduler: str, row_policy: str) -> None:
    """Waits of thousands of clocks, with full queues: the engine's compact keys do not hold them."""
    controller = msgspec.convert(
        {"scheduler": scheduler, "row_policy": row_policy, "refresh": "none"}, ControllerConfig
    )
    memory = Memory("DDR4", 1, 1, (), controller)
    standard, mapping = memory.resolved()
    changes = [{"at_cycle": 120, "settling_ns": 5000.0, "trcd_ns": 8.0}]
    plan = resolve_operating_plan(
        msgspec.convert(
            {"partitions": [{"banks": "0-3", "trcd_ns": 10.0}], "changes": changes}, DramConfig
        )
    )[1]
    requests = stream(
        Shape(requests=90, banks=12, rows=3, columns=4, writes=0.4, stay=0.5, gap=0, seed=5), memory
    )
    source = SourceConfig(kind="saturating")
    twin = simulate_reference(memory.system(plan), controller, source, [requests])
    engine = simulate_memory(memory.system(plan), controller, source, [requests], commands=True)
    assert engine.commands is not None
    assert first_difference(twin.commands, engine.commands) == ""
    assert len(engine.epochs) == 2
    assert engine.epochs[1].resumed_at > 6000


cores = st.builds(
    SourceConfig,
    kind=st.just("core"),
    clock_MHz=st.sampled_from([4000.0, 1000.0, 3200.0]),
    issue_width=st.sampled_from([1, 2, 4]),
    window=st.sampled_from([1, 4, 128]),
    mshr=st.sampled_from([1, 3, 16]),
    llc_kB=st.sampled_from([1, 2]),
    llc_ways=st.sampled_from([1, 2, 8]),
    llc_latency_cycles=st.sampled_from([1, 5, 47]),
    instructions=st.sampled_from([None, 1, 50, 400]),
)


@settings(common, max_examples=60)
@given(memories(), cores, shapes)
def test_core(memory: Memory, source: SourceConfig, shape: Shape) -> None:
    """A core with a window, its cache and its outstanding misses in closed loop."""
    twin, engine = run_both(memory, source, stream(shape, memory))
    assert engine.core is not None
    assert twin.core is not None
    assert (engine.core.cycles, engine.core.instructions) == (
        twin.core.cycles,
        twin.core.instructions,
    )
    assert engine.machine_counters == twin.machine_counters
    assert_same(memory, twin, engine)
