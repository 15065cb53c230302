"""Is a tensor stored, and read back, as its precision says?"""

from __future__ import annotations

import numpy as np
import pytest

from edensim.bit_errors.bounding import Bounds, bound
from edensim.exceptions import InputError

torch = pytest.importorskip("torch", reason="networks are run by torch (extra torch)")


def storage(precision: str, largest: float):
    from edensim.accuracy.quantization import Storage

    return Storage.of(precision, largest)


VALUES = torch.linspace(-3.0, 3.0, 1001).reshape(7, 11, 13) if hasattr(torch, "linspace") else None


@pytest.mark.parametrize(("precision", "levels"), [("int4", 7), ("int8", 127), ("int16", 32767)])
def test_values_come_back_within_half_a_step(precision: str, levels: int) -> None:
    store = storage(precision, 3.0)
    assert store.scale == pytest.approx(3.0 / levels)
    read, corrected = store.loaded(store.stored(VALUES), VALUES.shape, None)
    assert corrected == 0
    assert read.shape == VALUES.shape
    assert float((read - VALUES).abs().max()) <= store.scale * 0.50001


@pytest.mark.parametrize("precision", ["int4", "int8", "int16", "fp32"])
def test_the_stored_bits_are_those_that_torch_computes(precision: str) -> None:
    store = storage(precision, 2.0)  # values beyond it become the limits
    low, high = store.limits
    expected = (
        VALUES
        if precision == "fp32"
        else torch.mul(VALUES, 1.0 / store.scale).round_().clamp_(low, high)
    )
    assert np.array_equal(store.numbers(VALUES), expected.reshape(-1).numpy())
    read, _ = store.loaded(store.stored(VALUES), VALUES.shape, None)
    assert torch.equal(read, expected if precision == "fp32" else expected.mul(store.scale))


@pytest.mark.parametrize("precision", ["int4", "int8", "int16", "fp32"])
@pytest.mark.parametrize("correction", ["zero", "saturate"])
def test_bounds_are_those_of_error_bounding(precision: str, correction: str) -> None:
    store = storage(precision, 3.0)
    numbers = store.numbers(VALUES)
    bounds = Bounds(*(int(value) for value in np.quantile(numbers, [0.2, 0.9]).round()), correction)
    expected = numbers.copy()
    count = bound(expected, bounds)
    read, corrected = store.loaded(store.stored(VALUES), VALUES.shape, bounds)
    assert corrected == count > 0
    assert np.allclose(
        read.numpy().reshape(-1), expected * np.float32(store.scale), atol=0, rtol=1e-6
    )


def test_nan_is_implausible() -> None:
    store = storage("fp32", 1.0)
    read, corrected = store.loaded(
        np.array([0.5, np.nan, np.inf, -np.inf, 2.0], np.float32), (5,), Bounds(-1, 1)
    )
    assert corrected == 4
    assert read.tolist() == [0.5, 0, 0, 0, 0]


def test_an_unknown_precision_is_refused_with_the_nearest() -> None:
    from edensim.accuracy.options import TargetOptions

    with pytest.raises(InputError, match="found the text 'int88'; did you mean 'int8'"):
        TargetOptions(precision="int88")
