"""Are the networks that can be trained those of their papers, and do they run from approximate memory?"""

from __future__ import annotations

import numpy as np
import pytest

from edensim.exceptions import NetworkError
from edensim.networks.loading import load_network

torch = pytest.importorskip("torch", reason="networks are run by torch (extra torch)")

#: Parameters with 1,000 classes at 224x224 (torchvision's figures); with 10 classes at 32x32 (DenseNet: 0.18 M, by Huang et al., table 2).
LARGE = {
    "squeezenet1.1": 1_235_496,
    "mobilenetv2": 3_504_872,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "resnet101": 44_549_160,
    "densenet201": 20_013_928,
}
SMALL = {
    "squeezenet1.1": 727_626,
    "mobilenetv2": 2_236_682,
    "alexnet": 23_272_266,
    "vgg16": 14_728_266,
    "resnet20": 269_722,
    "densenet40": 176_122,
    "resnet101": 42_512_970,
}


def parameters(name: str, shape: tuple[int, int, int], classes: int) -> int:
    from edensim.accuracy.networks.registry import build

    with torch.device("meta"):
        module = build(name, shape, classes)
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize("name", LARGE)
def test_parameters_at_imagenet_size(name: str) -> None:
    assert parameters(name, (3, 224, 224), 1000) == LARGE[name]


@pytest.mark.parametrize("name", LARGE)
def test_parameters_are_the_weights_of_the_simulated_network(name: str) -> None:
    """By name and shape: what is trained and what is simulated come from one description."""
    from edensim.accuracy.networks.registry import build

    with torch.device("meta"):
        module = build(name, (3, 224, 224), 1000)
    network = load_network(name)
    assert {each: tuple(values.shape) for each, values in module.named_parameters()} == {
        weight: network.tensors[weight].shape
        for layer in network.layers
        for weight in layer.weights
    }


@pytest.mark.parametrize("name", SMALL)
def test_parameters_at_cifar_size(name: str) -> None:
    assert parameters(name, (3, 32, 32), 10) == SMALL[name]


@pytest.mark.parametrize("name", [*SMALL, "densenet201"])
def test_an_input_too_small_is_refused(name: str) -> None:
    from edensim.accuracy.networks.registry import build

    with pytest.raises(NetworkError, match=r"expected (8x8|16x16|32x32|64x64) or more"):
        build(name, (3, 6, 6), 10)


@pytest.mark.parametrize("name", ["squeezenet1.1", "mobilenetv2", "alexnet", "vgg16", "densenet40"])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_it_runs_from_approximate_memory(name: str, precision: str) -> None:
    from edensim import evaluate
    from edensim.accuracy.dataset import Dataset
    from edensim.accuracy.networks.registry import build

    draw = np.random.default_rng(1)
    data = Dataset(
        "noise",
        "test",
        draw.integers(0, 256, (4, 3, 32, 32), np.uint8),
        np.arange(4),
        tuple("0123456789"),
    )
    found = evaluate(
        build(name, (3, 32, 32), 10),
        data=data,
        precision=precision,
        model=0,
        ber=1e-3,
        repeats=1,
        batch=4,
    )
    module = build(name, (3, 32, 32), 10)
    loading = sum(isinstance(each, (torch.nn.Conv2d, torch.nn.Linear)) for each in module.modules())
    assert sum(item["role"] == "weights" for item in found.items.values()) == loading
    assert found.ber == pytest.approx(1e-3, rel=0.1)


def test_one_trains_and_learns() -> None:
    from edensim.accuracy.dataset import Dataset, normalization_of
    from edensim.accuracy.networks.registry import build
    from edensim.accuracy.training import accuracy_of, train

    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, 64)
    images = draw.integers(0, 100, (64, 3, 32, 32)).astype(np.uint8)
    images[labels == 1, :, :16] += 120
    data = Dataset("halves", "train", images, labels, ("a", "b"))
    normalization = normalization_of(images)
    module = train(
        build("squeezenet1.1", (3, 32, 32), 2),
        data,
        epochs=15,
        batch=16,
        rate=5e-4,
        normalization=normalization,
    )
    assert accuracy_of(module, data, normalization) > 0.9
