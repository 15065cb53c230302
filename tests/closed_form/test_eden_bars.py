"""Do EDEN's twelve CPU energy bars (MICRO 2019, figure 13) come out to the printed digit, and what do other voltage laws give?

Percent of DRAM energy saved. `array` depends on the workload: here the YOLOv3-tiny trace that edensim carries, on two channels of DDR4-2133.

    network        precision   VDD  figure 13  linear  quadratic  array
    YOLO-Tiny      FP32       0.90      25.00   25.00      43.75   8.64
    YOLO-Tiny      int8       0.90      25.00   25.00      43.75   8.64
    YOLO           FP32       0.85      29.17   29.17      49.83   9.84
    YOLO           int8       0.90      25.00   25.00      43.75   8.64
    ResNet101      FP32       0.90      25.00   25.00      43.75   8.64
    ResNet101      int8       0.90      25.00   25.00      43.75   8.64
    VGG-16         FP32       0.85      29.17   29.17      49.83   9.84
    VGG-16         int8       0.85      29.17   29.17      49.83   9.84
    SqueezeNet1.1  FP32       1.10       8.33    8.33      15.97   3.15
    SqueezeNet1.1  int8       1.10       8.33    8.33      15.97   3.15
    DenseNet201    FP32       0.95      20.83   20.83      37.33   7.37
    DenseNet201    int8       0.95      20.83   20.83      37.33   7.37
    geometric mean FP32                 21.26   21.26
    geometric mean int8                 20.72   20.72
"""

from __future__ import annotations

import pytest

from edensim.config.models import DramConfig
from edensim.dram.counts import Counts
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.energy.breakdown import EnergyBreakdown
from edensim.vocabulary import Command
from tests.oracles.eden_bars import eden_bars, geometric_mean
from tests.oracles.energies import memory_energy

#: The paper's bars, as printed.
FIGURE_13 = {
    ("YOLO-Tiny", "FP32"): "25.00", ("YOLO-Tiny", "int8"): "25.00", ("YOLO", "FP32"): "29.17", ("YOLO", "int8"): "25.00",
    ("ResNet101", "FP32"): "25.00", ("ResNet101", "int8"): "25.00", ("VGG-16", "FP32"): "29.17", ("VGG-16", "int8"): "29.17",
    ("SqueezeNet1.1", "FP32"): "8.33", ("SqueezeNet1.1", "int8"): "8.33", ("DenseNet201", "FP32"): "20.83", ("DenseNet201", "int8"): "20.83",
}  # fmt: skip
MEANS = {"FP32": "21.26", "int8": "20.72"}

#: `edensim simulate traces/darknet-yolov3-tiny-96.trace.xz --set dram.speed_bin=2133P --set dram.channels=2`, in pJ.
YOLO_TINY = EnergyBreakdown(
    activate=4177370.88, precharge=4174132.608, read=305836800.0, refresh=1578158366.4,
    background_active=4431895101.312, background_precharged=1709546098.5504,
)  # fmt: skip


def test_twelve_bars_to_the_printed_digit() -> None:
    bars = eden_bars(YOLO_TINY)
    assert {
        (bar.network, bar.precision): f"{bar.savings['linear']:.2f}" for bar in bars
    } == FIGURE_13


@pytest.mark.parametrize("precision", MEANS)
def test_the_mean_bars(precision: str) -> None:
    savings = [bar.savings["linear"] for bar in eden_bars(YOLO_TINY) if bar.precision == precision]
    assert f"{geometric_mean(savings):.2f}" == MEANS[precision]


def test_bars_under_the_paper_s_law_do_not_depend_on_the_workload() -> None:
    other = eden_bars(EnergyBreakdown(activate=1.0, read=2.0, background_active=0.5))
    assert [bar.savings["linear"] for bar in other] == pytest.approx(
        [bar.savings["linear"] for bar in eden_bars(YOLO_TINY)]
    )


def test_bars_are_what_the_memory_system_says() -> None:
    """Not a formula beside the simulator: memory_energy at each bar's VDD, which the operating point accepts."""
    standard = load_standard("DDR4", speed_bin="2133P")
    counts = Counts.empty(1, 1, standard.organization.banks_per_channel, 100_000)
    counts.commands[0, 3, [Command.ACT, Command.RD, Command.REFab]] = 70, 900, 0
    counts.closings[0, 3] = 70
    counts.rank_active_cycles[0, 0] = 40_000
    nominal = memory_energy(counts, standard)
    for bar in eden_bars(nominal):
        MemorySystem.resolve(DramConfig(speed_bin="2133P", vdd_V=bar.vdd_V))
        for law, saving in bar.savings.items():
            energy = memory_energy(counts, standard, vdd_V=bar.vdd_V, voltage_law=law)
            assert saving == pytest.approx(100 * (1 - energy.total / nominal.total))


def test_the_table_above_is_what_comes_out() -> None:
    rows = [
        line.split()
        for line in (__doc__ or "").splitlines()
        if " FP32 " in line or " int8 " in line
    ]
    told = {tuple(row[:2]): row[2:] for row in rows if row[0] != "geometric"}
    for bar in eden_bars(YOLO_TINY):
        figures = [f"{bar.savings[law]:.2f}" for law in ("linear", "quadratic", "array")]
        assert told[bar.network, bar.precision] == [
            f"{bar.vdd_V:.2f}",
            FIGURE_13[bar.network, bar.precision],
            *figures,
        ]


def test_a_run_without_energy_saves_nothing() -> None:
    with pytest.raises(ValueError, match="took no energy"):
        eden_bars(EnergyBreakdown())
