"""How long the cells need at a lower supply voltage.

The curve is that of configs/modules/array_voltage.yaml, which says where it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from edensim.config import paths as resources
from edensim.config.strict_yaml import load_yaml
from edensim.config.validation import Section, fitted, refusing
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError
from edensim.vocabulary import cycles_from_ns, ns_from_cycles

#: Timings that follow another one, in proportion: activate to write, precharge of all banks.
COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "nRCD": ("nRCDWR",),
    "nRP": ("nRPab",),
    "nREFI": ("nREFIpb",),
}


#: Most times that the curve may make a timing longer.
MOST_STRETCH = 100

Factor = Annotated[float, Meta(gt=0, lt=100)]


class VoltageLaw(Section, frozen=True, kw_only=True):
    """`max(1, scale * x / (x - threshold) ** exponent)`, with x the share of the nominal VDD."""

    scale: Factor
    threshold: Factor
    exponent: Factor

    def stretch(self, share: float) -> float:
        """Return how many times longer than at the nominal VDD the cells need, at least 1."""
        return max(1.0, self.scale * share / math.pow(share - self.threshold, self.exponent))


class VoltageLaws(Section, frozen=True, kw_only=True):
    """A law for each timing that the supply voltage changes."""

    nRCD: VoltageLaw
    nRP: VoltageLaw
    nRAS: VoltageLaw


class VoltageCurve(Section, frozen=True, kw_only=True):
    """The laws, and the lowest share of the nominal VDD that they hold for."""

    name: str
    source: str
    lowest: Annotated[float, Meta(gt=0, le=1)]
    laws: VoltageLaws


def required_timings(standard: Standard, vdd_V: float) -> Mapping[str, int]:
    """Return all timings in cycles that the cells of a standard need at a supply voltage.

    nRCD, nRP, nRAS and the timings bound to them are stretched. nWR, nRTP, nRFC and column timings
    stay, because the curve says nothing about them. At and above the nominal VDD nothing changes.
    Raises ConfigError (`dram.vdd_V: ...`) below what the curve supports.
    """
    nominal_V = standard.currents.vdd_V
    if vdd_V >= nominal_V:
        return dict(standard.timings)
    curve = voltage_curve()
    lowest_V = lowest_supported_V(standard)
    if vdd_V < lowest_V:
        raise ConfigError(
            f"dram.vdd_V: expected at least {lowest_V:g} V, where the curve of what cells need "
            f"ends for {standard.name}, found {vdd_V:g}"
        )
    needed = {}
    for name in VoltageLaws.__struct_fields__:
        law = getattr(curve.laws, name)
        nominal_ns = ns_from_cycles(standard.timings[name], standard.tck_ps)
        needed[name] = cycles_from_ns(nominal_ns * law.stretch(vdd_V / nominal_V), standard.tck_ps)
    return with_timings(standard.timings, needed)


def lowest_supported_V(standard: Standard) -> float:
    """Return the lowest VDD that `required_timings` answers for, in steps of 1 mV."""
    return round(voltage_curve().lowest * standard.currents.vdd_V, 3)


def with_timings(timings: Mapping[str, int], changed: Mapping[str, int]) -> dict[str, int]:
    """Replace some timings; those bound to them move along, unless `changed` has them too.

    nRCDWR, nRPab and nREFIpb keep their proportion to nRCD, nRP and nREFI, rounded up (nREFIpb:
    down). nRC keeps its distance to nRAS + nRP.
    """
    result = {**timings, **changed}
    for leader, followers in COMPANIONS.items():
        for follower in followers:
            follows = follower in timings and follower not in changed
            if leader in changed and follows and timings[leader]:
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
    """Read the curve of the folder in $EDENSIM_CONFIGS, or edensim's own.

    Raises ConfigError for a file that breaks a rule.
    """
    for folder in resources.config_folders("modules"):
        path = folder / "array_voltage.yaml"
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    raise ConfigError("modules/array_voltage.yaml: this installation of edensim has no such file")


@cache
def _read(path: Path, modified_ns: int) -> VoltageCurve:
    values, lines = load_yaml(path)
    refuse = refusing(path, lines)
    curve = fitted(values, VoltageCurve, "", refuse)
    for name in VoltageLaws.__struct_fields__:
        law = getattr(curve.laws, name)
        if curve.lowest - law.threshold < 0.001 or law.stretch(curve.lowest) > MOST_STRETCH:
            raise refuse(
                f"laws.{name}.threshold",
                f"expected less than lowest ({curve.lowest:g}), and so much less that the law "
                f"stays below {MOST_STRETCH} there, found {law.threshold:g}",
            )
    return curve
