"""Read and write module files: what is known and assumed about the bit errors of a device.

`configs/modules/` has some.
"""

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from edensim.bit_errors.curve import ANY, PATTERNS, Curve, Spread, Structure, Table, regressors
from edensim.config import paths as resources
from edensim.config.strict_yaml import load_yaml
from edensim.config.validation import PositiveFloat, Section
from edensim.exceptions import ModuleError, nearest

#: Name and version of the format of module files.
FORMAT: Final = "edensim-module-1"


class Nominal(Section, frozen=True, kw_only=True):
    """What the device is specified for, and how it stands for a simulated device of other values.

    With the scaling `absolute`, the volts and nanoseconds of the simulated device are taken as they
    are. With `difference`, what was taken off its nominal value is taken off the value of this
    device, as EDEN does: 0.3 V below the 1.2 V of DDR4 are 1.05 V of a device of 1.35 V.
    """

    vdd_V: PositiveFloat
    trcd_ns: PositiveFloat
    vdd_scaling: Literal["absolute", "difference"] = "difference"
    trcd_scaling: Literal["absolute", "difference"] = "absolute"


class Module(Section, frozen=True, kw_only=True):
    """The bit errors of a device; prediction.py computes rates from it.

    Attributes
    ----------
    seed
        Decides where its weak cells are.
    assumptions
        What no data decide, by name.
    curves
        Rates by what was lowered, `trcd` or `vdd`.
    """

    format: Literal["edensim-module-1"]
    name: str
    vendor: str | None = None
    source: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    nominal: Nominal
    assumptions: dict[str, str] = {}
    curves: dict[Literal["trcd", "vdd"], Curve | Table]


def load_module(path: str | Path) -> Module:
    """Load a module from a file, or by a name in configs/modules/ or $EDENSIM_CONFIGS.

    Raises
    ------
    ModuleError
        If there is no such file, or it is wrong; the message has file, line and key.
    """
    file = _find(Path(path))
    return _load(file, file.stat().st_mtime_ns)


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    names: list[str] = []
    if path.name == str(path):
        for folder in resources.config_folders("modules"):
            named = folder / f"{path.name.removesuffix('.yaml')}.yaml"
            if named.is_file():
                return named
            names += [each.stem for each in sorted(folder.glob("*.yaml"))]
    raise ModuleError(f"{path}: no such module file{nearest(path.stem, names)}")


@cache
def _load(path: Path, modified_ns: int) -> Module:
    values, lines = load_yaml(path)
    if values.get("format") != FORMAT:
        raise ModuleError(
            f"{path}:{lines.get('format', 1)}: format: expected {FORMAT!r}, "
            f"found {values.get('format')!r}; is it a module file?"
        )
    try:
        module = msgspec.convert(values, Module)
    except msgspec.ValidationError as problem:
        raise _located(path, lines, values, str(problem)) from None
    for name, curve in module.curves.items():
        complaint = _complaint(name, curve)
        if complaint:
            key, message = complaint
            raise ModuleError(
                f"{path}:{lines.get(key, lines.get(f'curves.{name}', 1))}: {key}: {message}"
            )
    return module


def _located(
    path: Path, lines: Mapping[str, int], values: Mapping[str, Any], message: str
) -> ModuleError:
    """Return a complaint of msgspec with line, key, and the nearest known key."""
    text, _, where = message.partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    known: list[str] = [*Module.__struct_fields__, *Nominal.__struct_fields__]
    if key.startswith("curves[...]"):  # msgspec does not say which value of a mapping
        for name, curve in values["curves"].items():
            try:
                msgspec.convert(curve, Curve | Table)
            except msgspec.ValidationError as problem:
                text, _, where = str(problem).partition(" - at `$")
                key = f"curves.{name}{where.rstrip('`')}"
                known = [
                    field
                    for model in (Curve, Table, Spread, Structure)
                    for field in model.__struct_fields__
                ]
                break
    key = re.sub(r"\[(\d+)\]", r".\1", key).partition("[")[0]
    unknown = re.search(r"unknown field `(\w+)`", text)
    if unknown:
        key = f"{key}.{unknown.group(1)}".lstrip(".")
        text = f"unknown key{nearest(unknown.group(1), known)}"
    place = key
    while place and place not in lines:
        place = place.rpartition(".")[0]
    return ModuleError(
        f"{path}:{lines.get(place, 1)}: {key or 'module'}: {text[0].lower()}{text[1:]}"
    )


def _complaint(name: str, curve: Curve | Table) -> tuple[str, str] | None:
    """Return key and message of the first rule that a curve breaks and its types do not state."""
    key = f"curves.{name}"
    axis = {"trcd": "trcd_ns", "vdd": "vdd_V"}[name]
    if curve.axis != axis:
        return f"{key}.axis", f"expected {axis!r} for the curve {name!r}, found {curve.axis!r}"
    if curve.rate == "line_fault_fraction" and curve.structure.wrong_share is None:
        return (
            f"{key}.structure",
            "key 'wrong_share' is missing; a fraction of faulty lines needs it to become a BER",
        )
    if isinstance(curve, Table):
        quantities = [x for x, _ in curve.points]
        rates = [rate for _, rate in curve.points]
        if (
            not quantities
            or sorted(set(quantities)) != quantities
            or sorted(rates, reverse=True) != rates
        ):
            return f"{key}.points", "expected at least one point, quantities rising and rates not"
        return None
    width = 1 + len(regressors(curve.variable, curve.centre, curve.centre, curve.scale))
    known = (ANY,) if ANY in curve.coefficients else PATTERNS
    for pattern, values in curve.coefficients.items():
        if pattern not in known:
            return (
                f"{key}.coefficients.{pattern}",
                f"unknown pattern{nearest(pattern, known)}; known: {', '.join(known)} "
                f"(or only {ANY!r})",
            )
        if len(values) != width or not all(map(math.isfinite, values)):
            return (
                f"{key}.coefficients.{pattern}",
                f"expected {width} finite numbers (offset and slopes), found {list(values)}",
            )
        if any(slope > 0 for slope in values[1:]):
            return (
                f"{key}.coefficients.{pattern}",
                "expected slopes that are not above 0: a larger VDD or tRCD never adds errors",
            )
    size = width * len(curve.coefficients)
    if not curve.coefficients:
        return f"{key}.coefficients", "expected at least one pattern"
    if curve.covariance and (
        len(curve.covariance) != size or any(len(row) != size for row in curve.covariance)
    ):
        return f"{key}.covariance", f"expected {size} rows of {size} numbers, or none"
    if not curve.low < curve.high:
        return f"{key}.low", f"expected less than high ({curve.high:g}), found {curve.low:g}"
    return None


def module_text(module: Module) -> str:
    """Return the text of a module's file; `load_module` reads the same module from it."""
    values = _plain(msgspec.to_builtins(module))
    return (
        "".join(f"# {line}\n" for line in _HEADER.splitlines())
        + "\n".join(_lines(values, 0))
        + "\n"
    )


_HEADER = (
    "Bit errors of a DRAM device: parameters of a fit and where the data came from, no measured "
    "rows.\nz = offset + slope x (+ temperature), rate = saturation * share(z); see "
    "edensim/bit_errors/curve.py. Read with `edensim ber`."
)


def _plain(value: Any) -> Any:
    """Turn tuples into lists, and leave out what is empty."""
    if isinstance(value, Mapping):
        return {
            key: _plain(each)
            for key, each in value.items()
            if each is not None and each != {} and each != ()
        }
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _lines(values: Mapping[str, Any], depth: int) -> list[str]:
    lines = []
    for key, value in values.items():
        name = f"{'  ' * depth}{_word(key)}:"
        if (
            isinstance(value, Mapping)
            and value
            and (depth < 2 or any(isinstance(each, list | str) for each in value.values()))
        ):
            lines += [name, *_lines(value, depth + 1)]
        elif isinstance(value, list) and value and isinstance(value[0], list):
            lines += [name, *(f"{'  ' * (depth + 1)}- {_inline(row)}" for row in value)]
        else:
            lines.append(f"{name} {_inline(value)}")
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{_word(key)}: {_inline(each)}" for key, each in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, float):
        return _number(value)
    return str(value) if isinstance(value, int) else _word(str(value))


def _number(value: float) -> str:
    """Write a number with six digits, in a form that YAML takes for one (1.0e-05, not 1e-05)."""
    text = f"{value:.6g}"
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}"


def _word(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in {
        "true",
        "false",
        "null",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
    }
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
