"""Does characterization find the highest BER that passes, for all data and for each item, and does its file say the same again?"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from edensim.eden.fine import RaiseRules, raise_items
from edensim.eden.tolerance import ItemTolerance, Probe, Tolerance, Trial
from edensim.exceptions import ConfigError, InputError

LIMITS = {"a": 0.3, "b": 0.05, "c": 0.12}


def below_limits(bers) -> float:
    return 1.0 if all(ber <= LIMITS[item] for item, ber in bers.items()) else 0.5


def raised(**options):
    given = {
        "coarse": 0.04,
        "begin": 1.0,
        "step": 0.125,
        "highest": 0.2,
        "threshold": 0.9,
        "seed": 3,
        **options,
    }
    searched = {
        name: given.pop(name) for name in ("known", "accuracy", "after_round") if name in given
    }
    searched.setdefault("accuracy", below_limits)
    return list(raise_items(list(LIMITS), RaiseRules(**given), **searched))


def test_items_rise_to_the_last_step_below_their_limits() -> None:
    trials = raised()
    assert trials[-1][1] == pytest.approx({"a": 0.2, "b": 0.05, "c": 0.12})
    assert sum(not trial.passed for trial, _ in trials) == 2  # `a` is only stopped by the highest


def test_items_that_begin_lower_end_where_the_others_do() -> None:
    assert raised(begin=0.5)[-1][1] == pytest.approx(raised()[-1][1])


def test_known_trials_are_not_done_again() -> None:
    whole = raised()
    asked = []
    again = raised(
        known=[trial for trial, _ in whole[:7]],
        accuracy=lambda bers: asked.append(bers) or below_limits(bers),
    )
    assert again == whole
    assert len(asked) == len(whole) - 7


def test_trials_of_another_search_are_refused() -> None:
    with pytest.raises(InputError, match="of another search"):
        raised(known=[Trial("a", 0.9, 1.0, True)])


@pytest.fixture
def found() -> Tolerance:
    probe = Probe(0.01, (0.9, 0.92), 0.91, (0.8, 1.0), True)
    items = {"conv.weight": ItemTolerance("weights", 36, 0.03, 0.9)}
    return Tolerance(
        "net",
        "digits",
        10,
        "int8",
        "zero",
        0.92,
        0.01,
        0.01,
        (probe,),
        items,
        (Trial("conv.weight", 0.03, 0.9, True),),
        config={"a": 1},
    )


def test_a_file_says_the_same_again(found: Tolerance, tmp_path: Path) -> None:
    found.save(tmp_path / "t.json")
    assert Tolerance.load(tmp_path / "t.json") == found
    assert found.to_dataframe().to_dict("records") == [
        {"item": "conv.weight", "role": "weights", "bytes": 36, "ber": 0.03, "accuracy": 0.9}
    ]
    assert replace(found, items={}).to_dataframe()["high"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"format": "edensim-tolerance-9"},
            "expected format 'edensim-tolerance-1', found 'edensim-tolerance-9'",
        ),
        ({"ber": 1.5}, "not a tolerance: Expected `float` <= 1.0"),
        ({"probes": [{"ber": 0.1}]}, "not a tolerance: Object missing required field `accuracies`"),
        ({"items": []}, "not a tolerance"),
    ],
)
def test_a_file_that_is_none_is_refused(
    found: Tolerance, tmp_path: Path, change, message: str
) -> None:
    (tmp_path / "t.json").write_text(json.dumps({**found.to_dict(), **change}))
    with pytest.raises(InputError, match=message):
        Tolerance.load(tmp_path / "t.json")


needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("sklearn") is None,
    reason="networks and digits need the extra torch",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edensim.accuracy.evaluation import train_file

    path = tmp_path_factory.mktemp("weights") / "lenet.pt"
    train_file("lenet", output=path, epochs=3)
    return path


def characterized(weights: Path, **options) -> Tolerance:
    from edensim import tolerance

    given = {
        "images": 120,
        "repeats": 2,
        "drop": 0.05,
        "lowest": 1e-4,
        "highest": 0.1,
        "resolution_decades": 0.25,
        **options,
    }
    return tolerance("lenet", weights=weights, **given)


@needs_torch
def test_the_coarse_ber_is_the_last_of_the_grid_that_passes(weights: Path) -> None:
    from edensim import evaluate

    told = characterized(weights)
    beyond = min(probe.ber for probe in told.probes if not probe.passed)
    assert beyond == pytest.approx(told.ber * 10**0.25)
    for probe in told.probes:
        again = evaluate(
            "lenet", weights=weights, images=120, repeats=2, model="uniform", ber=probe.ber
        )
        assert probe.accuracies == again.with_errors
        assert probe.passed == (again.mean >= again.clean - 0.05)
    assert characterized(weights, rule="interval", target=told.threshold, drop=None).ber <= told.ber


@needs_torch
def test_fine_is_confirmed_on_all_images_and_the_same_with_any_threads(
    weights: Path, tmp_path: Path
) -> None:
    options = {"fine": True, "begin": 0.5, "step": 0.5, "validation_share": 0.5}
    one, two = (
        characterized(weights, threads=threads, output=tmp_path / f"{threads}.json", **options)
        for threads in (1, 2)
    )
    assert one == two
    kept = Tolerance.load(tmp_path / "1.json")
    assert (kept.ber, kept.probes, kept.items, kept.trials) == (
        one.ber,
        one.probes,
        one.items,
        one.trials,
    )
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    fine = one.notes["fine"]
    assert [item.role for item in one.items.values()] == ["weights", "ifm"] * 4
    assert fine["share_of_raises"] == 0 or fine["tests"][-1]["passed"]
    share, first = fine["share_of_raises"], one.ber / 2
    expected = {
        name: first + share * (ber - first) if share else one.ber
        for name, ber in fine["bers_on_sample"].items()
    }
    assert {name: item.ber for name, item in one.items.items()} == pytest.approx(expected)


def test_rounds_that_raise_something_are_told() -> None:
    rounds = []
    trials = raised(after_round=lambda number, bers: rounds.append((number, dict(bers))))
    assert [number for number, _ in rounds] == list(range(len(rounds)))
    assert rounds[0][1] == pytest.approx({"a": 0.045, "b": 0.045, "c": 0.045})
    assert rounds[-1][1] == pytest.approx(trials[-1][1])


@needs_torch
def test_retrained_between_rounds_the_result_is_of_the_network_kept(
    weights: Path, tmp_path: Path
) -> None:
    from edensim.accuracy.evaluation_target import evaluation_target
    from edensim.accuracy.memory import approximate_memory
    from edensim.accuracy.options import MemoryOptions, TargetOptions

    options = {
        "fine": True,
        "begin": 0.5,
        "step": 0.5,
        "validation_share": 0.5,
        "fine_epochs": 1,
        "train_images": 256,
        "output": tmp_path / "t.json",
    }
    told = characterized(weights, **options, save_weights=tmp_path / "kept.pt")
    fine = told.notes["fine"]
    assert fine["retrained_after"]  # else nothing is tested here
    target = TargetOptions(weights=tmp_path / "kept.pt", images=120, device="cpu")
    tested = evaluation_target("lenet", target)
    memory = approximate_memory(MemoryOptions(model="uniform", seed=told.seed))
    bers = {name: item.ber for name, item in told.items.items()}
    errors = [
        {name: memory.injector(ber, repeat) for name, ber in bers.items()} for repeat in range(2)
    ]
    assert fine["tests"][-1]["accuracies"] == [
        outcome.accuracy for outcome in tested.outcomes(errors)
    ]
    assert characterized(weights, **{**options, "output": None}, resume=tmp_path / "t.json") == told
    with pytest.raises(InputError, match="fine_epochs: expected a whole number from 0"):
        characterized(weights, fine_epochs=-1)
    with pytest.raises(InputError, match="fine_epochs: expected 0 where no items are raised"):
        characterized(weights, fine_epochs=1)


@needs_torch
@pytest.mark.parametrize("tests_done", [5, 9])
def test_an_interrupted_search_goes_on(weights: Path, tmp_path: Path, tests_done: int) -> None:
    options = {"fine": True, "begin": 0.5, "step": 1.0, "images": 60}

    def interrupt(done: int, _: int | None) -> None:
        if done == tests_done:
            raise KeyboardInterrupt

    path = tmp_path / "t.json"
    with pytest.raises(KeyboardInterrupt):
        characterized(weights, output=path, progress=interrupt, **options)
    partial = Tolerance.load(path)
    assert not partial.complete
    assert partial.probes
    assert characterized(weights, resume=path, **options) == characterized(weights, **options)
    with pytest.raises(InputError, match=r"resume: drop is 0.05 there and 0.1 here"):
        characterized(weights, resume=path, **{**options, "drop": 0.1})


@needs_torch
def test_a_network_trained_anew_at_each_probe(weights: Path) -> None:
    from edensim.accuracy.networks.registry import build
    from edensim.accuracy.weights import load_weights

    asked: list[float] = []

    def same(ber: float):
        asked.append(ber)
        module = build("lenet", (1, 8, 8), 10)
        load_weights(module, weights, "lenet")
        return module

    told = characterized(weights, retrain=same, images=60)
    assert sorted(asked) == [probe.ber for probe in told.probes]
    assert told.probes == characterized(weights, images=60).probes


@needs_torch
def test_a_module_of_ones_own_is_the_same_network_with_its_normalization(weights: Path) -> None:
    from edensim import evaluate, tolerance
    from edensim.accuracy.networks.registry import build
    from edensim.accuracy.weights import load_weights

    module = build("lenet", (1, 8, 8), 10)
    normalization = load_weights(module, weights, "lenet")
    named = characterized(weights, images=60)
    options = {
        "images": 60,
        "repeats": 2,
        "drop": 0.05,
        "lowest": 1e-4,
        "highest": 0.1,
        "resolution_decades": 0.25,
    }
    assert tolerance(module, normalization=normalization, **options).probes == named.probes
    other = ((0.9,), (0.01,))
    spoilt = evaluate(module, ber=1e-4, repeats=1, images=60, normalization=other)
    assert spoilt.notes["normalization"] == other
    assert spoilt.clean < named.clean_accuracy


@needs_torch
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"drop": None, "target": 0.9999},
            r"target: 99.99% is above what lenet reaches without errors, 9\d\.\d\d%",
        ),
        ({"target": 0.5}, r"drop: given \(0.05\) beside a target accuracy \(0.5\)"),
        ({"lowest": 0.2}, "lowest: expected a BER below the highest, 0.1, found 0.2"),
        (
            {"rule": "maen"},
            "rule: expected one of interval, mean, found the text 'maen'; did you mean 'mean'",
        ),
        ({"rule": "interval", "repeats": 1}, "repeats: 1; expected 2 or more"),
        ({"step": 0}, "step: expected a number above 0"),
        ({"highest": float("nan")}, "highest: expected a number above 0"),
        ({"bounding": "zeros"}, "did you mean 'zero'"),
    ],
)
def test_what_cannot_be_searched_is_refused(weights: Path, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        characterized(weights, **options)


@needs_torch
def test_a_model_beside_a_module_is_refused(weights: Path) -> None:
    with pytest.raises(ConfigError, match="model: given beside a module"):
        characterized(weights, model="uniform", module="vendor_a")


@pytest.mark.parametrize("kind", ["accuracy", "tolerance"])
def test_a_file_can_be_drawn(found: Tolerance, tmp_path: Path, kind: str) -> None:
    from edensim.plots.plot import PlotOptions, plot

    found.save(tmp_path / "t.json")
    plot([tmp_path / "t.json"], kind, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="has no meaning"):
        plot([tmp_path / "t.json"], kind, tmp_path / "t.png", PlotOptions(where=["ber=1"]))


def test_items_that_are_not_there_are_not_drawn(found: Tolerance, tmp_path: Path) -> None:
    from edensim.plots.plot import plot

    replace(found, items={}).save(tmp_path / "t.json")
    with pytest.raises(InputError, match="holds no items; `edensim tolerance --fine`"):
        plot([tmp_path / "t.json"], "tolerance", tmp_path / "t.png")
