"""Options of the command line: those of several commands, and those of options classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    import msgspec

    from edensim.config.options import Options

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set a configuration key (dram.channels=2). Repeatable."
    ),
]

JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT", help="Write the result as JSON; - is standard output."),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="RUN.yaml", help="Take the configuration from a run file."),
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no summary and no progress bar.")]

CommandsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="COMMANDS.csv", help="clock,command,channel,rank,bankgroup,bank,row,column"
    ),
]

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="A network such as lenet, resnet20 or mobilenetv2; an unknown name lists all.",
    ),
]


def with_options(
    options: type[Options], required: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one option for each field of an options class.

    The command takes the validated object as its parameter `options`. The fields in `required`
    have no default on the command line, although they have one in the class.
    """
    import msgspec  # here: commands without options classes start without it

    from edensim.config.options import Options

    def sharing(field: msgspec.structs.FieldInfo) -> int:
        """Count the base classes that have a field: the class's own fields come first."""
        kinds = [kind for kind in options.__mro__ if issubclass(kind, Options)]
        return sum(field.name in kind.__struct_fields__ for kind in kinds)

    parameters = [
        _parameter(field, field.required or field.name in required)
        for field in sorted(msgspec.structs.fields(options), key=sharing)
    ]
    derived = {parameter.name: parameter for parameter in parameters if parameter is not None}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        signature: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            own = parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            signature += [own] if name != "options" else derived.values()

        def run(**values: Any) -> None:
            given = {name: values.pop(name) for name in derived}
            given = {name: value for name, value in given.items() if value is not None}
            command(options=options(**given), **values)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        return run

    return decorate


def _parameter(field: msgspec.structs.FieldInfo, required: bool) -> inspect.Parameter | None:
    """Make the parameter that typer turns into the option of a field; None if it has no option."""
    from msgspec import inspect as kinds

    info = kinds.type_info(field.type)
    assert isinstance(info, kinds.Metadata), f"{field.name}: has no description"
    extra = {"option": f"--{field.name.replace('_', '-')}", **(info.extra or {})}
    if extra["option"] is None:
        return None
    annotation = get_args(field.type)[0]
    type_ = info.type.types[0] if isinstance(info.type, kinds.UnionType) else info.type
    kind, metavar = {
        kinds.BoolType: (bool, None),
        kinds.IntType: (int, "N"),
        kinds.FloatType: (float, "X"),
        kinds.CustomType: (Path, "FILE"),
        kinds.VarTupleType: (list[str], None),
    }.get(type(type_), (str, "TEXT"))
    if isinstance(type_, kinds.LiteralType):  # its values are sorted; help keeps their order
        choices = [choice for choice in (annotation, *get_args(annotation)) if get_args(choice)]
        metavar = "|".join(get_args(choices[-1]))
    option = typer.Option(
        *([extra["option"]] if isinstance(extra["option"], str) else extra["option"]),
        metavar=extra.get("metavar", metavar),
        help=(info.extra_json_schema or {})["description"],
        min=getattr(type_, "ge", None),
    )
    default = None if field.default == () else field.default
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind if required else kind | None, option],
        default=inspect.Parameter.empty if required else default,
    )
