"""`edensim profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.bit_errors.testbench.cost import LIMIT_S
from edensim.cli.options import ConfigOption, JsonOption, Overrides, Quiet
from edensim.cli.outputs import check_outputs, interruptible, report
from edensim.exceptions import InputError


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
    program: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Test program (default: the one that --show prints)."),
    ] = None,
    modules: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of modules of the vendor (default: the middle one only).",
            min=1,
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="ROWS.csv", help="Also write a table of how often each row had a wrong bit."
        ),
    ] = None,
    limit_s: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Longest time that the program may be estimated to take, for each module.",
        ),
    ] = LIMIT_S,
    show: Annotated[
        bool, typer.Option("--show", help="Print the standard test program and exit.")
    ] = False,
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

    if show:
        typer.echo(STANDARD_TEST, nl=False)
        return
    if module is None or output is None:
        raise InputError("profile: expected MODULE.yaml and -o DATA.csv|DATA.npz (or --show)")
    if output.suffix.lower() not in (".csv", ".npz"):
        raise InputError(
            f"{output}: expected a name that ends in .csv (rates) or .npz (a map of bit errors)"
        )
    by_cell = output.suffix.lower() == ".npz"
    if by_cell and modules is not None:
        raise InputError(
            f"--modules {modules}: a map of bit errors is of one module; expected -o DATA.csv"
        )
    check_outputs(
        output, rows, json_path, inputs=[Path(module), *([program] if program is not None else [])]
    )
    with Progress(quiet, "operations") as progress, interruptible(progress):
        found = run_test(
            module,
            program=program,
            modules=modules,
            by_cell=by_cell,
            config=config,
            overrides=overrides or [],
            progress=progress,
            limit_s=limit_s,
        )
    (found.save_map if by_cell else found.save_table)(output)
    if rows is not None:
        found.save_rows(rows)
    report(found, f"{output}: {found.summary()}", json_path, quiet)
