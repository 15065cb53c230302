"""Run configuration: strict YAML and dotted `--set` values to validated, frozen models.

msgspec checks types and ranges (it imports four times faster than the alternatives, and start-up is part of every run); this module adds what
users need: where each value came from, file and line in each message, and the nearest known key.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_type_hints

import msgspec

from edensim.exceptions import ConfigError, nearest
from edensim.strict_yaml import load_yaml, parse_yaml

Positive = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any part of a configuration."""


class DramConfig(Section, frozen=True, kw_only=True):
    """What the memory is."""

    standard: str = "DDR4"
    organization: str | None = None  # None: the standard's default
    speed_bin: str | None = None
    channels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    ranks: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    timings: dict[str, Annotated[int, msgspec.Meta(ge=0, le=10**6)]] = {}
    vdd_V: PositiveFloat | None = None
    trcd_ns: PositiveFloat | None = None


class ControllerConfig(Section, frozen=True, kw_only=True):
    """How the memory is scheduled."""

    scheduler: Literal["frfcfs", "frfcfs-row-hit", "fcfs"] = "frfcfs"
    row_policy: Literal["open", "closed", "capped"] = "open"
    row_cap: Positive = 4
    refresh: Literal["all-bank", "per-bank", "none"] = "all-bank"
    address_mapping: str = "RoBaRaCoCh"
    read_queue: Annotated[int, msgspec.Meta(ge=1, le=512)] = 32
    write_queue: Annotated[int, msgspec.Meta(ge=1, le=512)] = 32
    write_high_watermark: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.8
    write_low_watermark: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2


class SourceConfig(Section, frozen=True, kw_only=True):
    """How requests reach the memory. None picks what the trace format says."""

    kind: Literal["saturating", "timed", "core"] | None = None
    clock_MHz: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 4000.0
    issue_width: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    window: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    mshr: Annotated[int, msgspec.Meta(ge=1, le=512)] = 16
    llc_kB: Positive = 2048
    llc_ways: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    llc_latency_cycles: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 47
    instructions: Positive | None = None  # None: the trace once


class EnergyConfig(Section, frozen=True, kw_only=True):
    """How counts become energy."""

    voltage_law: Literal["linear", "quadratic", "array"] = "linear"


class RunConfig(Section, frozen=True, kw_only=True):
    """One run."""

    trace: str | None = None
    trace_format: str | None = None
    dram: DramConfig = DramConfig()
    controller: ControllerConfig = ControllerConfig()
    source: SourceConfig = SourceConfig()
    energy: EnergyConfig = EnergyConfig()
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


#: Sections of a run, and the mappings in them whose keys are free (their owners check them).
_SECTIONS = {
    name: type(default)
    for name, default in zip(RunConfig.__struct_fields__, RunConfig.__struct_defaults__, strict=True)
    if isinstance(default, Section)
}
_FREE = frozenset({"dram.timings"})

DEFAULT = "default"
SET = "--set"
ARGUMENT = "argument"


class LoadedConfig(msgspec.Struct, frozen=True):
    """A validated configuration, and where each value came from.

    origins: {dotted key: 'FILE:LINE', '--set', 'argument' (a Python call) or 'default'}.
    """

    config: RunConfig
    origins: dict[str, str]

    def located(self, exception: ConfigError) -> ConfigError:
        """The same complaint with the place its key was set at, where the message begins with a key (`dram.speed_bin: ...`)."""
        message = str(exception)
        key, _, rest = message.partition(": ")
        origin = self.origins.get(key, DEFAULT)
        return exception if origin in (DEFAULT, ARGUMENT) else type(exception)(f"{_place(origin, key)}: {rest}")

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Complaints about keys raised inside are told with their places."""
        try:
            yield
        except ConfigError as exception:
            raise self.located(exception) from None


def load_config(path: Path | None = None, overrides: Sequence[str] = (), base: RunConfig | Mapping[str, Any] | None = None) -> LoadedConfig:
    """Configuration of a run: defaults, then `base`, then the YAML file (and those it extends), then the overrides `KEY=VALUE`.

    Keys of `base` may be nested or dotted. A relative `trace` of a file is taken from that file's folder. Raises ConfigError, with the place,
    the key, what was found and what was expected.
    """
    layers: list[_Layer] = []
    if base is not None:
        content = resolved(base) if isinstance(base, RunConfig) else base
        layers.append({key: (value, ARGUMENT) for key, value in _flatten(content, {}, None)})
    if path is not None:
        layers += _file_layers(path, ())
    layers += [_override(text) for text in overrides]
    leaves: _Layer = {}
    for layer in layers:
        leaves.update(layer)
    for key, (_, origin) in leaves.items():
        _check_key(key, origin)
    config = _convert(leaves)
    origins = {key: leaves[key][1] if key in leaves else DEFAULT for key in known_keys()}
    origins.update({key: origin for key, (_, origin) in leaves.items()})
    return LoadedConfig(config, origins)


def resolved(config: RunConfig) -> dict[str, Any]:
    """The configuration as nested plain values, as results keep it."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    return plain


def flat(config: RunConfig) -> dict[str, Any]:
    """The configuration by dotted key."""
    return dict(_flatten(resolved(config), {}, None))


def known_keys() -> list[str]:
    """Every dotted key, sections' free mappings as one."""
    keys = []
    for name in RunConfig.__struct_fields__:
        section = _SECTIONS.get(name)
        keys += [f"{name}.{field}" for field in section.__struct_fields__] if section else [name]
    return keys


#: {dotted key: (value, origin)}
_Layer = dict[str, tuple[Any, str]]


def _place(origin: str, key: str) -> str:
    """Where a key was set, as messages begin."""
    return key if origin == ARGUMENT else f"{SET} {key}" if origin == SET else f"{origin}: {key}"


def _file_layers(path: Path, chain: tuple[Path, ...]) -> list[_Layer]:
    """Layers of a file: those it extends first."""
    data, lines = load_yaml(path)
    known = path.resolve()
    if known in chain:
        raise ConfigError(f"{path}: extends itself, by way of {' and '.join(str(p) for p in chain)}")
    layers: list[_Layer] = []
    extends = data.pop("extends", None)
    if extends is not None:
        if not isinstance(extends, str):
            raise ConfigError(f"{path}:{lines['extends']}: extends: expected the name of a YAML file, found {_shown(extends)}")
        parent = path.parent / extends
        if not parent.is_file():
            raise ConfigError(f"{path}:{lines['extends']}: extends: no such file: {parent}")
        layers += _file_layers(parent, (*chain, known))
    layer: _Layer = {}
    for key, value in _flatten(data, lines, path):
        if key == "trace" and isinstance(value, str):
            value = str(path.parent / value)
        origin = f"{path}:{lines.get(key, 1)}"
        if key in layer:
            raise ConfigError(f"{origin}: duplicate key {key!r}; first at {layer[key][1]}")
        layer[key] = (value, origin)
    return [*layers, layer]


def _flatten(content: Mapping[str, Any], lines: Mapping[str, int], path: Path | None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; goes into sections and free mappings only, so that an unknown section is one unknown key."""
    for name, value in content.items():
        key = f"{prefix}{name}"
        if key not in _SECTIONS and key not in _FREE:
            yield key, value
        elif isinstance(value, Mapping):
            yield from _flatten(value, lines, path, key + ".")
        elif value is not None:
            where = f"{path}:{lines.get(key, 1)}: " if path else ""
            raise ConfigError(f"{where}{key}: expected keys and values, found {_shown(value)}")


def _override(text: str) -> _Layer:
    """One `KEY=VALUE`. Values of text keys are taken as they stand, others are YAML."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key or not value.strip():
        raise ConfigError(f"{SET} {text}: expected KEY=VALUE")
    if key in _SECTIONS or key in _FREE:
        raise ConfigError(f"{SET} {text}: {key} holds several keys; set one of them ({key}.NAME=VALUE)")
    _check_key(key, SET)
    kinds = _alternatives(_type_of(key))
    if any(kind in ("StrType", "LiteralType") for kind in kinds):
        return {key: (None if value == "null" and "NoneType" in kinds else value, SET)}
    try:
        data, _ = parse_yaml(f"value: {value}", SET)
    except ConfigError as exception:
        raise ConfigError(f"{SET} {text}: {str(exception).partition(': ')[2]}") from None
    if set(data) != {"value"}:
        raise ConfigError(f"{SET} {text}: expected one value")
    return {key: (data["value"], SET)}


def _check_key(key: str, origin: str) -> None:
    keys = known_keys()
    if key in keys and key not in _FREE or key.rpartition(".")[0] in _FREE:
        return
    hint = next((f"; did you mean {k!r}?" for k in keys if k.rpartition(".")[2] == key.rpartition(".")[2]), "")
    raise ConfigError(f"{_place(origin, key)}: unknown key{hint or nearest(key, [*keys, *_SECTIONS])}")


def _convert(leaves: _Layer) -> RunConfig:
    """Checked models of flat values."""
    nested: dict[str, Any] = {}
    for key, (value, _) in leaves.items():
        *sections, name = key.split(".")
        node = nested
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
    try:
        config = msgspec.convert(nested, RunConfig)
        finite = all(math.isfinite(value) for value, _ in leaves.values() if isinstance(value, float))
    except (msgspec.ValidationError, OverflowError):
        finite = False
    if not finite:
        _refuse_first(leaves)
    if config.dram.timings.get("nRCD") == 0:  # some timings may be 0; a row that opens in no time may not
        key = "dram.timings.nRCD"
        raise ConfigError(f"{_place(leaves[key][1], key)}: expected a whole number from 1, found 0")
    return config


def _refuse_first(leaves: _Layer) -> NoReturn:
    """Name the first value that does not fit its key."""
    for key, (value, origin) in leaves.items():
        kind = _type_of(key)
        try:
            msgspec.convert(value, kind)
            if not isinstance(value, float) or math.isfinite(value):
                continue
        except (msgspec.ValidationError, OverflowError):
            pass
        info = msgspec.inspect.type_info(kind)
        hint = nearest(value, [c for c in _choices(info) if isinstance(c, str)]) if isinstance(value, str) else ""
        raise ConfigError(f"{_place(origin, key)}: expected {_expected(info)}, found {_shown(value)}{hint}")
    raise AssertionError("each value fits its key, but the configuration was refused")


def _type_of(key: str) -> Any:
    """Type of a known key's value."""
    section, _, name = key.rpartition(".")
    if section in _FREE:
        section, _, mapping = section.rpartition(".")
        return get_type_hints(_SECTIONS[section], include_extras=True)[mapping].__args__[1]
    return get_type_hints(_SECTIONS[section] if section else RunConfig, include_extras=True)[name]


def _parts(info: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    return info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)


def _alternatives(kind: Any) -> set[str]:
    return {type(part).__name__ for part in _parts(msgspec.inspect.type_info(kind))}


def _choices(info: msgspec.inspect.Type) -> list[Any]:
    return [value for part in _parts(info) if isinstance(part, msgspec.inspect.LiteralType) for value in part.values]


def _expected(info: msgspec.inspect.Type) -> str:
    """A type in words: `a whole number from 1 to 64`."""
    words = []
    for part in _parts(info):
        if isinstance(part, msgspec.inspect.IntType | msgspec.inspect.FloatType):
            noun = "a whole number" if isinstance(part, msgspec.inspect.IntType) else "a number"
            low = f"above {part.gt}" if part.gt is not None else f"from {part.ge}" if part.ge is not None else ""
            words.append(" ".join(word for word in (noun, low, f"to {part.le}" if part.le is not None else "") if word))
        elif isinstance(part, msgspec.inspect.LiteralType):
            words.append("one of " + ", ".join(sorted(map(str, part.values))))
        elif isinstance(part, msgspec.inspect.StrType):
            words.append("text")
    return " or ".join(words)


def _shown(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) < 60 else "a long text"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, int | float):
        return str(value)[:60]
    return "keys and values" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else type(value).__name__
