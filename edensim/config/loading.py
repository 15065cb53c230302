"""Turn strict YAML and dotted `--set` values into validated, frozen models.

msgspec checks types and ranges: it imports four times faster than the alternatives, and start-up is
part of every run. This module adds what users need: where each value came from, file and line in
each message, and the nearest known key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from edensim.config.models import (
    ChangeConfig,
    ControllerConfig,
    DramConfig,
    EnergyConfig,
    PartitionConfig,
    RunConfig,
    SourceConfig,
)
from edensim.config.plugins import ERROR_MODELS, MACHINES, SCHEDULERS
from edensim.config.strict_yaml import load_yaml, parse_yaml
from edensim.config.validation import Refuse, Section, alternatives, fits, fitted, shown
from edensim.exceptions import ConfigError, nearest
from edensim.files import flatten

__all__ = [
    "ARGUMENT",
    "DEFAULT",
    "OVER",
    "SET",
    "ChangeConfig",
    "ControllerConfig",
    "DramConfig",
    "EnergyConfig",
    "LoadedConfig",
    "PartitionConfig",
    "RunConfig",
    "SourceConfig",
    "flat",
    "is_numeric",
    "known_keys",
    "load_config",
    "parse_setting",
    "resolved",
]

#: Sections of a run, mappings whose keys are free (their owners check them), and lists whose items
#: have keys (`dram.changes.0.vdd_V`).
_SECTIONS = {
    name: type(default)
    for name, default in zip(
        RunConfig.__struct_fields__, RunConfig.__struct_defaults__, strict=True
    )
    if isinstance(default, Section)
}
_FREE = frozenset({"dram.timings", "machine"})
_LISTS: dict[str, type[Section]] = {
    "dram.partitions": PartitionConfig,
    "dram.changes": ChangeConfig,
}

#: Keys that take a file beside the configuration's own as well as a name or another file.
_FILES: Final = frozenset({"network", "errors.module", "eden.weights", "eden.data"})

#: Keys whose values are names in a registry, to which other packages may add.
REGISTRIES: Final = {
    "frontend": MACHINES,
    "controller.scheduler": SCHEDULERS,
    "errors.model": ERROR_MODELS,
}

DEFAULT = "default"
SET = "--set"
OVER = "--over"
ARGUMENT = "argument"


class LoadedConfig(msgspec.Struct, frozen=True):
    """A validated configuration, and where each value came from.

    origins: {dotted key: 'FILE:LINE', '--set', 'argument' (a Python call) or 'default'}.
    """

    config: RunConfig
    origins: dict[str, str]

    def located(self, exception: ConfigError) -> ConfigError:
        """Return the exception with the place where its key was set.

        The message has to begin with a key (`dram.speed_bin: ...`); others stay as they are.
        """
        message = str(exception)
        key, _, rest = message.partition(": ")
        known = key
        # An item of a list that was set as a whole stands where the list does.
        while known not in self.origins and "." in known:
            known = known.rpartition(".")[0]
        origin = self.origins.get(known, DEFAULT)
        return (
            exception
            if origin in (DEFAULT, ARGUMENT)
            else type(exception)(f"{_place(origin, key)}: {rest}")
        )

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Add the places of keys to exceptions that are raised inside the block."""
        try:
            yield
        except ConfigError as exception:
            raise self.located(exception) from None


def load_config(
    path: Path | None = None,
    overrides: Sequence[str] = (),
    base: RunConfig | Mapping[str, Any] | None = None,
) -> LoadedConfig:
    """Load and check the configuration of a run.

    If a key is set more than once, the last of the following decides: the default, `base`, the
    files that the YAML file extends, the YAML file, `overrides`.

    Parameters
    ----------
    path
        A YAML file. A relative `trace` in it is found from the folder of that file, and so are
        other files that exist there.
    overrides
        Settings `KEY=VALUE`, as `--set` takes them.
    base
        A configuration, or values by key, nested or dotted.

    Returns
    -------
    LoadedConfig
        The configuration (`config`), and where each value came from (`origins`).

    Raises
    ------
    ConfigError
        If a file or a value cannot be accepted. The message names the place, the key, what was
        found and what was expected.
    """
    layers: list[_Layer] = []
    if base is not None:
        content = resolved(base) if isinstance(base, RunConfig) else base
        layers.append({key: (value, ARGUMENT) for key, value in _leaves(content)})
    if path is not None:
        layers += _file_layers(path, ())
    layers += [_override(text) for text in overrides]
    leaves, places = _merged(layers)
    for key, (_, origin) in leaves.items():
        _check_key(key, origin)
    config = _convert(leaves, places)
    origins = {key: leaves[key][1] if key in leaves else DEFAULT for key in known_keys()}
    origins.update({key: origin for key, (_, origin) in leaves.items()})
    return LoadedConfig(config, {**origins, **places})


def resolved(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as nested plain values, as results keep it."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    return plain


def flat(config: RunConfig) -> dict[str, Any]:
    """Return the configuration by dotted key."""
    return dict(_leaves(resolved(config)))


def parse_setting(text: str, option: str = SET) -> tuple[str, Any]:
    """Return the key and the value of a `KEY=VALUE`, which is read by the type of its key.

    Raises ConfigError, its message begun with `option`, for an unknown key.
    """
    [(key, (value, _))] = _override(text, option).items()
    return key, value


def is_numeric(key: str) -> bool:
    """Whether a known key takes numbers."""
    return bool(alternatives(_type_of(key)) & {"IntType", "FloatType"})


@cache
def known_keys() -> tuple[str, ...]:
    """Every dotted key, sections' free mappings as one."""
    keys: list[str] = []
    for name in RunConfig.__struct_fields__:
        section = _SECTIONS.get(name)
        keys += [f"{name}.{field}" for field in section.__struct_fields__] if section else [name]
    return tuple(keys)


#: {dotted key: (value, origin)}; the value is _PLACE if the origin is that of an entry in a list.
_Layer = dict[str, tuple[Any, str]]
_PLACE = object()


def _merged(layers: Iterable[_Layer]) -> tuple[_Layer, dict[str, str]]:
    """Return the value of each key in the last layer that sets it, and the places of list entries.

    A key such as `dram.partitions.0.vdd_V` changes one item of a list.
    """
    leaves: _Layer = {}
    places: dict[str, str] = {}
    for layer in layers:
        for key, (value, origin) in layer.items():
            owner, index, name = _item(key)
            if value is _PLACE:
                places[key] = origin
            elif not owner:
                leaves[key] = (value, origin)
                places = {
                    place: known
                    for place, known in places.items()
                    if not place.startswith(f"{key}.")
                }
            else:
                items, first_origin = leaves.get(owner, ((), origin))
                known = len(items) if isinstance(items, list | tuple) else 0
                if index >= known or not isinstance(items[index], Mapping):
                    raise ConfigError(
                        f"{_place(origin, key)}: {owner} has no item {index} "
                        f"(items are numbered from 0), it has {known}"
                    )
                leaves[owner] = (
                    [
                        {**item, name: value} if at == index else item
                        for at, item in enumerate(items)
                    ],
                    first_origin,
                )
                places[key] = origin
    return leaves, places


def _item(key: str) -> tuple[str, int, str]:
    """Split `dram.partitions.0.vdd_V` into ('dram.partitions', 0, 'vdd_V').

    The owner of a key outside of lists is ''.
    """
    head, _, name = key.rpartition(".")
    owner, _, index = head.rpartition(".")
    return (owner, int(index), name) if owner in _LISTS and index.isdecimal() else ("", 0, "")


def _place(origin: str, key: str) -> str:
    """Where a key was set, as messages begin."""
    return (
        key
        if origin == ARGUMENT
        else f"{origin} {key}"
        if origin in (SET, OVER)
        else f"{origin}: {key}"
    )


def _file_layers(path: Path, chain: tuple[Path, ...]) -> list[_Layer]:
    """Layers of a file: those it extends first."""
    data, lines = load_yaml(path)
    known = path.resolve()
    if known in chain:
        raise ConfigError(
            f"{path}: extends itself, by way of {' and '.join(str(p) for p in chain)}"
        )
    layers: list[_Layer] = []
    extends = data.pop("extends", None)
    if extends is not None:
        if not isinstance(extends, str):
            raise ConfigError(
                f"{path}:{lines['extends']}: extends: "
                f"expected the name of a YAML file, found {shown(extends)}"
            )
        parent = path.parent / extends
        if not parent.is_file():
            raise ConfigError(f"{path}:{lines['extends']}: extends: no such file: {parent}")
        layers += _file_layers(parent, (*chain, known))
    layer: _Layer = {}
    for key, value in _leaves(data, lambda key: f"{path}:{lines.get(key, 1)}: {key}"):
        if key == "trace" and isinstance(value, str) and value != "-":
            value = str(path.parent / value)
        elif key in _FILES and isinstance(value, str) and (path.parent / value).exists():
            value = str(path.parent / value)
        origin = f"{path}:{lines.get(key, 1)}"
        if key in layer:
            raise ConfigError(f"{origin}: duplicate key {key!r}; first at {layer[key][1]}")
        layer[key] = (value, origin)
        if key in _LISTS:
            layer.update(
                {
                    place: (_PLACE, f"{path}:{line}")
                    for place, line in lines.items()
                    if place.startswith(f"{key}.")
                }
            )
    return [*layers, layer]


def _leaves(
    content: Mapping[str, Any], place: Callable[[str], str] = str
) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; `place` names a key in messages.

    Only sections and free mappings are entered, so that an unknown section is one unknown key.
    """
    groups = {*_SECTIONS, *_FREE}
    for key, value in flatten(content, enter=groups.__contains__):
        if key not in groups:
            yield key, value
        elif value is not None:
            raise ConfigError(f"{place(key)}: expected keys and values, found {shown(value)}")


def _override(text: str, option: str = SET) -> _Layer:
    """Read one `KEY=VALUE` of a command-line option.

    Values of text keys are taken as they stand; others are YAML.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key or not value.strip():
        raise ConfigError(f"{option} {text}: expected KEY=VALUE")
    if key in _SECTIONS or key in _FREE:
        raise ConfigError(
            f"{option} {text}: {key} holds several keys; set one of them ({key}.NAME=VALUE)"
        )
    _check_key(key, option)
    kinds = alternatives(_type_of(key))
    listed = "VarTupleType" in kinds and value.lstrip().startswith("[")
    if not listed and any(kind in ("StrType", "LiteralType") for kind in kinds):
        return {key: (None if value == "null" and "NoneType" in kinds else value, option)}
    try:
        data, _ = parse_yaml(f"value: {value}", option)
    except ConfigError as exception:
        setting = text if len(text) <= 80 else f"{text[:80]}..."
        raise ConfigError(f"{option} {setting}: {str(exception).partition(': ')[2]}") from None
    if set(data) != {"value"}:
        raise ConfigError(f"{option} {text}: expected one value")
    return {key: (data["value"], option)}


def _check_key(key: str, origin: str) -> None:
    keys = known_keys()
    if key in keys and key not in _FREE or key.rpartition(".")[0] in _FREE:
        return
    owner, _, name = _item(key)
    if owner:
        if name not in _LISTS[owner].__struct_fields__:
            raise ConfigError(
                f"{_place(origin, key)}: unknown key"
                f"{nearest(name, _LISTS[owner].__struct_fields__)}"
            )
        return
    name = key.rpartition(".")[2]
    hint = next(
        (
            f"; did you mean {known!r}?"
            for names in ({name}, {f"{name.lower()}_{unit}" for unit in ("v", "ns")})
            for known in keys
            if known.rpartition(".")[2] in names or known.rpartition(".")[2].lower() in names
        ),
        "",
    )
    raise ConfigError(
        f"{_place(origin, key)}: unknown key{hint or nearest(key, [*keys, *_SECTIONS])}"
    )


def _convert(leaves: _Layer, places: Mapping[str, str]) -> RunConfig:
    """Build the models from values by dotted key, and check them."""
    nested: dict[str, Any] = {}
    for key, (value, _) in leaves.items():
        *sections, name = key.split(".")
        node = nested
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
    if not fits(nested, RunConfig):
        for key, (value, origin) in leaves.items():
            fitted(value, _type_of(key), key, _refusing(places, origin))
    for key, registry in REGISTRIES.items():
        value, origin = leaves.get(key, (None, DEFAULT))
        if value is not None and value not in registry.builtin:
            registry.find(value, _place(origin, key))
    return msgspec.convert(nested, RunConfig)


def _refusing(places: Mapping[str, str], origin: str) -> Refuse:
    """Return what makes exceptions about a value from `origin`; items of lists have `places`."""
    return lambda key, message: ConfigError(f"{_place(places.get(key, origin), key)}: {message}")


def _type_of(key: str) -> Any:
    """Type of a known key's value."""
    owner, _, name = _item(key)
    if owner:
        return get_type_hints(_LISTS[owner], include_extras=True)[name]
    section, _, name = key.rpartition(".")
    if section in _FREE:
        section, _, mapping = section.rpartition(".")
        hints = get_type_hints(_SECTIONS.get(section, RunConfig), include_extras=True)
        return hints[mapping].__args__[1]
    return get_type_hints(_SECTIONS[section] if section else RunConfig, include_extras=True)[name]
