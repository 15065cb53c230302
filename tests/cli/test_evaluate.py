"""Does `edensim evaluate` train, test and tell what errors do to a network's accuracy?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks are run by torch (extra torch)")
if find_spec("sklearn") is None:
    pytest.skip("the digits are scikit-learn's (extra torch)", allow_module_level=True)

from edensim.accuracy.evaluation import evaluate, interval_of, train_file  # noqa: E402

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lenet.pt"
    said = train_file("lenet", output=path, epochs=3)
    assert "3 epochs on 1,437 images of digits" in said
    return path


def test_accuracy_with_and_without_errors(edensim: Run, weights: Path, tmp_path: Path) -> None:
    arguments = ("evaluate", "lenet", "--weights", weights, "--ber", "0.02", "--repeats", "3")
    done = edensim(*arguments, "--json", "out.json", "--items")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    accuracy = told["accuracy"]
    assert accuracy["clean"] > 0.9
    assert len(accuracy["with_errors"]["repeats"]) == 3
    low, high = accuracy["with_errors"]["interval"]
    assert 0.3 < low < accuracy["with_errors"]["mean"] < min(high, accuracy["clean"])
    assert told["ber"] == pytest.approx(0.02, rel=0.03)
    assert told["errors"]["model"]["kind"] == "uniform"
    assert [item["role"] for item in told["items"].values()] == ["weights", "ifm"] * 4
    assert "accuracy with errors" in done.stdout
    assert "fc2.weight" in done.stdout


def test_threads_change_nothing(weights: Path) -> None:
    one, two = (
        evaluate("lenet", weights=weights, ber=0.02, repeats=2, threads=threads)
        for threads in (1, 2)
    )
    assert one == two


def test_a_module_at_an_operating_point(weights: Path) -> None:
    nominal = evaluate("lenet", weights=weights, module="vendor_a", repeats=1)
    assert nominal.ber == 0
    assert nominal.with_errors == (nominal.clean,)
    assert nominal.interval is None
    fast = evaluate("lenet", weights=weights, module="vendor_a", repeats=1, dram={"trcd_ns": 7.5})
    assert 0 < fast.ber < 0.1
    assert fast.notes["errors"]["points"]["module"]["trcd_ns"] == 7.5


def test_the_interval_is_students() -> None:
    assert interval_of([0.5]) is None
    low, high = interval_of([0.4, 0.5, 0.6])
    assert (low, high) == (
        pytest.approx(0.5 - 4.3027 * 0.1 / 3**0.5, abs=1e-4),
        pytest.approx(0.5 + 4.3027 * 0.1 / 3**0.5, abs=1e-4),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lenett", "--ber", "0.1"], "unknown network 'lenett'; did you mean 'lenet'"),
        (["lenet"], "errors.ber: missing"),
        (["lenet", "--model", "1"], "ber: missing"),
        (
            ["lenet", "--ber", "0.1", "--precision", "int7"],
            "precision: expected one of fp32, int16, int4, int8, found the text 'int7'",
        ),
        (["lenet", "--ber", "0.1", "--bounding", "zeros"], "did you mean 'zero'"),
        (["lenet", "--ber", "0.1", "--data", "nowhere"], "nowhere: there is no such data set"),
        (
            ["lenet", "--ber", "0.1", "--weights", "none.pt"],
            "none.pt: there is no such file of weights",
        ),
        (["lenet", "--ber", "0.1", "--repeats", "0"], "'--repeats': 0 is not in the range x>=1"),
        (["lenet", "--ber", "2"], "ber: expected a number from 0 to 1, found 2.0"),
        (
            ["lenet", "--module", "vendor_a", "--set", "errors.exposure=elapsed"],
            "expected every_access",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_said(arguments: list[str], said: str) -> None:
    import contextlib
    import io

    from edensim.cli import run_command_line

    with contextlib.redirect_stderr(io.StringIO()) as stream:
        code = run_command_line(["evaluate", *arguments])
    assert code == 2
    assert said in stream.getvalue()
    assert "Traceback" not in stream.getvalue()
