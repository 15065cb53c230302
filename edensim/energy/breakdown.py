"""DRAM energy by what it was spent on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """DRAM energy of a run by what it was spent on, in pJ.

    `io` is the energy of drivers and termination at both ends of the data wires. It is part of
    `total_with_io`, but not of `total`. Both are None if the interface is not known.
    """

    activate: float = 0.0
    precharge: float = 0.0
    read: float = 0.0
    write: float = 0.0
    refresh: float = 0.0
    background_active: float = 0.0
    background_precharged: float = 0.0
    background_powerdown_active: float = 0.0
    background_powerdown_precharged: float = 0.0
    background_selfrefresh: float = 0.0
    io: float | None = 0.0

    @property
    def background(self) -> float:
        """Energy of being powered, whatever the commands do, in pJ."""
        standby = self.background_active + self.background_precharged
        return (
            standby
            + self.background_powerdown_active
            + self.background_powerdown_precharged
            + self.background_selfrefresh
        )

    @property
    def total(self) -> float:
        """Energy of the DRAM devices in pJ, without io."""
        return (
            self.activate + self.precharge + self.read + self.write + self.refresh + self.background
        )

    @property
    def total_with_io(self) -> float | None:
        """Energy of devices and data wires in pJ."""
        return None if self.io is None else self.total + self.io

    def __add__(self, other: EnergyBreakdown) -> EnergyBreakdown:
        io = None if self.io is None or other.io is None else self.io + other.io
        parts = [f.name for f in fields(self) if f.name != "io"]
        sums = {name: getattr(self, name) + getattr(other, name) for name in parts}
        return EnergyBreakdown(**sums, io=io)

    def to_dict(self) -> dict[str, float | None]:
        """Return all components, `background`, `total` and `total_with_io`, in pJ."""
        values = {f.name: _number(getattr(self, f.name)) for f in fields(self)}
        return {
            **values,
            "background": self.background,
            "total": self.total,
            "total_with_io": self.total_with_io,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, float | None]) -> EnergyBreakdown:
        """Undo `to_dict`.

        Sums are computed again, not read. States that older results do not know are 0.
        """
        later = {
            "background_powerdown_active",
            "background_powerdown_precharged",
            "background_selfrefresh",
        }
        parts: dict[str, Any] = {
            f.name: _number(values[f.name])
            for f in fields(cls)
            if f.name in values or f.name not in later
        }
        for name, value in parts.items():
            if value is None and name != "io":
                raise TypeError(f"energy_pJ.{name}: expected a number, found nothing")
        return cls(**parts)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
