"""Are objects found where they are, judged as PASCAL VOC judges them, and composed into images as labelled?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edensim.exceptions import InputError, NetworkError

torch = pytest.importorskip("torch", reason="networks are run by torch (extra torch)")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's (extra torch)")

from edensim.accuracy.dataset import Dataset  # noqa: E402
from edensim.accuracy.datasets import load_dataset  # noqa: E402
from edensim.accuracy.detection import BOX, Detection, Head, average_precision  # noqa: E402
from edensim.accuracy.networks.registry import build  # noqa: E402

#: A coarse and a fine grid, two classes.
ASKED = Detection((Head(2, 2, ((0.5, 0.5), (0.9, 0.9))), Head(4, 4, ((0.1, 0.1), (0.2, 0.3)))), 2)
#: Class, centre x, centre y, width, height.
OBJECTS = torch.tensor(
    [
        [[1, 0.3, 0.6, 0.45, 0.55], [0, 0.8, 0.2, 0.1, 0.12], [-1, 0, 0, 0, 0]],
        [[0, 0.5, 0.5, 0.9, 0.8], [-1] + [0] * 4, [-1] + [0] * 4],
    ]
)


def outputs_of(asked: Detection, targets: torch.Tensor, sure: float = 8.0) -> torch.Tensor:
    """What a network would give that finds exactly these objects."""
    raw = torch.zeros(len(targets), len(asked.heads[0].anchors), BOX + asked.classes, asked.cells)
    raw[:, :, BOX - 1 :] = -sure
    for number, objects in enumerate(targets.tolist()):
        for kind, x, y, width, height in objects:
            if kind < 0:
                continue
            shapes = [
                (at, which, anchor)
                for at, head in enumerate(asked.heads)
                for which, anchor in enumerate(head.anchors)
            ]
            best = max(shapes, key=lambda each: overlap((0, 0, width, height), (0, 0, *each[2])))
            head = asked.heads[best[0]]
            column, row = int(x * head.columns), int(y * head.rows)
            cell = (
                sum(each.rows * each.columns for each in asked.heads[: best[0]])
                + row * head.columns
                + column
            )
            within = torch.tensor([x * head.columns - column, y * head.rows - row])
            size = torch.tensor([width / best[2][0], height / best[2][1]])
            raw[number, best[1], :4, cell] = torch.cat((within.logit(eps=1e-6), size.log()))
            raw[number, best[1], [BOX - 1, BOX + int(kind)], cell] = sure
    return raw.flatten(1, 2)


def overlap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Intersection over union of boxes (centre x, centre y, width, height), by hand."""
    common = 1.0
    for axis in (0, 1):
        ends = [
            (box[axis] - box[axis + 2] / 2, box[axis] + box[axis + 2] / 2)
            for box in (first, second)
        ]
        common *= max(0.0, min(ends[0][1], ends[1][1]) - max(ends[0][0], ends[1][0]))
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def mean_precision(outputs: torch.Tensor, targets: torch.Tensor = OBJECTS) -> float:
    return ASKED.score([ASKED.judged(outputs, targets)], len(targets))


def test_average_precision_by_hand() -> None:
    # of 4 objects 3 are found, by the 1st, 3rd and 4th detection: precisions 1, 2/3 and 3/4, of which 3/4 counts for both
    right = np.array([True, False, True, True])
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.6]), right, 4) == pytest.approx(
        (1 + 0.75 + 0.75) / 4
    )
    assert average_precision(np.array([0.6, 0.7, 0.8, 0.9]), right[::-1], 4) == pytest.approx(
        (1 + 0.75 + 0.75) / 4
    )
    assert average_precision(np.array([]), np.array([], bool), 4) == 0


def test_objects_that_are_found_and_not() -> None:
    right = outputs_of(ASKED, OBJECTS)
    assert mean_precision(right) == pytest.approx(1)
    wrong = OBJECTS.clone()
    wrong[1, 0, 0] = (
        1  # the last object as one of class 1: of class 0 one of two is found, of class 1 the only one, before a wrong one
    )
    assert mean_precision(outputs_of(ASKED, wrong)) == pytest.approx((0.5 + 1) / 2)
    moved = OBJECTS.clone()
    moved[:, :, 1] -= 0.1 * (OBJECTS[:, :, 0] == 1)  # 0.35 of 0.55 wide: overlap 0.636, still right
    assert overlap((0.3, 0.6, 0.45, 0.55), (0.2, 0.6, 0.45, 0.55)) == pytest.approx(0.636, abs=1e-3)
    assert mean_precision(outputs_of(ASKED, moved)) == pytest.approx(1)
    moved[:, :, 1] -= 0.1 * (OBJECTS[:, :, 0] == 1)  # overlap 0.38: not
    assert mean_precision(outputs_of(ASKED, moved)) == pytest.approx(0.5)


def test_what_is_not_finite_finds_nothing() -> None:
    outputs = outputs_of(ASKED, OBJECTS)
    assert mean_precision(torch.full_like(outputs, float("nan"))) == 0
    outputs[0] = float("inf")
    judged = ASKED.judged(outputs, OBJECTS)
    assert np.isfinite(judged.confidences).all()
    assert judged.right.sum() == 1  # of the other image


def test_an_object_counts_once() -> None:
    outputs = outputs_of(ASKED, OBJECTS[1:])
    twice = outputs.unflatten(1, (2, BOX + 2)).clone()
    twice[0, 1, :, 0] = twice[0, 1, :, 3]
    twice[0, 1, :2, 0] = 14.0  # the centre at the corner of both cells: the same box again
    twice[0, 1, BOX - 1, 0] = 2.0  # less sure
    judged = ASKED.judged(twice.flatten(1, 2), OBJECTS[1:])
    assert judged.right.tolist() == [True]
    twice[0, 1, 2, 0] -= (
        1.2  # a narrow one in its midst: neither the same nor right, the object is taken
    )
    judged = ASKED.judged(twice.flatten(1, 2), OBJECTS[1:])
    assert judged.right.tolist() == [True, False]
    assert judged.truths.tolist() == [1, 0]


def test_the_loss_is_least_where_objects_are_found() -> None:
    outputs = outputs_of(ASKED, OBJECTS)
    least = float(ASKED.loss(outputs, OBJECTS))
    draw = torch.Generator().manual_seed(1)
    for _ in range(20):
        other = (outputs + 0.3 * torch.randn(outputs.shape, generator=draw)).requires_grad_()
        loss = ASKED.loss(other, OBJECTS)
        loss.backward()
        assert float(loss.detach()) > least
        assert bool(torch.isfinite(other.grad).all())


def test_the_network_is_darknets() -> None:
    from edensim import load_network
    from edensim.networks.readers.torch_module import read_module

    with torch.device("meta"):
        module = build("YOLO-Tiny", (3, 416, 416), 80)
    assert sum(each.numel() for each in module.parameters()) == 8_852_366
    ours, darknets = (
        [gemm for layer in network.layers if (gemm := network.gemm(layer)) is not None]
        for network in (read_module(module, shape=(3, 416, 416)), load_network("yolov3-tiny"))
    )
    assert len(ours) == 13
    assert sorted(map(str, ours)) == sorted(map(str, darknets))
    module.criterion.check("yolov3-tiny", torch.zeros(1, 255, 13 * 13 + 26 * 26), 80)
    with pytest.raises(NetworkError, match="expected 255 channels of 845 cells"):
        module.criterion.check("yolov3-tiny", torch.zeros(1, 30, 845), 80)
    with pytest.raises(NetworkError, match="multiples of 32"):
        build("yolov3-tiny", (3, 100, 96), 10)


def test_composed_images_are_as_labelled() -> None:
    data = load_dataset("composed:digits", "test", 20)
    assert data.shape == (1, 96, 96)
    assert data.labels.shape == (20, 4, 5)
    for image, objects in zip(data.images[:, 0], data.labels, strict=True):
        assert 1 <= (objects[:, 0] >= 0).sum() <= 4
        for kind, x, y, width, height in objects[objects[:, 0] >= 0]:
            assert 0 <= kind <= 9
            rows, columns = (
                slice(round(96 * (at - extent / 2)), round(96 * (at + extent / 2)))
                for at, extent in ((y, height), (x, width))
            )
            assert 0 <= rows.start < rows.stop <= 96
            assert image[rows, columns].max() > 100
    again = load_dataset("composed:digits", "test", 20)
    assert np.array_equal(data.images, again.images)
    assert not np.array_equal(data.images, load_dataset("composed:digits", "train", 20).images)
    assert load_dataset("composed:digits", "test", 5, size=64).shape == (1, 64, 64)


def test_photographs_are_composed_too() -> None:
    draw = np.random.default_rng(1)
    source = Dataset(
        "noise",
        "test",
        draw.integers(0, 256, (8, 3, 32, 32), np.uint8),
        np.arange(8),
        tuple("01234567"),
    )
    from edensim.accuracy.composed import compose

    made = compose(source, 3, 128)
    assert made.shape == (3, 128, 128)
    with pytest.raises(InputError, match="32 or more, found 16"):
        compose(source, 3, 16)


def test_networks_and_sets_of_two_kinds_are_refused() -> None:
    from edensim import evaluate

    with pytest.raises(
        InputError,
        match="detects objects: digits has one class an image; expected a detection set, such as composed:digits",
    ):
        evaluate(build("yolov3-tiny", (1, 32, 32), 10), data="digits", ber=1e-3)
    with pytest.raises(InputError, match="gives one class an image"):
        evaluate(build("lenet", (1, 96, 96), 10), data="composed:digits", ber=1e-3)
    with pytest.raises(InputError, match="no such data set"):
        load_dataset("composed:digitz")
    for name in ("composed:", "composed:composed:digits"):
        with pytest.raises(
            InputError, match="expected a data set with one object an image behind composed:"
        ):
            load_dataset(name)
    boxes = np.full((1, 4, 5), 12, np.float32)
    with pytest.raises(InputError, match="labels from 12 to 12"):
        Dataset("boxes", "test", np.zeros((1, 1, 96, 96), np.uint8), boxes, tuple("0123456789"))


def test_a_narrow_one_learns_and_errors_hurt_it() -> None:
    from edensim import evaluate
    from edensim.accuracy.dataset import normalization_of
    from edensim.accuracy.training import accuracy_of, train

    data = load_dataset("composed:digits", "train", 256, size=64)
    data = replace(
        data,
        labels=np.where(
            data.labels[..., :1] >= 0,
            data.labels * np.array([0, 1, 1, 1, 1], np.float32),
            data.labels,
        ),
        classes=("digit",),
    )
    module = build("yolov3-tiny", (1, 64, 64), 1, width_share=0.25)
    normalization = normalization_of(data.images)
    before = accuracy_of(module.eval(), data, normalization)
    train(module, data, epochs=16, batch=16, rate=3e-3, normalization=normalization)
    after = accuracy_of(module, data, normalization)
    assert before < 0.1
    assert after > 0.3
    options = {"data": data, "precision": "int8", "model": 0, "repeats": 1, "batch": 32}
    little, much = (evaluate(module, ber=ber, **options) for ber in (1e-6, 5e-2))
    assert little.mean == pytest.approx(little.clean, abs=0.02)
    assert much.mean < little.mean
    assert little.notes["measure"] == "mAP@0.5"
    assert "mAP@0.5 without errors" in little.summary()
