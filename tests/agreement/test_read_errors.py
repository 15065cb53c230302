"""Do a run's reads get the bits wrong that injection flips? Two texts: reads counted row by row, and each line injected by itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edensim
from edensim.bit_errors.injector import Injector, injector
from edensim.bit_errors.models import ErrorModel, at_ber, kinds
from edensim.bit_errors.module import load_module
from edensim.bit_errors.plan import ErrorPlan, plan_errors
from edensim.bit_errors.prediction import predict
from edensim.bit_errors.reads import ReadErrors, Span, Tensors, cuts_of
from edensim.config.loading import load_config
from edensim.config.models import RunConfig
from edensim.dram.memory_system import MemorySystem
from edensim.tracefiles.commands import read_commands_csv
from edensim.vocabulary import COMMAND, Command

MODULE = """
format: edensim-module-1
name: test-module
source: made up for a test
seed: 77
nominal: {vdd_V: 1.2, trcd_ns: 13.75, trcd_scaling: absolute}
curves:
  trcd:
    law: fitted
    axis: trcd_ns
    rate: ber
    source: made up
    low: 2.0
    high: 13.75
    form: probit
    centre: 6.0
    scale: 2.0
    saturation: 0.5
    cutoff: 12.0
    coefficients: {any: [-1.5, -1.0]}
    structure: {kind: wordline, failure_probability: 0.5, parameters: {spread: 0.7}}
"""


def errors_of(config: RunConfig, **options: object) -> ErrorPlan:
    memory = MemorySystem.resolve(config.dram, config.controller)
    return plan_errors(memory, config.errors, **options)  # type: ignore[arg-type]


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "module.yaml"
    path.write_text(MODULE)
    return path


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Commands of a small run with row hits, misses and conflicts, outside specification."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(1)
    addresses = np.concatenate(
        [np.arange(600) * 64, rng.integers(0, 1 << 22, 600) // 64 * 64, np.arange(300) * 64]
    )
    (folder / "small.trace").write_text("".join(f"LD {address:#x}\n" for address in addresses))
    edensim.simulate(
        folder / "small.trace", commands=folder / "out.csv", dram={"trcd_ns": 5.0, "channels": 2}
    )
    return read_commands_csv(folder / "out.csv")


def watched(
    config: RunConfig,
    commands: np.ndarray,
    chunk: int = 1 << 20,
    model: ErrorModel | None = None,
    ones: float = 0.5,
) -> dict:
    reads = ReadErrors(errors_of(config, model=model), np.zeros(0, np.int64), ones)
    for first in range(0, len(commands), chunk):
        reads.watch(commands[first : first + chunk])
    return reads.summary()


def flips_one_by_one(
    placed: Injector, commands: np.ndarray, stored: int, by_line: bool
) -> tuple[int, int]:
    """(reads, flips): every RD as an injection into a line of its own, with the interval since its bank's ACT as class."""
    activated: dict[tuple[int, ...], int] = {}
    reads = flips = 0
    for command in commands:
        bank = tuple(int(command[level]) for level in ("channel", "rank", "bankgroup", "bank"))
        if command["command"] == Command.ACT:
            activated[bank] = int(command["clock"])
        elif command["command"] in (Command.RD, Command.RDA):
            address = int(
                placed.geometry.mapping.encode(*bank, int(command["row"]), int(command["column"]))
            )
            line = np.full(64, stored, np.uint8)
            interval = min(int(command["clock"]) - activated[bank], 255)
            classes = np.array([interval], np.uint8) if by_line else None
            flips += placed.flip(line, address, access=int(command["clock"]), line_classes=classes)
            reads += 1
    return reads, flips


@pytest.mark.parametrize("stored", [0x00, 0xFF])
@pytest.mark.parametrize("name", [kind.name for kind in kinds()])
def test_every_access(commands: np.ndarray, name: str, stored: int) -> None:
    config = load_config(None, ["dram.channels=2", "dram.trcd_ns=5"]).config
    model = (
        ErrorModel.of(3, weak_fraction=0.01, failure_of_ones=0.9, failure_of_zeros=0.2)
        if name == "data-dependent"
        else at_ber(name, 0.01)
    )
    told = watched(config, commands, model=model, ones=float(stored > 0))
    reads, flips = flips_one_by_one(
        injector(errors_of(config, model=model).geometry, model), commands, stored, by_line=False
    )
    assert (told["reads"], told["flips"]) == (reads, flips)
    assert flips > 1000


@pytest.mark.parametrize("chunk", [1, 77, 1 << 20])
def test_chunks_of_commands_make_no_difference(
    commands: np.ndarray, module: Path, chunk: int
) -> None:
    config = load_config(
        None,
        ["dram.channels=2", "dram.trcd_ns=5", f"errors.module={module}", "errors.exposure=elapsed"],
    ).config
    assert watched(config, commands[:700], chunk) == watched(config, commands[:700])


@pytest.mark.nojit
@pytest.mark.boundscheck
def test_wrong_bits_never_change(module: Path) -> None:
    """A few reads by hand: the same with and without the compiler, and one by one."""
    commands = np.zeros(12, COMMAND)
    commands["command"] = [Command.ACT, *[Command.RD] * 4, Command.PREpb] * 2
    commands["clock"] = [1, 8, 12, 16, 30, 40, 60, 67, 69, 71, 75, 99]
    commands["row"] = [3] * 6 + [4] * 6
    commands["column"] = [-1, 0, 1, 2, 5, -1, -1, 0, 7, 0, 9, -1]
    config = load_config(
        None,
        [
            "dram.standard=HBM2",
            "dram.trcd_ns=5",
            f"errors.module={module}",
            "errors.exposure=elapsed",
        ],
    ).config
    told = watched(config, commands)
    assert (told["reads"], told["flips"]) == flips_one_by_one(
        errors_of(config).injector, commands, 0, by_line=True
    )
    assert (told["reads"], told["flips"]) == (8, 28)


def test_elapsed(commands: np.ndarray, module: Path) -> None:
    """The same reads, injected one by one with their intervals; and fewer errors than with every access at risk, none of them new."""
    settings = ["dram.channels=2", "dram.trcd_ns=5", f"errors.module={module}"]
    elapsed = load_config(None, [*settings, "errors.exposure=elapsed"]).config
    told = watched(elapsed, commands)
    reads, flips = flips_one_by_one(errors_of(elapsed).injector, commands, 0x5A, by_line=True)
    assert (told["reads"], told["flips"]) == (reads, flips)
    every = watched(load_config(None, settings).config, commands)
    assert 0 < told["flips"] < every["flips"]
    bers = {int(cycles): rates["ber"] for cycles, rates in told["by_interval_cycles"].items()}
    assert max(bers) < 16  # nRCD of the standard: what the cells need
    assert bers[min(bers)] > bers[max(bers)]


def test_intervals_of_a_whole_array_are_nested(module: Path) -> None:
    """Bits that fail at a long interval fail at every shorter one; from 13.75 ns on, the specification of this module, none do."""
    array = np.full(1 << 16, 0x3C, np.uint8)
    failing = np.full_like(array, 0xFF)
    flips = []
    for interval in (5.0, 6.0, 7.5, 9.0, 10.5, 11.7, 13.75):
        done = edensim.inject(array, module=module, dram={"trcd_ns": 5.0}, intervals_ns=interval)
        assert not ((done.array ^ array) & ~failing).any()
        failing = done.array ^ array
        flips.append(done.flips)
    assert flips == sorted(flips, reverse=True)
    assert flips[0] > 10_000
    assert flips[-1] == 0
    told = [
        predict(load_module(module), trcd_ns=interval).ber_median * array.size * 8
        for interval in (5.0, 6.0, 7.5)
    ]
    assert flips[:3] == pytest.approx(told, rel=0.4)  # a few rows, and rows differ
    assert flips[0] == edensim.inject(array, module=module, dram={"trcd_ns": 5.0}).flips


def test_within_specification_nothing_fails(module: Path) -> None:
    array = np.zeros(1 << 16, np.uint8)
    assert edensim.inject(array, module=module).flips == 0
    assert edensim.inject(array, module=module).expected_ber == 0


def test_partitions_fail_at_their_own_points(module: Path) -> None:
    """Bank 1 at 5 ns, rows 2 and 3 of bank 2 at 7 ns, all else within specification."""
    partitions = [
        {"name": "a", "banks": "1", "trcd_ns": 5.0},
        {"name": "b", "banks": "2", "rows": "2-3", "trcd_ns": 7.0},
    ]
    sections = {"dram": {"partitions": partitions}}
    array = np.zeros(16 * 8192 * 8, np.uint8)
    done = edensim.inject(array, module=module, **sections)
    standard = MemorySystem.resolve(load_config(None, [], sections).config.dram).standard
    geometry = errors_of(load_config(None, [f"errors.module={module}"], sections).config).geometry
    fields = geometry.mapping.decode(np.arange(0, array.size, 64))
    bank = fields["bankgroup"] * standard.organization.banks + fields["bank"]
    flips = np.unpackbits(done.array).reshape(-1, 512).sum(axis=1)
    first, second = bank == 1, (bank == 2) & (fields["row"] >= 2) & (fields["row"] <= 3)
    assert flips[first].mean() > flips[second].mean() > 0
    assert flips[~(first | second)].sum() == 0
    assert set(done.notes["points"]) == {"module", "a", "b"}
    assert (
        done.notes["points"]["a"]["ber_median"]
        > done.notes["points"]["b"]["ber_median"]
        > done.notes["points"]["module"]["ber_median"]
        == 0
    )


def test_a_change_of_operating_point_changes_the_errors(tmp_path: Path, module: Path) -> None:
    """Half of the run at 5 ns, then at the specification: no bit is wrong any more."""
    (tmp_path / "reads.trace").write_text("".join(f"LD {index * 64:#x}\n" for index in range(4000)))
    sections = {
        "dram": {"trcd_ns": 5.0, "changes": [{"at_cycle": 4000, "trcd_ns": 13.32}]},
        "errors": {"module": str(module)},
    }
    changed = edensim.simulate(tmp_path / "reads.trace", **sections).bit_errors
    always = edensim.simulate(
        tmp_path / "reads.trace", **{**sections, "dram": {"trcd_ns": 5.0}}
    ).bit_errors
    assert changed["reads"] == always["reads"]
    assert 0.1 < changed["flips"] / always["flips"] < 0.9
    assert changed["points"]["module after change 0"]["ber_median"] == 0


def test_tensors_that_share_memory_are_told_apart_by_layer() -> None:
    spans = (Span("weights", 0, 128), Span("one", 128, 256, 0, 1), Span("two", 128, 200, 2, 3))
    tensors = Tensors(cuts_of(spans, 64), spans, ((100, 0), (200, 1), (300, 2)))
    assert tensors.cuts.tolist() == [0, 128, 256]
    assert [tensors.name_at(segment, 50) for segment in range(4)] == [
        "none",
        "weights",
        "one",
        "none",
    ]
    assert tensors.name_at(2, 250) == "two"


def test_a_run_says_what_its_tensors_saw(tmp_path: Path, module: Path) -> None:
    """A network on a machine: every tensor that is read has its BER, and the sums are those of all reads."""
    run = {
        "frontend": "tpu",
        "network": "lenet",
        "baselines": ["nominal"],
        "dram": {"trcd_ns": 5.0},
        "errors": {"module": str(module)},
    }
    result = edensim.simulate(overrides=[], **{key: value for key, value in run.items()})
    told = result.to_dict()["bit_errors"]
    assert told["reads"] == result.commands["RD"] > 0
    assert sum(tensor["flips"] for tensor in told["by_tensor"].values()) == told["flips"] > 0
    assert sum(tensor["reads"] for tensor in told["by_tensor"].values()) == told["reads"]
    assert "none" not in told["by_tensor"]
    assert told["ber"] == pytest.approx(told["points"]["module"]["ber_median"], rel=0.2)
    json.dumps(told)


def test_reads_of_no_command_are_none() -> None:
    told = watched(load_config(None, []).config, np.zeros(0, COMMAND), model=at_ber(0, 0.1))
    assert (told["reads"], told["flips"], told["ber"]) == (0, 0, 0.0)
