"""`edensim reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edensim.cli.options import Quiet


def reproduce(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET...", help="Names or numbers (1 to 12) of targets, or all."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the report and its parts."),
    ] = Path("reproduction"),
    full: Annotated[
        bool, typer.Option("--full", help="Include the long runs, with the data of --datasets.")
    ] = False,
    datasets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with cifar10-jpeg.tar.gz and resnet20-12fca82f.th (for --full).",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Processes (default: one per core); the report does not depend on it.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare the EDEN paper's results with ours, in report.html, report.md and report.json.

    The same command continues an interrupted run.
    """
    from edensim.cli.progress import Progress
    from edensim.reproduction.report import difference, with_unit
    from edensim.reproduction.reproduce import reproduce as run

    with Progress(quiet, "tasks") as progress:
        try:
            result = run(
                targets or ["all"],
                output,
                full=full,
                datasets=datasets,
                workers=workers,
                progress=progress,
            )
        except KeyboardInterrupt:
            typer.echo(f"interrupted after {progress}; run again to go on", err=True)
            raise
    if not quiet:
        for section, row in result.key_rows:
            published, ours = with_unit(row.published, row), with_unit(row.ours, row, "none")
            figures = f"published {published}, ours {ours} {difference(row)}"
            typer.echo(f"{section.number:>2} {row.what}: {figures}".rstrip())
        rows = sum(len(section.rows) for section in result.sections)
        typer.echo(f"{output / 'report.html'}: {rows} rows, {result.cpu_s:,.0f} CPU s")
