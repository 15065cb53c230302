"""`edensim profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec import Meta

from edensim.bit_errors.testbench.profile import ProfileOptions
from edensim.cli.options import ConfigOption, JsonOption, Overrides, Quiet, with_options
from edensim.cli.outputs import check_outputs, interruptible, report
from edensim.exceptions import InputError


class CommandOptions(ProfileOptions, frozen=True, kw_only=True):
    """Options of `edensim profile`: those of the function, and two of the command's own."""

    rows: Annotated[
        str | None,
        Meta(
            description="Also write a table of how often each row had a wrong bit.",
            extra={"metavar": "ROWS.csv"},
        ),
    ] = None
    show: Annotated[bool, Meta(description="Print the standard test program and exit.")] = False


@with_options(CommandOptions)
def profile(
    module: Annotated[
        str | None,
        typer.Argument(
            metavar="MODULE.yaml",
            help="Module file, or name of one in configs/modules, that the data are drawn from.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DATA", help="Rates (.csv), or one map of bit errors (.npz)."
        ),
    ] = None,
    *,
    options: CommandOptions,
    overrides: Overrides = None,
    config: ConfigOption = None,
    json_path: JsonOption = None,
    quiet: Quiet = False,
) -> None:
    """Run a SoftMC-style test program on a virtual DRAM module.

    The data are those that a board would give, for `edensim fit`.
    """
    from edensim.bit_errors.testbench.profile import profile as run_test
    from edensim.bit_errors.testbench.program import STANDARD_TEST
    from edensim.cli.progress import Progress

    if options.show:
        typer.echo(STANDARD_TEST, nl=False)
        return
    if module is None or output is None:
        raise InputError("profile: expected MODULE.yaml and -o DATA.csv|DATA.npz (or --show)")
    by_cell = _is_map(output, options.modules)
    rows = None if options.rows is None else Path(options.rows)
    check_outputs(output, rows, json_path, inputs=_inputs(module, options.program))
    own = {name: getattr(options, name) for name in ProfileOptions.__struct_fields__}
    with Progress(quiet, "operations") as progress, interruptible(progress):
        measured = run_test(
            module,
            options=ProfileOptions(**{**own, "by_cell": by_cell}),
            config=config,
            overrides=overrides or [],
            progress=progress,
        )
    (measured.save_map if by_cell else measured.save_table)(output)
    if rows is not None:
        measured.save_rows(rows)
    report(measured, f"{output}: {measured.summary()}", json_path, quiet)


def _is_map(output: Path, modules: int | None) -> bool:
    """Whether a map of bit errors is asked for, by the name of the output."""
    suffix = output.suffix.lower()
    if suffix not in (".csv", ".npz"):
        raise InputError(
            f"{output}: expected a name that ends in .csv (rates) or .npz (a map of bit errors)"
        )
    if suffix == ".npz" and modules is not None:
        raise InputError(
            f"--modules {modules}: a map of bit errors is of one module; expected -o DATA.csv"
        )
    return suffix == ".npz"


def _inputs(module: str, program: str | None) -> list[Path]:
    """Return the files that no output may overwrite."""
    return [Path(module), *([] if program is None else [Path(program)])]
