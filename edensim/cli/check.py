"""`edensim check`."""

from __future__ import annotations

import typer

from edensim.cli.inputs import stated_channels
from edensim.cli.options import CommandsArgument, ConfigOption, Overrides
from edensim.exceptions import ProtocolError


def check(
    commands: CommandsArgument, overrides: Overrides = None, config: ConfigOption = None
) -> None:
    """Replay a DRAM command trace against the standard.

    Exit code 1 and a message name the first violation.
    """
    from edensim.config.loading import load_config
    from edensim.dram.legality import check_configured
    from edensim.tracefiles.commands import read_commands_csv

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        records = read_commands_csv(commands)
        standard, violation = check_configured(
            records, loaded.config.dram, channels=stated_channels(loaded)
        )
    name = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
    if violation is not None:
        raise ProtocolError(f"{commands}: {violation} ({name})")
    typer.echo(f"{commands}: {len(records):,} commands, all legal for {name}")
