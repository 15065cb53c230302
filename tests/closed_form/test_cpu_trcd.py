"""Is a network on the CPU never slower at a lower tRCD, and gains it only what exposed activations can give?"""

from __future__ import annotations

import pytest

from edensim.reproduction.machine_work import machine_run

#: ns off the specified tRCD (14.06 ns).
LESS_ns = (0.0, 2.0, 4.5)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["lenet", "squeezenet1.1"])
def test_time_falls_with_trcd_and_by_no_more_than_all_activations_take(network: str) -> None:
    runs = [machine_run("cpu", network, "fp32", 0.0, less) for less in LESS_ns] + [
        machine_run("cpu", network, "fp32", ideal=True)
    ]
    times = [run["time_ns"] for run in runs]
    for before, after in zip(times, times[1:], strict=False):
        assert after <= before * 1.002
    activations = runs[0]["commands"]["ACT"]
    assert times[0] - times[-1] <= activations * 14.1
