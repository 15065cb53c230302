"""Values checked against types, with messages that name the key, what was expected and found.

msgspec checks; a value that it refuses is searched for the first part that does not fit its type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from edensim.exceptions import ConfigError, nearest

T = TypeVar("T")

#: Makes the exception for a key and a message; it adds the place of the key.
Refuse = Callable[[str, str], ConfigError]

Positive = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of known keys."""


def refusing(path: Path, lines: Mapping[str, int]) -> Refuse:
    """Return what makes exceptions about keys of a YAML file, which begin with file and line."""

    def refuse(key: str, message: str) -> ConfigError:
        known = key
        while known not in lines and "." in known:
            known = known.rpartition(".")[0]
        return ConfigError(f"{path}:{lines.get(known, 1)}: {key}: {message}")

    return refuse


def fits(value: Any, kind: Any) -> bool:
    """Whether a plain value has a type, and all its numbers are finite."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        return False
    return _finite(value)


def fitted(value: Any, kind: type[T], key: str, refuse: Refuse) -> T:
    """Convert a plain value to a type.

    Parameters
    ----------
    value
        Nested mappings, lists, text and numbers, as YAML has them.
    kind
        The type; models are subclasses of `Section`.
    key
        Dotted key of the value, empty for a whole file.
    refuse
        Makes the exception for the first part that does not fit.
    """
    if fits(value, kind):
        return msgspec.convert(value, kind)
    raise refuse(*_problem(value, kind, key))


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    parts = value.values() if isinstance(value, Mapping) else value
    return all(map(_finite, parts)) if isinstance(value, Mapping | list | tuple) else True


def _problem(value: Any, kind: Any, key: str) -> tuple[str, str]:
    """Return the key and the description of the first part of a value that does not fit."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    parts = get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)
    for part in parts:
        outer, inner = get_origin(part) or part, get_args(part)
        kinds: dict[Any, Any] = {}
        items: Mapping[Any, Any] = {}
        if isinstance(value, Mapping) and issubclass(outer, msgspec.Struct):
            items, kinds = value, get_type_hints(outer, include_extras=True)
        elif isinstance(value, Mapping) and outer is dict:
            items, kinds = value, dict.fromkeys(value, inner[1])
        elif isinstance(value, list | tuple) and outer is tuple:
            if len(parts) == 1 or isinstance(inner[0], type) and issubclass(inner[0], Section):
                items, kinds = dict(enumerate(value)), dict.fromkeys(range(len(value)), inner[0])
        for name, item in items.items():
            place = f"{key}.{name}" if key else str(name)
            if name not in kinds:
                return place, f"unknown key{nearest(str(name), kinds)}"
            if not fits(item, kinds[name]):
                return _problem(item, kinds[name], place)
        if items or isinstance(value, Mapping) and issubclass(outer, msgspec.Struct):
            fields = msgspec.structs.fields(outer) if issubclass(outer, msgspec.Struct) else ()
            for field in fields:
                if field.required and field.name not in items:
                    return key, f"key {field.name!r} is missing"
    return key, mismatch(value, kind)


def mismatch(value: Any, kind: Any) -> str:
    """Describe a value that does not fit its type: `expected ..., found ...`."""
    info = msgspec.inspect.type_info(kind)
    hint = ""
    if isinstance(value, str):
        choices = [choice for choice in _choices(info) if isinstance(choice, str)]
        hint = nearest(value, choices)
    elif isinstance(value, int | float) and "text" in expected(info):
        hint = " (quotes make it text)"
    return f"expected {expected(info)}, found {shown(value)}{hint}"


def alternatives(kind: Any) -> set[str]:
    """Return the names of msgspec's classes for a type or, if it is a union, for its members."""
    return {type(part).__name__ for part in _parts(msgspec.inspect.type_info(kind))}


def _parts(info: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, ...]:
    if isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)


def _choices(info: msgspec.inspect.Type) -> list[Any]:
    literals = (part for part in _parts(info) if isinstance(part, msgspec.inspect.LiteralType))
    return [value for part in literals for value in part.values]


def expected(info: msgspec.inspect.Type) -> str:
    """Describe a type in words: `a whole number from 1 to 64`."""
    return " or ".join(filter(None, map(_noun, _parts(info))))


def _noun(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            noun = "a whole number" if isinstance(info, msgspec.inspect.IntType) else "a number"
            to = "to" if info.gt is None else "and at most"
            bounds = (("above", info.gt), ("from", info.ge), (to, info.le), ("below", info.lt))
            return " ".join([noun, *(f"{word} {n}" for word, n in bounds if n is not None)])
        case msgspec.inspect.LiteralType(values=values):
            return f"one of {', '.join(sorted(map(str, values)))}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.CustomType():
            return "a path"
        case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.IntType()):
            return "a list of whole numbers"
        case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.FloatType()):
            return "a list of numbers"
        case msgspec.inspect.VarTupleType(item_type=item):
            return f"a list of {_noun(item) or 'values'}"
        case msgspec.inspect.StructType() | msgspec.inspect.DictType():
            return "keys and values"
        case _:
            return ""


def shown(value: Any) -> str:
    """Describe a value for a message."""
    match value:
        case str():
            return f"the text {value!r}" if len(value) < 60 else "a long text"
        case bool():
            return str(value).lower()
        case None:
            return "nothing"
        case int() | float():
            return f"{value:.10g}" if abs(value) >= 1e20 else str(value)
        case Mapping():
            return "keys and values"
        case list():
            return "a list"
        case _:
            return type(value).__name__
