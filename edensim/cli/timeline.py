"""`edensim timeline`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.inputs import stated_standard
from edensim.cli.options import CommandsArgument, ConfigOption, Overrides
from edensim.cli.outputs import check_outputs


def timeline(
    commands: CommandsArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT.json", help="File to write: .json or .json.gz."
        ),
    ],
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Write a command trace as a timeline with a track per bank.

    Perfetto (ui.perfetto.dev) and chrome://tracing show it.
    """
    from edensim.tracefiles.timeline import write_timeline

    check_outputs(output, inputs=(commands,))
    standard = stated_standard(config, overrides)
    count = write_timeline(commands, output, standard)
    name = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
    typer.echo(f"{output}: {count:,} commands, {name}")
