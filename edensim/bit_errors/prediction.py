"""Predict how many bits of a module fail at an operating point, and by which error model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edensim.bit_errors.curve import ANY, PATTERNS, Curve, Table
from edensim.bit_errors.models import ErrorModel, kind_of
from edensim.bit_errors.module import Module
from edensim.dram.operating_point import OperatingPoint
from edensim.dram.standard import Standard
from edensim.dram.voltage import voltage_curve
from edensim.exceptions import ModuleError, nearest
from edensim.vocabulary import ns_from_cycles

#: Bits of a line that is counted as faulty or not.
LINE_BITS: Final = 512
#: Other names of patterns: a byte and its inverse are measured alike, in neighbouring rows.
_SYNONYMS: Final = {"0x0": "0x00", "0x55": "0xaa", "0x33": "0xcc"}


@dataclass(frozen=True)
class Prediction:
    """Rates at an operating point.

    Medians are those of the vendor's middle module; intervals (95 %) hold for a module that was
    never measured.

    Attributes
    ----------
    ber_of_zeros, ber_of_ones
        Shares of the stored zeros and of the stored ones that are wrong.
    line_fault_fraction
        Share of the 64-byte lines that have a wrong bit; None if no data are of that kind.
    assumptions
        Assumptions of the module's file that the prediction rests on.
    beyond_data
        What lies outside the data.
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
        """Return plain values, with the line fractions if they are known."""
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
        """Return a few lines for a terminal."""
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
    low, high = interval
    return f"  {name} {median:.3g} (95 %, a module never measured: {low:.2g} to {high:.2g})"


@dataclass(frozen=True, slots=True)
class _CurvePoint:
    """A curve at a quantity and a temperature, and what of them lies outside the data."""

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
    """Predict the error rates of a module at an operating point.

    If both tRCD and VDD are lowered, tRCD counts as shorter by what the cells need longer at that
    VDD, and the errors of both are independent (the assumption `both_lowered`).

    Parameters
    ----------
    module
        The module.
    trcd_ns, vdd_V
        Operating point of its device; None means nominal.
    temp_C
        Temperature; None means that of the data.
    pattern
        Byte stored in all cells, such as "0xaa"; None means the mean of those measured.
    beyond_data
        Whether to extrapolate beyond the data.

    Raises
    ------
    ModuleError
        If the point is outside the data without `beyond_data`, or the pattern was not measured.
    """
    points = _curve_points(module, trcd_ns, vdd_V, temp_C, beyond_data)
    word = _pattern(pattern)
    bit_rates = [_bit_rates(points, stored) for stored in (word, "0x00", "0xff")]
    lines = _line_fractions(points, word)
    temperatures = [point.temp_C for point in points.values()]
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
        assumptions=_assumptions(module, points, trcd_ns is not None and vdd_V is not None),
        beyond_data=tuple(
            dict.fromkeys(text for point in points.values() for text in point.beyond)
        ),
    )


def _bit_rates(points: dict[str, _CurvePoint], pattern: str | None) -> tuple[float, float, float]:
    """Return median and interval of the BER of all curves together."""
    rates = []
    for point in points.values():
        patterns = _patterns_of(point.curve, pattern)
        share = _wrong_share(point.curve)
        rates.append([share * rate for rate in (point.rate(patterns), *point.ends(patterns))])
    return _together(rates)


def _together(rates: list[list[float]]) -> tuple[float, float, float]:
    """Return the chance of at least one of independent events, for the median and both ends.

    The chance of a single event is returned as it is.
    """
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
    """Return the error model of the vendor's middle module at an operating point.

    It has the structure of the curve that fails more often, at the BER of both. If that structure
    is data-dependent, zeros and ones fail as often as patterns of zeros and of ones do. Raises
    ModuleError as `predict` does.
    """
    points = _curve_points(module, trcd_ns, vdd_V, temp_C, beyond_data)
    prediction = predict(
        module, trcd_ns=trcd_ns, vdd_V=vdd_V, temp_C=temp_C, beyond_data=beyond_data
    )
    leading = max(
        points.values(),
        key=lambda point: _wrong_share(point.curve) * point.rate(_patterns_of(point.curve, None)),
    )
    structure = leading.curve.structure
    kind = kind_of(structure.kind)
    if "failure_of_ones" in kind.parameters:
        most = max(prediction.ber_of_zeros, prediction.ber_of_ones)
        # All cells are weak if weak ones do not fail often enough.
        failure = max(structure.failure_probability, most)
        shares = {
            name: ber / most if most else 1.0
            for name, ber in (("ones", prediction.ber_of_ones), ("zeros", prediction.ber_of_zeros))
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
    return model.at_ber((prediction.ber_of_zeros + prediction.ber_of_ones) / 2)


def point_of(
    module: Module,
    standard: Standard,
    point: OperatingPoint,
    specified: Mapping[str, int] | None = None,
) -> dict[str, float | None]:
    """Return the operating point of a module's device that stands for that of a simulated one.

    `nominal.vdd_scaling` and `nominal.trcd_scaling` of the module decide how. The result has
    `trcd_ns` and `vdd_V`, which are None at the specification. The timings of `standard` may be
    those of the point already; `specified` has the specified ones (None: those of `standard`).
    """
    nominal_V, specified_nRCD = (
        standard.currents.vdd_V,
        (standard.timings if specified is None else specified)["nRCD"],
    )
    if point.within_specification and point.timings["nRCD"] > specified_nRCD:
        # Timings were made longer for that VDD (dram.mode: safe).
        return {"trcd_ns": None, "vdd_V": None}
    trcd_ns = vdd_V = None
    if point.vdd_V < nominal_V:
        vdd_V = point.vdd_V
        if module.nominal.vdd_scaling == "difference":
            vdd_V = round(module.nominal.vdd_V - (nominal_V - point.vdd_V), 6)
    # A lower VDD alone is no shorter tRCD: the curve of VDD includes what it does.
    if point.timings["nRCD"] < specified_nRCD:
        trcd_ns, nominal_ns = (
            ns_from_cycles(cycles, standard.tck_ps)
            for cycles in (point.timings["nRCD"], specified_nRCD)
        )
        if module.nominal.trcd_scaling == "difference":
            trcd_ns = module.nominal.trcd_ns - (nominal_ns - trcd_ns)
    return {"trcd_ns": trcd_ns, "vdd_V": vdd_V}


def _curve_points(
    module: Module,
    trcd_ns: float | None,
    vdd_V: float | None,
    temp_C: float | None,
    beyond_data: bool,
) -> dict[str, _CurvePoint]:
    """Return the curves that a point concerns; without tRCD and VDD, all at nominal values."""
    if trcd_ns is None and vdd_V is None:
        trcd_ns, vdd_V = module.nominal.trcd_ns, module.nominal.vdd_V
        wanted = {str(name): {"trcd": trcd_ns, "vdd": vdd_V}[name] for name in module.curves}
    else:
        wanted = {
            name: value for name, value in (("trcd", trcd_ns), ("vdd", vdd_V)) if value is not None
        }
    points: dict[str, _CurvePoint] = {}
    for name, value in wanted.items():
        unit = "ns" if name == "trcd" else "V"
        if name not in module.curves:
            raise ModuleError(
                f"module {module.name}: has no curve of {name}; expected one of "
                f"{', '.join(module.curves)}"
            )
        if not 0 < value < 1000:
            raise ModuleError(
                f"module {module.name}: {name}: expected {unit} above 0, found {value:g}"
            )
        effective = value
        if name == "trcd" and vdd_V is not None:
            effective = value / _stretch(module, vdd_V, beyond_data)
        points[name] = _curve_point(module, name, value, effective, temp_C, beyond_data)
    return points


def _curve_point(
    module: Module,
    name: str,
    value: float,
    effective: float,
    temp_C: float | None,
    beyond_data: bool,
) -> _CurvePoint:
    """Return a curve at a quantity; raise ModuleError below the data.

    Above the data the device is at its specification, with fewer errors, not unknown ones.
    """
    curve = module.curves[name]  # type: ignore[index]
    unit = "ns" if name == "trcd" else "V"
    beyond = []
    if effective < curve.low - 1e-9:
        beyond.append(
            f"{'tRCD' if name == 'trcd' else 'VDD'} {value:g} {unit} "
            f"(data: {curve.low:g} to {curve.high:g} {unit})"
        )
    temperature = curve.base_temp_C if temp_C is None else temp_C
    if not -273.15 < temperature < 200:
        raise ModuleError(
            f"module {module.name}: temperature: expected degrees Celsius above -273.15 and below "
            f"200, found {temperature:g}"
        )
    if not curve.temp_C[0] - 1e-9 <= temperature <= curve.temp_C[1] + 1e-9:
        beyond.append(
            f"{temperature:g} C (data of {name}: {curve.temp_C[0]:g} to {curve.temp_C[1]:g} C)"
        )
    if beyond and not beyond_data:
        raise ModuleError(
            f"module {module.name}: outside its data: {'; '.join(beyond)}; --beyond-data "
            "(beyond_data: true) extrapolates and says so"
        )
    return _CurvePoint(curve, effective, temperature, tuple(beyond))


def _stretch(module: Module, vdd_V: float, beyond_data: bool) -> float:
    """Return how many times longer cells need at a VDD than at the nominal one.

    The curve is in configs/modules/array_voltage.yaml.
    """
    curve = voltage_curve()
    share = min(1.0, vdd_V / module.nominal.vdd_V)
    if share < curve.lowest and not beyond_data:
        raise ModuleError(
            f"module {module.name}: VDD {vdd_V:g} V: the curve of what cells need ends at "
            f"{curve.lowest * module.nominal.vdd_V:.3f} V"
        )
    return curve.laws.nRCD.stretch(max(share, curve.lowest))


def _wrong_share(curve: Curve | Table) -> float:
    """Return the factor from a curve's rate to a rate of bits."""
    return 1.0 if curve.rate == "ber" else curve.structure.wrong_share or 1.0


def _line_fractions(
    points: dict[str, _CurvePoint], pattern: str | None
) -> tuple[float, float, float] | None:
    """Return median and interval of the fraction of faulty lines, if a curve counts lines."""
    if not any(point.curve.rate == "line_fault_fraction" for point in points.values()):
        return None
    rates = []
    for point in points.values():
        patterns = _patterns_of(point.curve, pattern)
        numbers = [point.rate(patterns), *point.ends(patterns)]
        lines = point.curve.rate == "line_fault_fraction"
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
    word = _SYNONYMS.get(word, word)
    if word not in PATTERNS:
        known = (*PATTERNS, *_SYNONYMS)
        raise ModuleError(
            f"pattern: expected one of {', '.join(known)}, found {pattern!r}{nearest(word, known)}"
        )
    return word


def _patterns_of(curve: Curve | Table, pattern: str | None) -> tuple[str, ...]:
    """Return the patterns of a curve that stand for a pattern, or for all if that is None."""
    if ANY in curve.patterns:
        return (ANY,)
    return (pattern,) if pattern in curve.patterns else curve.patterns


def _assumptions(module: Module, points: dict[str, _CurvePoint], both: bool) -> dict[str, str]:
    """Return the assumptions of a module on these curves; `both_lowered` only if both are."""
    concerned = {"both_lowered"} if both else set()
    for name in module.curves:
        if name in points:
            concerned |= {
                each
                for each in module.assumptions
                if each.startswith((f"{name}_", "device", "pairing"))
            }
    return {name: text for name, text in module.assumptions.items() if name in concerned}
