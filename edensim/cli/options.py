"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

#: Exit code that shells give to a process ended by SIGINT.
INTERRUPTED: Final = 130

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

CommandsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="COMMANDS.csv", help="clock,command,channel,rank,bankgroup,bank,row,column"
    ),
]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="RUN.yaml", help="Take the configuration from a run file."),
]

DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda",
        help="What computes (auto: a GPU where torch finds one); bits are flipped on the host, the same ones.",
    ),
]
