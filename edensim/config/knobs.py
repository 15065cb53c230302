"""The knobs of an operating point: supply voltage and the timings that may leave the specification.

Every other list of these keys (the configuration's models, `edensim explain`, sweeps, plots) is
made from, or checked against, the table `KNOBS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Knob:
    """One quantity that an operating point sets.

    Attributes
    ----------
    name
        Configuration key, which ends in its unit.
    label
        Symbol that data sheets use; axes and captions show it.
    timing
        Timing parameter in cycles that the knob sets; empty for the supply voltage.
    meaning
        One phrase for explanations.
    """

    name: str
    label: str
    timing: str
    meaning: str

    @property
    def unit(self) -> str:
        """Unit of the knob: the last part of its name."""
        return self.name.rpartition("_")[2]

    @property
    def is_interval(self) -> bool:
        """Whether a longer value is the riskier one, as for the refresh interval."""
        return self.timing == "nREFI"


KNOBS: Final[Mapping[str, Knob]] = {
    knob.name: knob
    for knob in (
        Knob("vdd_V", "VDD", "", "supply voltage"),
        Knob("trcd_ns", "tRCD", "nRCD", "activation latency"),
        Knob("trp_ns", "tRP", "nRP", "precharge latency"),
        Knob("tras_ns", "tRAS", "nRAS", "row active time"),
        Knob("twr_ns", "tWR", "nWR", "write recovery time"),
        Knob("trefi_ns", "tREFI", "nREFI", "refresh interval"),
    )
}

#: Knobs that set a timing parameter, the refresh interval last.
DURATIONS: Final[tuple[Knob, ...]] = tuple(knob for knob in KNOBS.values() if knob.timing)


def set_knobs(section: object) -> dict[str, Any]:
    """Return the knobs that a configuration section sets, by name."""
    values = {name: getattr(section, name, None) for name in KNOBS}
    return {name: value for name, value in values.items() if value is not None}
