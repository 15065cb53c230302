"""Does each load of a weight tensor or ifm see exactly the flips of its address and access?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edensim.exceptions import InputError, NetworkError

torch = pytest.importorskip("torch", reason="networks are run by torch (extra torch)")


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10)
    ).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def injector(ber: float, seed: int = 1):
    from edensim.accuracy.memory import configured_errors
    from edensim.accuracy.options import MemoryOptions

    return configured_errors(MemoryOptions(model=0, seed=seed), ber=ber).injector


def wrapped(module, images, precision="int8", correction=None):
    from edensim.accuracy.approximate import ApproximateNetwork
    from edensim.accuracy.placement import place

    network = ApproximateNetwork(
        module,
        place(module, "net", images.shape[1:], len(images), precision),
        precision,
        correction=correction,
    )
    with network.attached():
        network.calibrate([images])
    return network


def test_items_are_weights_and_ifms_where_the_layout_puts_them(module, images) -> None:
    network = wrapped(module, images)
    items = network.placing.items
    assert [(item.role, item.size_bytes) for item in items.values()] == [
        ("weights", 36),
        ("ifm", 512),
        ("weights", 1440),
        ("ifm", 8 * 144),
    ]
    assert all(network.placing.layout[name].address == item.address for name, item in items.items())


@pytest.mark.parametrize("precision", ["int4", "int8", "int16", "fp32"])
def test_a_pass_computes_with_what_injection_gives(module, images, precision) -> None:
    network = wrapped(module, images, precision)
    errors = injector(1e-3 if precision == "fp32" else 1e-2)
    with torch.no_grad(), network.attached():
        found = network.run(images, errors=errors, number=3)

        def read(name, values):
            stored = network.storages[name].stored(values)
            errors.flip(stored, network.placing.items[name].address, access=3 * 1024)
            return network.storages[name].loaded(stored, values.shape, None)[0]

        names = list(network.placing.items)
        features = torch.relu(
            torch.nn.functional.conv2d(
                read(names[1], images), read(names[0], module[0].weight), module[0].bias
            )
        )
        expected = torch.nn.functional.linear(
            read(names[3], features.flatten(1)), read(names[2], module[3].weight), module[3].bias
        )
    assert torch.equal(found, expected) or (
        precision == "fp32" and torch.equal(found.isnan(), expected.isnan())
    )


def test_passes_draw_new_failures_and_repeat_by_their_number(module, images) -> None:
    network = wrapped(module, images)
    with torch.no_grad(), network.attached():
        first, again, next_one = (
            network.run(images, errors=injector(1e-2), number=number) for number in (0, 0, 1)
        )
    assert torch.equal(first, again)
    assert not torch.equal(first, next_one)


def test_the_ber_of_each_item_is_counted(module, images) -> None:
    network = wrapped(module, images)
    counters: dict = {}
    with torch.no_grad(), network.attached():
        for number in range(40):
            network.run(
                images, errors=injector(2e-2, seed=number), number=number, counters=counters
            )
    for name, counter in counters.items():
        assert counter.bits == 40 * 8 * network.placing.items[name].size_bytes
        assert counter.flips / counter.bits == pytest.approx(
            2e-2, abs=5 * np.sqrt(2 * 2e-2 / counter.bits)
        )


def test_items_may_have_their_own_errors(module, images) -> None:
    network = wrapped(module, images)
    names = list(network.placing.items)
    counters: dict = {}
    with torch.no_grad(), network.attached():
        network.run(images, errors={names[2]: injector(1e-1)}, counters=counters)
    assert [name for name, counter in counters.items() if counter.flips] == [names[2]]


def test_gradients_go_straight_through(module, images) -> None:
    network = wrapped(module, images)
    module.zero_grad()
    with network.attached():
        network.run(images, errors=injector(1e-2)).sum().backward()
    assert module[0].weight.grad is not None
    assert float(module[0].weight.grad.abs().sum()) > 0
    assert torch.allclose(module[3].bias.grad, torch.full((10,), 8.0))


def test_the_module_is_itself_again_afterwards(module, images) -> None:
    network = wrapped(module, images)
    before = module(images)
    with network.attached():
        assert torch.equal(module(images), before)
    assert all("forward" not in vars(each) for each in module.modules())


def test_zeroing_keeps_fp32_alive(module, images) -> None:
    errors = injector(1e-3)
    bounded, raw = (wrapped(module, images, "fp32", correction) for correction in ("zero", None))
    with torch.no_grad():
        exact = module(images)
        deviations = []
        for network in (bounded, raw):
            with network.attached():
                deviations.append(
                    (network.run(images, errors=errors) - exact).nan_to_num(1e30).abs().max()
                )
    assert deviations[0] < 3 < 1e6 < deviations[1]


def test_any_number_of_threads_gives_the_same() -> None:
    from edensim.accuracy.dataset import Dataset
    from edensim.accuracy.evaluation_target import evaluation_target
    from edensim.accuracy.networks.registry import build
    from edensim.accuracy.options import TargetOptions

    drawn = np.random.default_rng(1).integers(0, 256, (96, 1, 8, 8), dtype=np.uint8)
    data = Dataset("noise", "test", drawn, np.arange(96) % 10, tuple("0123456789"))
    options = TargetOptions(data=data, device="cpu")
    tested = evaluation_target(build("lenet", data.shape, 10), options, batch=16)
    errors = [replace(injector(1e-2), seed=seed) for seed in (1, 2)]
    one, three = (tested.outcomes(errors, threads=threads) for threads in (1, 3))
    assert one == three


def test_what_cannot_be_wrapped_is_refused(module, images) -> None:
    from edensim.accuracy.placement import place

    class Functional(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3, 64))

        def forward(self, images):
            return torch.nn.functional.linear(images.flatten(1), self.weight)

    with pytest.raises(NetworkError, match="weights 'weight' are used by a function"):
        place(Functional(), "net", (1, 8, 8), 4, "int8")
    with pytest.raises(NetworkError, match="nothing is read"):
        place(torch.nn.ReLU(), "net", (1, 8, 8), 4, "int8")
    with pytest.raises(InputError, match="a batch of 16 inputs: laid out for 8"):
        wrapped(module, images).run(torch.cat([images, images]))


def test_devices_are_named_and_refused() -> None:
    from edensim.accuracy.devices import device_of
    from edensim.accuracy.options import TargetOptions
    from edensim.exceptions import InputError

    assert device_of("cpu").type == "cpu"
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="device: expected one of auto, cpu, cuda, found the text"):
        TargetOptions(device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch finds no GPU here"):
            device_of("cuda")
