"""Does a fit of what a test program measured give the module's hidden parameters back, and does the program do what it says?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edensim.bit_errors.fit import fit
from edensim.bit_errors.models import ErrorModel
from edensim.bit_errors.module import load_module
from edensim.bit_errors.prediction import error_model
from edensim.bit_errors.selection import read_map
from edensim.bit_errors.testbench import program as language
from edensim.bit_errors.testbench.profile import profile
from edensim.bit_errors.testbench.program import STANDARD_TEST, Word, parse_program
from edensim.bit_errors.testbench.virtual import VirtualModule
from edensim.dram.standard import load_standard
from edensim.exceptions import ConfigError, DataError, InputError, ModuleError

ORGANIZATION = load_standard("DDR4").organization

#: Rows of zeros and of ones, eight bursts of each, every burst after its own ACT.
BIT_MAP = """
FOR row IN 0-127/2
  WRITE 1 row 0x00
END
FOR row IN 1-127/2
  WRITE 1 row 0xFF
END
REPEAT 16
  FOR column IN 8-11
    FOR row IN 0-127
      ACT 1 row 7.5
      READ column
      PRE
    END
  END
END
"""

MODELS = [
    ErrorModel.of(0, weak_fraction=0.02, failure_probability=0.4),
    ErrorModel.of(1, weak_fraction=0.02, failure_probability=0.4, spread=0.8),
    ErrorModel.of(2, weak_fraction=0.02, failure_probability=0.4, spread=0.8),
    ErrorModel.of(3, weak_fraction=0.02, failure_of_ones=0.3, failure_of_zeros=0.5),
]


def read_once(
    rows: str, columns: str, trcd: str, *, bank: int = 0, byte: str = "0x00", in_row: bool = False
) -> str:
    """A program that writes rows, and reads them once: burst by burst, or each row after one ACT."""
    row = f"ACT {bank} row {trcd}\nFOR column IN {columns}\nREAD column\nEND\nPRE"
    burst = f"FOR column IN {columns}\nACT {bank} row {trcd}\nREAD column\nPRE\nEND"
    return f"FOR row IN {rows}\nWRITE {bank} row {byte}\nEND\nFOR row IN {rows}\n{row if in_row else burst}\nEND\n"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_hidden_parameters_come_back(model: ErrorModel, tmp_path: Path) -> None:
    measured = profile(
        VirtualModule.of_model(model, needs_ns=12.5, seed=7), program=BIT_MAP, by_cell=True
    )
    measured.save_map(tmp_path / "map.npz")
    selection = fit(tmp_path / "map.npz").selection
    assert selection is not None
    assert selection.model.kind == model.kind
    for name, truth in model.parameters.items():
        if name == "failure_spread":  # none: not among what is fitted
            continue
        value, low, high = selection.fit_of(model.kind).parameters[name]
        reach = (
            1.5 * max(high - value, value - low)
        )  # 95 % intervals, made three standard errors wide: one seed must not fail for one in twenty
        assert value - reach <= truth <= value + reach, f"{name}: {low} to {high}"


def test_the_vendors_middle_module_comes_back_from_rates(tmp_path: Path) -> None:
    truth = load_module("vendor_a")
    program = "FOR trcd IN 5 6.66 7.5 10\n" + read_once("0-15", "0-127", "trcd") + "END\n"
    profile(truth, program=program, modules=6).save_table(tmp_path / "rates.csv")
    curve = fit(tmp_path / "rates.csv", bootstrap=20).module.curves["trcd"]
    for trcd_ns in (5.0, 6.66, 7.5):
        low, high = curve.interval_at(("0x00",), trcd_ns)
        assert low <= truth.curves["trcd"].rate_at(("0x00",), trcd_ns) <= high


def test_measured_rates_are_those_of_the_model() -> None:
    model = ErrorModel.of(3, weak_fraction=0.05, failure_of_ones=0.2, failure_of_zeros=0.6)
    program = "FOR byte IN 0x00 0xFF 0xAA\n" + read_once("0-31", "0-63", "5", byte="byte") + "END\n"
    rows = profile(VirtualModule.of_model(model, needs_ns=10), program=program).table()
    assert [row["pattern"] for row in rows] == ["0x00", "0xaa", "0xff"]
    for row, ones in zip(rows, (0.0, 0.5, 1.0), strict=True):
        expected = model.expected_ber(ones)
        assert row["n_bits"] == 32 * 64 * 512
        assert abs(row["ber_mean"] - expected) < 4 * (expected / row["n_bits"]) ** 0.5


def test_a_burst_is_at_risk_by_its_own_interval() -> None:
    """DDR4-2400: RD of one bank follow every 6 clocks of 0.833 ns, so that bursts 0 and 1 come 5 and 10 ns after ACT, burst 2 after 15 ns."""
    model = ErrorModel.of(0, weak_fraction=1.0, failure_probability=0.5)
    device = VirtualModule.of_model(model, needs_ns=12.0)
    alone = profile(
        device, program=read_once("0-15", "0-2", "5"), dram={"speed_bin": "2400R"}
    ).table()[0]
    after_one = profile(
        device, program=read_once("0-15", "0-2", "5", in_row=True), dram={"speed_bin": "2400R"}
    ).table()[0]
    assert alone["ber_mean"] == pytest.approx(0.5, abs=0.02)
    assert after_one["ber_mean"] == pytest.approx(0.5 * 2 / 3, abs=0.02)


@pytest.mark.parametrize("standard", ["DDR3", "LPDDR4", "DDR5"])
def test_any_standard_can_be_on_the_board(standard: str) -> None:
    device = VirtualModule.of_model(MODELS[0], needs_ns=12.0)
    (row,) = profile(
        device, program=read_once("0-63", "0-31", "5", bank=7), dram={"standard": standard}
    ).table()
    assert row["bank"] == 7
    assert row["ber_mean"] == pytest.approx(MODELS[0].expected_ber(), rel=0.1)


def test_at_its_own_timings_a_module_has_no_errors() -> None:
    rows = profile("vendor_a", program=read_once("0-15", "0-127", "13.75")).table()
    assert [row["n_wrong_bits"] for row in rows] == [0]


def test_lowered_vdd_is_measured_at_specified_trcd() -> None:
    program = "VDD 1.05\n" + read_once("0-1023", "0-31", "15", in_row=True)
    (row,) = profile("vendor_b", program=program).table()
    expected = error_model(load_module("vendor_b"), vdd_V=1.05).expected_ber()
    assert row["vdd_V"] == 1.05
    assert row["ber_mean"] == pytest.approx(expected, rel=0.3)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    device = VirtualModule.of_model(MODELS[0], needs_ns=12.5)
    whole = profile(device, program=BIT_MAP.replace("REPEAT 16", "REPEAT 2"), by_cell=True)
    monkeypatch.setattr(language, "CHUNK", 700)
    parts = profile(device, program=BIT_MAP.replace("REPEAT 16", "REPEAT 2"), by_cell=True)
    first, second = (each.modules[0].counters.bit_map() for each in (whole, parts))
    assert first["reads"] == second["reads"] == 2
    assert np.array_equal(first["wrong"], second["wrong"])
    assert whole.table() == parts.table()
    assert whole.modules[0].counters.row_shares() == parts.modules[0].counters.row_shares()


def test_loops_are_laid_out_in_order() -> None:
    text = "FOR row IN 3 1\nWRITE 0 row ~0x0F\nEND\nFOR t IN 5 7.5\nACT 0 3 t\nFOR column IN 0-4/2\nREAD column\nEND\nPRE\nEND\n"
    (operations,) = parse_program(text, "program", ORGANIZATION).operations()
    write, act, read, pre = Word.WRITE, Word.ACT, Word.READ, Word.PRE
    assert operations["word"].tolist() == [write, write, *[act, read, read, read, pre] * 2]
    assert operations["second"][:2].tolist() == [3, 1]
    assert operations["third"][:2].tolist() == [0xF0, 0xF0]
    assert operations["third"][[2, 7]].tolist() == [5, 7.5]
    assert operations["first"][3:6].tolist() == [0, 2, 4]
    assert parse_program(STANDARD_TEST, "standard", ORGANIZATION).size == sum(
        len(each) for each in parse_program(STANDARD_TEST, "standard", ORGANIZATION).operations()
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("WRITE 0 0\n", "test.txt:1: WRITE: expected bank row byte, found '0 0'"),
        ("\nRAED 0\n", "test.txt:2: RAED: expected one of WRITE.*READ"),
        ("READ 0\n", "test.txt:1: READ: no row is open"),
        ("ACT 0 0 5\nREAD 0\n", "test.txt:1: ACT without a PRE"),
        ("ACT 0 0 5\nWRITE 0 0 0\nPRE\n", "test.txt:2: WRITE: the row opened in line 1 is open"),
        (
            "ACT 0 0 5\nREPEAT 2\nWAIT 5\nEND\nPRE\n",
            "test.txt:3: WAIT: a loop between ACT and PRE can only READ",
        ),
        ("FOR row IN 0-3\nACT 0 row 5\nREAD 0\nPRE\n", "test.txt:1: FOR or REPEAT without END"),
        ("END\n", "test.txt:1: END: there is no FOR"),
        ("FOR row IN 3-0\nEND\n", "test.txt:1: 3-0: expected FIRST-LAST/STEP"),
        ("FOR row 0-3\nEND\n", "test.txt:1: FOR: expected `FOR name IN values`"),
        (
            "FOR row IN 0-3\nFOR row IN 1\nEND\nEND\n",
            "test.txt:2: FOR row: a loop around it has this name",
        ),
        ("REPEAT many\nEND\n", "test.txt:1: REPEAT: expected a count"),
        (
            "FOR row IN 0-3\nACT 0 rwo 5\nREAD 0\nPRE\nEND\n",
            "test.txt:2: rwo: no loop around it has this name.*row",
        ),
        ("ACT 16 0 5\n", "test.txt:1: bank 16: expected a whole number from 0 to 15"),
        (
            "ACT 0 0 5\nREAD 128\nPRE\n",
            "test.txt:2: column 128: expected a whole number from 0 to 127",
        ),
        ("ACT 0 0 5e-9\n", "test.txt:1: 5e-9: expected a number"),
        ("ACT 0 0 5000\n", "test.txt:1: trcd_ns 5000: expected 0.1 to 1000"),
        ("WRITE 0 0 256\n", "test.txt:1: byte 256: expected a whole number from 0 to 255"),
        ("ACT 0 ~0 5\n", "test.txt:1: ~0: only a byte has an inverse"),
        ("WRITE 0 0 0\n", "test.txt: no READ"),
    ],
)
def test_a_bad_program_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_program(text, "test.txt", ORGANIZATION)


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    device = VirtualModule.of_model(MODELS[0], needs_ns=12.5)
    with pytest.raises(InputError, match="row 0 of bank 0 is read, but nothing was written there"):
        profile(device, program="ACT 0 0 5\nREAD 0\nPRE\n")
    with pytest.raises(
        ConfigError, match="dram.trcd_ns: the operating point of a test belongs in its program"
    ):
        profile(device, program=BIT_MAP, dram={"trcd_ns": 5})
    with pytest.raises(ModuleError, match="outside its data"):
        profile("vendor_a", program=read_once("0", "0", "2"))
    for program, message in (
        (
            read_once("0-3", "0", "5") + read_once("0-3", "0", "7.5"),
            "holds one operating point; the program reads at 5 ns and at 7.5 ns",
        ),
        (
            read_once("0-3", "0", "5") + read_once("0-3", "0", "5", byte="0xFF"),
            "one pattern for each row; row 0 is read with 0x00 and with 0xff",
        ),
        (
            read_once("0-3", "0", "5") + read_once("0-3", "0", "5", bank=1),
            "rows of one bank; the program reads banks 0, 1",
        ),
        (
            read_once("0-3", "0", "5") + read_once("0-1", "0", "5"),
            "the same number of reads of each burst",
        ),
    ):
        with pytest.raises(DataError, match=message):
            profile(device, program=program, by_cell=True).save_map(tmp_path / "map.npz")


def test_rows_and_maps_say_what_they_are_of(tmp_path: Path) -> None:
    device = VirtualModule.of_model(MODELS[2], needs_ns=12.5)
    found = profile(
        device, program=read_once("0-9", "0-7", "5") + read_once("0-9", "0-7", "5", bank=3)
    )
    found.save_rows(tmp_path / "rows.csv")
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert lines[0] == "dimm,trcd_ns,row,bank0,bank3"
    assert len(lines) == 11
    one = profile(device, program=read_once("4-9/5", "6-7", "5", byte="0x0F"), by_cell=True)
    one.save_map(tmp_path / "map.npz")
    map_ = read_map(tmp_path / "map.npz")
    assert map_.wrong.shape == (2, 1024)
    assert map_.trcd_ns == 5
    assert map_.stored is not None
    assert map_.stored[0, :8].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    content = np.load(tmp_path / "map.npz")
    assert content["rows"].tolist() == [4, 9]
    assert content["columns"].tolist() == [6, 7]
