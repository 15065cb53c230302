"""`edensim standards`."""

from __future__ import annotations

import typer

from edensim.dram.standard_file import find_standard, read_standard_file, standard_names


def standards() -> None:
    """List DRAM standards, their organizations and speed bins; * marks each default."""
    for name in standard_names():
        file = read_standard_file(find_standard(name))
        typer.echo(f"{name}  ({file.path})")
        for title, names, default in (
            ("organizations:", file.organizations, file.content.default_organization),
            ("speed bins:", file.speed_bins, file.content.default_speed_bin),
        ):
            listed = ", ".join(f"{name}*" if name == default else name for name in names)
            typer.echo(f"  {title:<15}{listed}")
