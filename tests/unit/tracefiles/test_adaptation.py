"""Are the addresses, clocks and stores of real programs' traces adapted to a run as asked?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edensim
from edensim.exceptions import ConfigError, TraceError
from edensim.tracefiles.adaptation import Adaptation, PageTable
from edensim.vocabulary import REQUEST, SourceKind

STACK = 0x7FFDE0600000
LACKEY = "I  0401ab70,3\nI  0401ab73,2\n L 1fff000728,8\nI  0401ab75,4\n S 1fff000738,8\nI  0401ab79,4\n M 4222080,4\n"


def far_trace(folder: Path) -> Path:
    path = folder / "far.stl"
    path.write_text("".join(f"{n}:\tRead\t{STACK + 8 * n:#x}\n" for n in range(100)))
    return path


def requests(addresses: list[int], **fields: list[int]) -> np.ndarray:
    records = np.zeros(len(addresses), REQUEST)
    records["address"], records["writeback"] = addresses, -1
    for name, values in fields.items():
        records[name] = values
    return records


def adapted(records: np.ndarray, kind: SourceKind, **options: object) -> np.ndarray:
    adaptation = Adaptation(kind, 1 << 20, **options)  # type: ignore[arg-type]
    halves = lambda: iter(np.array_split(records, 2))  # noqa: E731
    return np.concatenate(list(adaptation.applied(halves, lambda index: f"record {index}")))


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_far_addresses_are_refused_with_a_way_out(engine: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"line 1: .*beyond.*trace_addresses: wrap, offset or pag"):
        edensim.simulate(far_trace(tmp_path), engine=engine)


@pytest.mark.parametrize("rule", ["wrap", "offset", "pages"])
def test_far_addresses_run_alike_on_both_engines(rule: str, tmp_path: Path) -> None:
    runs = [
        edensim.simulate(far_trace(tmp_path), engine=engine, overrides=[f"trace_addresses={rule}"])
        for engine in ("compiled", "reference")
    ]
    assert runs[0].requests["read"] == 100
    assert runs[0].cycles == runs[1].cycles
    assert runs[0].commands == runs[1].commands


def test_wrap_takes_addresses_modulo_the_capacity() -> None:
    records = requests([(5 << 20) + 64, 3])
    assert list(adapted(records, SourceKind.SATURATING, rule="wrap")["address"]) == [64, 3]


def test_offset_moves_the_lowest_page_to_zero() -> None:
    records = requests([STACK + 0x5040, STACK + 0x1008], writeback=[-1, STACK + 0x2000])
    moved = adapted(records, SourceKind.CORE, rule="offset")
    assert list(moved["address"]) == [0x4040, 0x8]
    assert list(moved["writeback"]) == [-1, 0x1000]


def test_offset_refuses_addresses_too_far_apart() -> None:
    records = requests([0x1000, STACK])
    with pytest.raises(TraceError, match="span more than the capacity.*wrap or pages"):
        adapted(records, SourceKind.SATURATING, rule="offset")


def test_pages_are_given_at_first_touch() -> None:
    addresses = [STACK + 4096 * (n % 7) + 64 * n for n in range(50)]
    moved = adapted(requests(addresses), SourceKind.SATURATING, rule="pages", seed=3)["address"]
    frames = {}
    for before, after in zip(addresses, moved.tolist(), strict=True):
        assert before % 4096 == after % 4096
        assert after < 1 << 20
        assert frames.setdefault(before // 4096, after // 4096) == after // 4096
    assert len(set(frames.values())) == len(frames)
    again = adapted(requests(addresses), SourceKind.SATURATING, rule="pages", seed=3)["address"]
    other = adapted(requests(addresses), SourceKind.SATURATING, rule="pages", seed=4)["address"]
    assert (again == moved).all()
    assert (other != moved).any()


def test_pages_fill_the_whole_memory_once_and_then_refuse() -> None:
    table = PageTable(1 << 20, 4096, seed=0)
    touched = STACK + 4096 * np.arange(256)
    moved = table.translate(touched)
    assert sorted(moved.tolist()) == list(range(0, 1 << 20, 4096))
    with pytest.raises(TraceError, match="256 pages of 4096 bytes"):
        table.translate(touched + (256 << 12))


def test_pages_do_not_depend_on_chunks() -> None:
    addresses = STACK + 4096 * np.random.default_rng(1).integers(0, 60, 500)
    whole = PageTable(1 << 20, 4096, 0).translate(addresses)
    table = PageTable(1 << 20, 4096, 0)
    pieces = np.concatenate([table.translate(piece) for piece in np.array_split(addresses, 13)])
    assert (whole == pieces).all()


def test_clocks_of_a_timed_source_never_decrease() -> None:
    records = requests([0, 64, 128], clock=[5, 9, 8])
    with pytest.raises(TraceError, match=r"record 2: clock 8 comes after clock 9.*saturating"):
        adapted(records, SourceKind.TIMED)
    assert len(adapted(records, SourceKind.SATURATING)) == 3


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_clocks_that_go_backwards_are_refused(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "back.ds3"
    path.write_text("0x0 READ 100\n0x40 READ 50\n")
    with pytest.raises(TraceError, match=r"back.ds3: line 2: clock 50 comes after clock 100"):
        edensim.simulate(path, engine=engine)
    assert edensim.simulate(path, overrides=["source.kind=saturating"]).requests["read"] == 2


def test_instruction_gaps_of_lackey_drive_a_core(tmp_path: Path) -> None:
    path = tmp_path / "lackey.out"
    path.write_text(LACKEY * 50)
    settings = ["source.kind=core", "trace_addresses=pages", "source.llc_kB=16"]
    runs = [
        edensim.simulate(path, engine=engine, overrides=settings)
        for engine in ("compiled", "reference")
    ]
    assert runs[0].core["instructions"] == 200  # each `I` is one
    assert runs[0].cycles == runs[1].cycles
    assert runs[0].commands == runs[1].commands
    assert runs[0].core == runs[1].core | {
        key: runs[0].core[key] for key in runs[0].core if key not in runs[1].core
    }


def test_a_trace_without_gaps_drives_no_core(tmp_path: Path) -> None:
    path = tmp_path / "a.ls"
    path.write_text("LD 0x40\n")
    with pytest.raises(ConfigError, match="needs a trace of bubbles"):
        edensim.simulate(path, overrides=["source.kind=core"])
