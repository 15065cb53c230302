"""Are implausible values corrected, and nothing else?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edensim.bit_errors.bounding import CYCLES_PER_LOAD, Bounds, bound, pack_int4, unpack_int4
from edensim.exceptions import InputError


def bounded(values: list[float], bounds: Bounds, dtype: str = "float32") -> list[float]:
    array = np.array(values, dtype)
    bound(array, bounds)
    return array.tolist()


def test_zero_is_edens_choice_and_saturation_the_other() -> None:
    values = [1.0, -6.0, 6.0, np.nan, np.inf, -np.inf, 3e38]
    assert bounded(values, Bounds(-5, 5)) == [1, 0, 0, 0, 0, 0, 0]
    assert bounded(values, Bounds(-5, 5, "saturate")) == [1, -5, 5, 5, 5, -5, 5]


def test_exponents_are_what_the_controller_compares() -> None:
    """A value passes when its exponent is no larger than the bound's: 7.9 has that of 5, 8 has not."""
    below = np.nextafter(np.float32(8), np.float32(0))
    values = [7.9, float(below), 8.0, -7.9, -8.0, 0.1, np.nan]
    assert bounded(values, Bounds(-5, 5, comparison="exponent")) == pytest.approx(
        [7.9, float(below), 0, -7.9, 0, 0.1, 0], rel=1e-6
    )
    one_sided = Bounds(0, 6, comparison="exponent")
    assert bounded([7.5, -0.1, 8.0, 0.0], one_sided) == [7.5, 0, 0, 0]
    assert bounded([9.0], Bounds(-5, 5, "saturate", "exponent")) == [float(below)]


@given(array=npst.arrays(np.float32, st.integers(0, 300), elements=st.floats(width=32)))
@settings(deadline=None)
def test_afterwards_every_value_is_plausible_and_plausible_ones_are_untouched(
    array: np.ndarray,
) -> None:
    for correction in ("zero", "saturate"):
        for comparison in ("value", "exponent"):
            bounds = Bounds(-2.5, 3.5, correction, comparison)
            done = array.copy()
            count = bound(done, bounds)
            low, high = bounds.limits(array.dtype)
            plausible = (array >= low) & (array <= high)
            assert count == int((~plausible).sum())
            assert (done[plausible] == array[plausible]).all()
            assert ((done >= low) & (done <= high)).all()


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8"])
def test_integers(dtype: str) -> None:
    assert bounded([1, 100, 7, 0], Bounds(-3.5, 7.5), dtype) == [1, 0, 7, 0]
    assert bounded([1, 100, 7, 0], Bounds(-3.5, 7.5, "saturate"), dtype) == [1, 7, 7, 0]


def test_bounds_of_a_tensor() -> None:
    tensor = np.array([[-1.5, 2.0], [0.0, np.inf]], np.float32)
    bounds = Bounds.of(tensor)
    assert (bounds.low, bounds.high) == (-1.5, 2.0)
    assert Bounds.of(tensor, margin=0.1).high == pytest.approx(2.35)
    assert bounds.to_dict() == {
        "low": -1.5,
        "high": 2.0,
        "correction": "zero",
        "comparison": "value",
    }
    assert CYCLES_PER_LOAD == 1


@given(values=npst.arrays(np.int8, st.integers(0, 100), elements=st.integers(-8, 7)))
def test_int4_two_per_byte(values: np.ndarray) -> None:
    packed = pack_int4(values)
    assert packed.size == (values.size + 1) // 2
    assert (unpack_int4(packed, values.size) == values).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Bounds(2, 1), "the lower first"),
        (lambda: Bounds(0, float("nan")), "expected finite numbers"),
        (
            lambda: Bounds(0, 1, "zeros"),
            "correction: expected one of zero, saturate, found 'zeros'; did you mean 'zero'",
        ),  # type: ignore[arg-type]
        (lambda: Bounds.of(np.array([np.nan])), "no finite value"),
        (lambda: bound(np.zeros(3, complex), Bounds(0, 1)), "expected an array of real numbers"),
        (lambda: bound(np.zeros((3, 3))[:, 1], Bounds(0, 1)), "contiguous"),
        (lambda: pack_int4(np.array([8])), "from -8 to 7"),
    ],
)
def test_what_cannot_be_bounded_is_refused(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
