"""How long the cells need at a lower supply voltage: the curve of configs/modules/array_voltage.yaml, which says where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edensim.config import paths as resources
from edensim.config.strict_yaml import load_yaml
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.vocabulary import cycles_from_ns, ns_from_cycles

#: Timings that follow another one, in proportion: activate to write, precharge of all banks.
COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "nRCD": ("nRCDWR",),
    "nRP": ("nRPab",),
    "nREFI": ("nREFIpb",),
}


@dataclass(frozen=True, slots=True)
class VoltageLaw:
    """`max(1, scale * x / (x - threshold) ** exponent)`, x the share of the nominal VDD."""

    scale: float
    threshold: float
    exponent: float

    def stretch(self, share: float) -> float:
        """How many times longer than at the nominal VDD; 1 from some way below it upwards."""
        return max(1.0, self.scale * share / math.pow(share - self.threshold, self.exponent))


@dataclass(frozen=True, slots=True)
class VoltageCurve:
    """Laws by timing name, and the lowest share of the nominal VDD that they hold for."""

    laws: Mapping[str, VoltageLaw]
    lowest: float
    source: str


def required_timings(standard: Standard, vdd_V: float) -> Mapping[str, int]:
    """All timings in cycles that the cells of `standard` need at `vdd_V`: its own, with nRCD, nRP and nRAS (and what follows them) stretched.

    nWR, nRTP, nRFC and column timings stay: the curve says nothing about them. At and above the nominal VDD nothing changes.
    Raises ConfigError (`dram.vdd_V: ...`) below what the curve supports.
    """
    nominal_V = standard.currents.vdd_V
    if vdd_V >= nominal_V:
        return dict(standard.timings)
    curve = voltage_curve()
    lowest_V = lowest_supported_V(standard)
    if vdd_V < lowest_V:
        name = standard.name
        raise ConfigError(
            f"dram.vdd_V: expected at least {lowest_V:g} V, where the curve of what cells need ends for {name}, found {vdd_V:g}"
        )
    needed = {}
    for name, law in curve.laws.items():
        nominal_ns = ns_from_cycles(standard.timings[name], standard.tck_ps)
        needed[name] = cycles_from_ns(nominal_ns * law.stretch(vdd_V / nominal_V), standard.tck_ps)
    return with_timings(standard.timings, needed)


def lowest_supported_V(standard: Standard) -> float:
    """Lowest VDD that `required_timings` answers for, in steps of 1 mV."""
    return round(voltage_curve().lowest * standard.currents.vdd_V, 3)


def with_timings(timings: Mapping[str, int], changed: Mapping[str, int]) -> dict[str, int]:
    """`timings` with some replaced. What is bound to them moves along unless it is in `changed` too.

    nRCDWR, nRPab and nREFIpb keep their proportion to nRCD, nRP and nREFI (rounded up; nREFIpb down), nRC keeps its distance to nRAS + nRP.
    """
    result = {**timings, **changed}
    for leader, followers in COMPANIONS.items():
        for follower in followers:
            if leader in changed and follower in timings and follower not in changed:
                product = timings[follower] * changed[leader]
                result[follower] = (
                    product // timings[leader]
                    if leader == "nREFI"
                    else -(-product // timings[leader])
                )
    if "nRC" not in changed:
        result["nRC"] = max(
            1, timings["nRC"] + sum(result[name] - timings[name] for name in ("nRAS", "nRP"))
        )
    return result


def voltage_curve() -> VoltageCurve:
    """The curve that edensim (or the folder in $EDENSIM_CONFIGS) has. Raises ConfigError for a file that breaks a rule."""
    for folder in resources.config_folders("modules"):
        path = folder / "array_voltage.yaml"
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    raise ConfigError("modules/array_voltage.yaml: this installation of edensim has no such file")


@cache
def _read(path: Path, modified_ns: int) -> VoltageCurve:
    values, lines = load_yaml(path)
    laws = values.get("laws")
    if not isinstance(laws, dict) or set(laws) != {"nRCD", "nRP", "nRAS"}:
        raise ConfigError(
            f"{path}:{lines.get('laws', 1)}: laws: expected the keys nRCD, nRP and nRAS"
        )
    lowest = _number(path, lines, "lowest", values.get("lowest"))
    parsed = {}
    for name, law in laws.items():
        if not isinstance(law, dict) or set(law) != {"scale", "threshold", "exponent"}:
            raise ConfigError(
                f"{path}:{lines[f'laws.{name}']}: laws.{name}: expected the keys scale, threshold and exponent"
            )
        numbers = {
            key: _number(path, lines, f"laws.{name}.{key}", value) for key, value in law.items()
        }
        if numbers["threshold"] >= lowest:
            raise ConfigError(
                f"{path}:{lines[f'laws.{name}']}: laws.{name}.threshold: expected less than lowest ({lowest:g})"
            )
        parsed[name] = VoltageLaw(**numbers)
    return VoltageCurve(parsed, lowest, str(values.get("source", path)))


def _number(path: Path, lines: Mapping[str, int], key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100:
        raise ConfigError(
            f"{path}:{lines.get(key, 1)}: {key}: expected a number above 0, found {value!r}"
        )
    return float(value)
