"""`edensim check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from edensim.cli.inputs import stated_channels
from edensim.cli.options import CommandsArgument, ConfigOption, Overrides
from edensim.exceptions import ProtocolError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check(
    commands: CommandsArgument, overrides: Overrides = None, config: ConfigOption = None
) -> None:
    """Replay a DRAM command trace against the standard.

    Exit code 1 and a message name the first violation.
    """
    import msgspec

    from edensim.config.loading import load_config
    from edensim.dram.legality import check_configured
    from edensim.dram.operating_point import resolve_operating_plan
    from edensim.tracefiles.commands import stream_commands_csv, with_bank_groups

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        whole = msgspec.structs.replace(loaded.config.dram, partitions=(), changes=())
        organization = resolve_operating_plan(whole)[0].organization
        count = 0

        def pieces() -> Iterator[NDArray[Any]]:
            nonlocal count
            for piece in stream_commands_csv(commands):
                count += len(piece)
                yield with_bank_groups(piece, organization.bankgroups, organization.banks)

        standard, violation = check_configured(
            pieces(), loaded.config.dram, channels=stated_channels(loaded)
        )
    name = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
    if violation is not None:
        raise ProtocolError(f"{commands}: {violation} ({name})")
    typer.echo(f"{commands}: {count:,} commands, all legal for {name}")
