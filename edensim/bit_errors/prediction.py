"""What a module answers: how many bits fail at an operating point, how sure that is for another module of the vendor, and as which error model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edensim.bit_errors.curve import ANY, PATTERNS, Curve, Table
from edensim.bit_errors.module import Module
from edensim.exceptions import ModuleError, nearest
from edensim.vocabulary import ns_from_cycles

if TYPE_CHECKING:  # the simulator is half of the start-up of `edensim ber`, which needs none of it
    from edensim.bit_errors.models import ErrorModel
    from edensim.dram.operating_point import OperatingPoint
    from edensim.dram.standard import Standard

#: Bits of the lines that were counted as faulty or not.
LINE_BITS: Final = 512
#: Other spellings of the patterns: a byte and its inverse neighbour rows are measured alike.
_SAME: Final = {"0x0": "0x00", "0x55": "0xaa", "0x33": "0xcc"}


@dataclass(frozen=True)
class Prediction:
    """Rates at an operating point. Medians are the vendor's middle module, intervals (95 %) hold for one module never measured.

    ber_of_zeros, ber_of_ones: wrong bits among stored zeros (0 to 1) and ones. line_fault_fraction: of 64-byte lines with a wrong bit, None
    where no data are of that kind. assumptions: names in the module's file that the answer rests on. beyond_data: what lies outside the data.
    """

    module: str
    trcd_ns: float | None
    vdd_V: float | None
    temp_C: float
    pattern: str
    ber_median: float
    ber_interval: tuple[float, float]
    ber_of_zeros: float
    ber_of_ones: float
    line_fault_fraction: float | None = None
    line_fault_interval: tuple[float, float] | None = None
    assumptions: dict[str, str] = field(default_factory=dict)
    beyond_data: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the line fractions only where they are known."""
        values: dict[str, Any] = {
            "module": self.module,
            "operating_point": {
                "trcd_ns": self.trcd_ns,
                "vdd_V": self.vdd_V,
                "temp_C": self.temp_C,
            },
            "pattern": self.pattern,
            "ber_median": self.ber_median,
            "ber_interval": list(self.ber_interval),
            "ber_of_zeros": self.ber_of_zeros,
            "ber_of_ones": self.ber_of_ones,
        }
        if self.line_fault_fraction is not None and self.line_fault_interval is not None:
            values["line_fault_fraction"] = self.line_fault_fraction
            values["line_fault_fraction_median"] = self.line_fault_fraction
            values["line_fault_fraction_interval"] = list(self.line_fault_interval)
        return {
            **values,
            "assumptions": dict(self.assumptions),
            "beyond_data": list(self.beyond_data),
        }

    def summary(self) -> str:
        """A few lines for a terminal."""
        at = [
            f"{name} {value:g} {unit}"
            for name, value, unit in (("tRCD", self.trcd_ns, "ns"), ("VDD", self.vdd_V, "V"))
            if value is not None
        ]
        pattern = "mean of the patterns" if self.pattern == "mean" else f"pattern {self.pattern}"
        lines = [
            f"{self.module} at {', '.join(at) or 'its nominal point'}, {self.temp_C:g} C, {pattern}"
        ]
        lines.append(_line("BER", self.ber_median, self.ber_interval))
        if self.line_fault_fraction is not None and self.line_fault_interval is not None:
            lines.append(_line("faulty lines", self.line_fault_fraction, self.line_fault_interval))
        if self.ber_of_zeros != self.ber_of_ones:
            lines.append(f"  of zeros {self.ber_of_zeros:.3g}, of ones {self.ber_of_ones:.3g}")
        lines += [f"  beyond the data: {text}" for text in self.beyond_data]
        lines += [f"  assumed: {name}: {text}" for name, text in self.assumptions.items()]
        return "\n".join(lines)


def _line(name: str, median: float, interval: tuple[float, float]) -> str:
    return f"  {name} {median:.3g} (95 %, a module never measured: {interval[0]:.2g} to {interval[1]:.2g})"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a curve is asked: its quantity and the temperature, and what of it lies outside the data."""

    curve: Curve | Table
    x: float
    temp_C: float
    beyond: tuple[str, ...]

    def rate(self, patterns: tuple[str, ...]) -> float:
        return self.curve.rate_at(patterns, self.x, self.temp_C)

    def ends(self, patterns: tuple[str, ...]) -> tuple[float, float]:
        return self.curve.interval_at(patterns, self.x, self.temp_C)


def predict(
    module: Module,
    *,
    trcd_ns: float | None = None,
    vdd_V: float | None = None,
    temp_C: float | None = None,
    pattern: str | None = None,
    beyond_data: bool = False,
) -> Prediction:
    """Rates of a module's device at tRCD, VDD (None: nominal), temperature (None: the data's) and of a byte pattern (None: mean of those measured).

    Both lowered: tRCD counts as shorter by what the cells need longer at that VDD, and the errors of both are independent (`both_lowered`).
    Raises ModuleError for a point outside the data unless `beyond_data`, and for a pattern that was not measured.
    """
    asked = _questions(module, trcd_ns, vdd_V, temp_C, beyond_data)
    word = _pattern(pattern)
    bit_rates = [_bit_rates(asked, each) for each in (word, "0x00", "0xff")]
    lines = _line_fractions(asked, word)
    temperatures = [each.temp_C for each in asked.values()]
    return Prediction(
        module=module.name,
        trcd_ns=trcd_ns,
        vdd_V=vdd_V,
        temp_C=temperatures[0],
        pattern=word or "mean",
        ber_median=bit_rates[0][0],
        ber_interval=bit_rates[0][1:],
        ber_of_zeros=bit_rates[1][0],
        ber_of_ones=bit_rates[2][0],
        line_fault_fraction=lines[0] if lines else None,
        line_fault_interval=lines[1:] if lines else None,
        assumptions=_assumptions(module, asked, trcd_ns is not None and vdd_V is not None),
        beyond_data=tuple(dict.fromkeys(text for each in asked.values() for text in each.beyond)),
    )


def _bit_rates(asked: dict[str, _Asked], pattern: str | None) -> tuple[float, float, float]:
    """Median and interval of the BER of all curves together."""
    rates = []
    for each in asked.values():
        patterns = _patterns_of(each.curve, pattern)
        share = _wrong_share(each.curve)
        rates.append([share * rate for rate in (each.rate(patterns), *each.ends(patterns))])
    return _together(rates)


def _together(rates: list[list[float]]) -> tuple[float, float, float]:
    """Chance of at least one of independent events, for median and both ends; of a single one the very number."""
    if len(rates) == 1:
        middle, low, high = rates[0]
    else:
        middle, low, high = (
            -math.expm1(sum(math.log1p(-min(each, 1 - 1e-16)) for each in column))
            for column in zip(*rates, strict=True)
        )
    return middle, low, high


def error_model(
    module: Module,
    *,
    trcd_ns: float | None = None,
    vdd_V: float | None = None,
    temp_C: float | None = None,
    beyond_data: bool = False,
) -> ErrorModel:
    """The error model of the vendor's middle module at a point: the structure of the curve that fails more, at the BER of both.

    Zeros and ones fail as often as patterns of zeros and of ones do, where the structure is data-dependent. Raises ModuleError as `predict`.
    """
    from edensim.bit_errors.models import ErrorModel, kind_of

    asked = _questions(module, trcd_ns, vdd_V, temp_C, beyond_data)
    answer = predict(module, trcd_ns=trcd_ns, vdd_V=vdd_V, temp_C=temp_C, beyond_data=beyond_data)
    leading = max(
        asked.values(),
        key=lambda each: _wrong_share(each.curve) * each.rate(_patterns_of(each.curve, None)),
    )
    structure = leading.curve.structure
    kind = kind_of(structure.kind)
    if "failure_of_ones" in kind.parameters:
        most = max(answer.ber_of_zeros, answer.ber_of_ones)
        failure = max(
            structure.failure_probability, most
        )  # all cells weak, if a weak cell alone does not fail often enough
        shares = {
            name: ber / most if most else 1.0
            for name, ber in (("ones", answer.ber_of_ones), ("zeros", answer.ber_of_zeros))
        }
        failures = {f"failure_of_{name}": failure * share for name, share in shares.items()}
        return ErrorModel.of(
            kind.number, weak_fraction=min(1.0, most / failure), **failures, **structure.parameters
        )
    model = ErrorModel.of(
        kind.number,
        weak_fraction=0.0,
        failure_probability=structure.failure_probability,
        **structure.parameters,
    )
    return model.at_ber((answer.ber_of_zeros + answer.ber_of_ones) / 2)


def point_of(
    module: Module,
    standard: Standard,
    point: OperatingPoint,
    specified: Mapping[str, int] | None = None,
) -> dict[str, float | None]:
    """`trcd_ns` and `vdd_V` of the module's own device that stand for an operating point of a simulated one; None where that is at its specification.

    standard: the simulated device; specified: its timings as specified (None: those of `standard`), for `standard` may be at a point already.
    By the module's `nominal.vdd_scaling` and `.trcd_scaling`: as they are, or as much below nominal.
    """
    nominal_V, specified_nRCD = (
        standard.currents.vdd_V,
        (standard.timings if specified is None else specified)["nRCD"],
    )
    if (
        point.within_specification and point.timings["nRCD"] > specified_nRCD
    ):  # made longer for that VDD (dram.mode: safe)
        return {"trcd_ns": None, "vdd_V": None}
    trcd_ns = vdd_V = None
    if point.vdd_V < nominal_V:
        difference = module.nominal.vdd_scaling == "difference"
        vdd_V = (
            round(module.nominal.vdd_V - (nominal_V - point.vdd_V), 6)
            if difference
            else point.vdd_V
        )
    if (
        point.timings["nRCD"] < specified_nRCD
    ):  # at a lower VDD that alone is no shorter tRCD: the VDD curve knows what it does
        run_ns, nominal_ns = (
            ns_from_cycles(cycles, standard.tck_ps)
            for cycles in (point.timings["nRCD"], specified_nRCD)
        )
        trcd_ns = (
            module.nominal.trcd_ns - (nominal_ns - run_ns)
            if module.nominal.trcd_scaling == "difference"
            else run_ns
        )
    return {"trcd_ns": trcd_ns, "vdd_V": vdd_V}


def _questions(
    module: Module,
    trcd_ns: float | None,
    vdd_V: float | None,
    temp_C: float | None,
    beyond_data: bool,
) -> dict[str, _Asked]:
    """The curves that a point concerns. Without tRCD and VDD: all of them, at nominal values."""
    if trcd_ns is None and vdd_V is None:
        trcd_ns, vdd_V = module.nominal.trcd_ns, module.nominal.vdd_V
        wanted = {str(name): {"trcd": trcd_ns, "vdd": vdd_V}[name] for name in module.curves}
    else:
        wanted = {
            name: value for name, value in (("trcd", trcd_ns), ("vdd", vdd_V)) if value is not None
        }
    asked: dict[str, _Asked] = {}
    for name, value in wanted.items():
        unit = "ns" if name == "trcd" else "V"
        if name not in module.curves:
            raise ModuleError(
                f"module {module.name}: has no curve of {name}; it knows {', '.join(module.curves)}"
            )
        if not 0 < value < 1000:
            raise ModuleError(
                f"module {module.name}: {name}: expected {unit} above 0, found {value:g}"
            )
        effective = value
        if name == "trcd" and vdd_V is not None:
            effective = value / _stretch(module, vdd_V, beyond_data)
        asked[name] = _ask(module, name, value, effective, temp_C, beyond_data)
    return asked


def _ask(
    module: Module,
    name: str,
    value: float,
    effective: float,
    temp_C: float | None,
    beyond_data: bool,
) -> _Asked:
    """Raises ModuleError below the data. Above them the device is at its specification: fewer errors, not unknown ones."""
    curve = module.curves[name]  # type: ignore[index]
    unit = "ns" if name == "trcd" else "V"
    beyond = []
    if effective < curve.low - 1e-9:
        beyond.append(
            f"{'tRCD' if name == 'trcd' else 'VDD'} {value:g} {unit} (data: {curve.low:g} to {curve.high:g} {unit})"
        )
    temperature = curve.base_temp_C if temp_C is None else temp_C
    if not -273.15 < temperature < 200:
        raise ModuleError(
            f"module {module.name}: temperature: expected degrees Celsius above -273.15 and below 200, found {temperature:g}"
        )
    if not curve.temp_C[0] - 1e-9 <= temperature <= curve.temp_C[1] + 1e-9:
        beyond.append(
            f"{temperature:g} C (data of {name}: {curve.temp_C[0]:g} to {curve.temp_C[1]:g} C)"
        )
    if beyond and not beyond_data:
        raise ModuleError(
            f"module {module.name}: outside its data: {'; '.join(beyond)}; --beyond-data (beyond_data: true) extrapolates and says so"
        )
    return _Asked(curve, effective, temperature, tuple(beyond))


def _stretch(module: Module, vdd_V: float, beyond_data: bool) -> float:
    """How many times longer the cells need at a VDD than at the module's nominal one (configs/modules/array_voltage.yaml)."""
    from edensim.dram.voltage import voltage_curve

    curve = voltage_curve()
    share = min(1.0, vdd_V / module.nominal.vdd_V)
    if share < curve.lowest and not beyond_data:
        raise ModuleError(
            f"module {module.name}: VDD {vdd_V:g} V: the curve of what cells need ends at {curve.lowest * module.nominal.vdd_V:.3f} V"
        )
    return curve.laws["nRCD"].stretch(max(share, curve.lowest))


def _wrong_share(curve: Curve | Table) -> float:
    """From a curve's rate to bits."""
    return 1.0 if curve.rate == "ber" else curve.structure.wrong_share or 1.0


def _line_fractions(
    asked: dict[str, _Asked], pattern: str | None
) -> tuple[float, float, float] | None:
    """Median and interval of the fraction of faulty lines, where a curve counts lines."""
    if not any(each.curve.rate == "line_fault_fraction" for each in asked.values()):
        return None
    rates = []
    for each in asked.values():
        patterns = _patterns_of(each.curve, pattern)
        numbers = [each.rate(patterns), *each.ends(patterns)]
        lines = each.curve.rate == "line_fault_fraction"
        rates.append(
            numbers
            if lines
            else [
                -math.expm1(LINE_BITS * math.log1p(-min(number, 1 - 1e-16))) for number in numbers
            ]
        )
    return _together(rates)


def _pattern(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    word = pattern.lower()
    word = _SAME.get(word, word)
    if word not in PATTERNS:
        known = (*PATTERNS, *_SAME)
        raise ModuleError(
            f"pattern: expected one of {', '.join(known)}, found {pattern!r}{nearest(word, known)}"
        )
    return word


def _patterns_of(curve: Curve | Table, pattern: str | None) -> tuple[str, ...]:
    """The curve's own patterns that answer for one (None: all). Where it tells none apart, that one."""
    if ANY in curve.patterns:
        return (ANY,)
    return (pattern,) if pattern in curve.patterns else curve.patterns


def _assumptions(module: Module, asked: dict[str, _Asked], both: bool) -> dict[str, str]:
    """Those of the module that concern the curves asked; `both_lowered` only where both were."""
    concerned = {"both_lowered"} if both else set()
    for name in module.curves:
        if name in asked:
            concerned |= {
                each
                for each in module.assumptions
                if each.startswith((f"{name}_", "device", "pairing"))
            }
    return {name: text for name, text in module.assumptions.items() if name in concerned}
