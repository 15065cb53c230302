"""The base of the options classes: what a public function can be asked for, beside its inputs.

An options class is the only place that states an option's name, type, range, default and meaning.
Functions take an instance (or its fields as keyword arguments), and the command line derives its
options from the class (``edensim.cli.options``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from edensim.exceptions import InputError, nearest

if TYPE_CHECKING:
    from typing_extensions import Self

#: Numbers with the ranges that options have in common.
Count = Annotated[int, Meta(ge=1)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
BitErrorRate = Annotated[float, Meta(gt=0, le=1)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Validated options of a function and of its command.

    Each field's ``Meta`` has a ``description``, which is the help text of the command-line option.
    Its ``extra`` may set the option's ``metavar`` and its ``option`` name, where None keeps the
    field off the command line.

    Raises
    ------
    InputError
        If a value does not have the type or the range of its field.
    """

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            value = _checked(field.name, getattr(self, field.name), field.type)
            msgspec.structs.force_setattr(self, field.name, value)

    @classmethod
    def gather(cls, options: Self | None, arguments: Mapping[str, Any]) -> tuple[Self, Any]:
        """Combine an options object with keyword arguments, which take precedence.

        Returns the options, and those of the arguments that are sections of the configuration
        (``dram={"vdd_V": 1.1}``). Raises InputError for a name that is neither.
        """
        from edensim.config.models import RunConfig

        fields = cls.__struct_fields__
        given = {name: value for name, value in arguments.items() if name in fields}
        sections = {name: value for name, value in arguments.items() if name not in fields}
        for name in sections:
            if name not in RunConfig.__struct_fields__ and "." not in name:
                raise InputError(f"{name}: unknown option{nearest(name, fields)}")
        if options is not None:
            return msgspec.structs.replace(options, **given), sections
        for field in msgspec.structs.fields(cls):
            if field.required and field.name not in given:
                raise InputError(f"{field.name}: missing; this option has no default")
        return cls(**given), sections


def _checked(name: str, value: Any, kind: Any) -> Any:
    """Return a field's value with its exact type: a path for text, a tuple for a list."""
    if hasattr(value, "item") and kind is not Any:
        value = value.item()  # a number of numpy's or torch's
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    try:
        return msgspec.convert(value, kind, dec_hook=lambda wanted, given: wanted(given))
    except (msgspec.ValidationError, TypeError, OverflowError):
        from edensim.config.validation import mismatch

        raise InputError(f"{name}: {mismatch(value, kind)}") from None
