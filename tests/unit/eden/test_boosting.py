"""Does retraining do what its schedule says, the same every time, and does it make a network tolerate errors?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import edensim  # noqa: E402
from edensim.accuracy.dataset import normalization_of  # noqa: E402
from edensim.accuracy.datasets import load_dataset  # noqa: E402
from edensim.accuracy.training import train  # noqa: E402
from edensim.accuracy.weights import save_weights  # noqa: E402
from edensim.eden.boosting import Boosted  # noqa: E402
from edensim.eden.characterization import tolerance  # noqa: E402
from edensim.eden.schedule import Schedule  # noqa: E402
from edensim.exceptions import InputError  # noqa: E402

DIGITS = load_dataset("digits", "train")
QUICK = {"epochs": 4, "train_images": 512, "images": 120, "repeats": 2, "rate": 1e-3}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet, trained on digits for a moment."""
    path = tmp_path_factory.mktemp("boosting") / "lenet.pt"
    normalization = normalization_of(DIGITS.images)
    save_weights(train("lenet", DIGITS, epochs=2, normalization=normalization), path, normalization)
    return path


def same(one: Boosted, other: Boosted) -> bool:
    """Whether two networks are equal to the last bit."""
    both = zip(one.module.state_dict().values(), other.module.state_dict().values(), strict=True)
    return all(torch.equal(mine, others) for mine, others in both) and one.after == other.after


def test_the_ber_rises_from_zero_to_the_target_every_second_epoch() -> None:
    assert Schedule(epochs=10).bers(0.04) == pytest.approx(
        [0, 0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.04, 0.04]
    )
    assert Schedule(epochs=5).bers(0.04) == pytest.approx([0, 0, 0.02, 0.02, 0.04])
    assert Schedule(epochs=1).bers(0.04) == [0.04]
    assert Schedule(variant="constant", epochs=2).bers(0.04) == [0.04, 0.04]
    assert Schedule(variant="none", epochs=2).bers(0.04) == [0, 0]


def test_retrained_with_errors_it_has_more_of_them_right(weights: Path) -> None:
    options = {
        **QUICK,
        "epochs": 8,
        "train_images": None,
        "images": None,
        "repeats": 3,
        "weights": weights,
        "ber": 0.05,
    }
    boosted, control = (
        edensim.boost("lenet", variant=variant, **options) for variant in ("curricular", "none")
    )
    assert boosted.before == control.before
    assert sum(boosted.after) > sum(control.after)


def test_an_interrupted_run_ends_with_the_same_bits(weights: Path, tmp_path: Path) -> None:
    options = {**QUICK, "weights": weights, "ber": 0.02}
    whole = edensim.boost("lenet", **options)
    steps = QUICK["train_images"] // 64

    def stop(done: int, total: int | None) -> None:
        if done == 2 * steps + 3:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        edensim.boost("lenet", **options, checkpoint=checkpoint, progress=stop)
    first: list[int] = []
    resumed = edensim.boost(
        "lenet",
        **options,
        checkpoint=checkpoint,
        resume=True,
        threads=2,
        progress=lambda done, _: first.append(done),
    )
    assert first[0] == 2 * steps + 1
    assert same(whole, resumed)
    assert not same(whole, edensim.boost("lenet", **options, seed=2))
    for change in (
        {"ber": 0.03},
        {"precision": "int4"},
        {"seed": 5},
        {"variant": "constant"},
        {"train_model": "bitline"},
    ):
        with pytest.raises(InputError, match="expected a checkpoint of the same boosting"):
            edensim.boost("lenet", **{**options, **change}, checkpoint=checkpoint, resume=True)


def test_a_module_of_ones_own_stays_as_it_is(weights: Path) -> None:
    boosted = edensim.boost("lenet", **QUICK, weights=weights, ber=0.01)
    kept = {name: values.clone() for name, values in boosted.module.state_dict().items()}
    again = edensim.boost(boosted.module, **QUICK, data=replace(DIGITS, split="test"), ber=0.01)
    assert all(
        torch.equal(values, kept[name]) for name, values in boosted.module.state_dict().items()
    )
    assert not same(boosted, again)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ber": 0.0}, "ber: expected a number above 0"),
        (
            {"ber": 0.1, "variant": "curriculum"},
            "variant: expected one of constant, curricular, none",
        ),
        ({"ber": 0.1, "epochs": 0}, "epochs: expected a whole number from 1"),
        ({"ber": 0.1, "rate": 2.0}, "rate: expected a number above 0"),
        ({"ber": 0.1, "resume": True}, "needs a checkpoint"),
        ({"ber": 0.1, "bounding": "none"}, "bounding: expected one of off, saturate, zero"),
    ],
)
def test_what_cannot_be_accepted_is_said(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        edensim.boost("lenet", **options)


def test_what_a_network_tolerates_is_where_its_accuracy_is_within_the_drop(weights: Path) -> None:
    found = tolerance(
        "lenet",
        weights=weights,
        images=120,
        repeats=2,
        drop=0.02,
        lowest=1e-4,
        highest=0.2,
        resolution_decades=0.5,
    )
    passed = {probe.ber: probe.passed for probe in found.probes}
    assert found.complete
    assert found.ber == max(ber for ber, each in passed.items() if each)
    assert all(
        each == (probe.mean >= found.threshold)
        for probe, each in zip(found.probes, passed.values(), strict=True)
    )
    assert found == tolerance(
        "lenet",
        weights=weights,
        images=120,
        repeats=2,
        drop=0.02,
        lowest=1e-4,
        highest=0.2,
        resolution_decades=0.5,
        threads=2,
    )
    with pytest.raises(InputError, match="is above what lenet reaches"):
        tolerance("lenet", weights=weights, images=120, target=1.0)
