"""`edensim simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import JsonOption, Overrides, Quiet
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, report
from edensim.exceptions import InputError


def simulate(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TRACE|RUN.yaml]",
            help="A memory trace (any known format, plain, .gz, .xz or .zst) or a run file.",
        ),
    ] = None,
    overrides: Overrides = None,
    json_path: JsonOption = None,
    commands: Annotated[
        Path | None,
        typer.Option(metavar="OUT.csv", help="Write every DRAM command that is issued."),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also print a table of the network's layers.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="compiled|reference",
            help="What simulates: reference is slow, in Python, and gives the same results.",
        ),
    ] = "compiled",
    quiet: Quiet = False,
) -> None:
    """Simulate a memory trace, or a network on a machine.

    The result has cycles, row hits, read latency, bandwidth and energy.
    """
    from edensim.cli.progress import Progress
    from edensim.config.loading import load_config

    is_run_file = target is not None and target.suffix.lower() in (".yaml", ".yml")
    trace = [] if is_run_file or target is None else [f"trace={target}"]
    loaded = load_config(target if is_run_file else None, [*trace, *(overrides or [])])
    config = loaded.config
    if config.trace is None and config.network is None and config.frontend is None:
        raise InputError(
            f"{target or 'simulate'}: names no trace and no network; expected `trace: FILE`, or "
            "`frontend: MACHINE` and `network: NAME` (or --set)\nTry 'edensim simulate --help'."
        )
    inputs = [Path(name) for name in (target, config.trace, config.network) if name is not None]
    check_outputs(json_path, commands, inputs=inputs)
    from edensim.simulation import EngineChoice, run

    choice = EngineChoice(engine)

    with loaded.locating(), Progress(quiet) as progress, interruptible(progress):
        result = run(config, commands=commands, progress=progress, engine=choice)
    report(result, result.summary(), json_path, quiet)
    if layers and result.layers and not quiet and not is_stdout(json_path):
        from edensim.results.summary import layer_table

        typer.echo("\n" + "\n".join(layer_table(result.layers)))
