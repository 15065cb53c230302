"""The paper's results, beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET...", help="Names or numbers (1 to 12); all is every one."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the report and its parts."),
    ] = Path("reproduction"),
    full: Annotated[
        bool, typer.Option("--full", help="Also the long runs, with the data of --datasets.")
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
            help="Processes; the report is the same with any. Default: one a core.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")] = False,
) -> None:
    """Run the EDEN paper's results again and set them beside the published ones: report.html, .md and .json. Goes on where it was interrupted."""
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
            figures = f"published {with_unit(row.published, row)}, ours {with_unit(row.ours, row, 'none')} {difference(row)}"
            typer.echo(f"{section.number:>2} {row.what}: {figures}".rstrip())
        typer.echo(
            f"{output / 'report.html'}: {sum(len(section.rows) for section in result.sections)} rows, {result.cpu_s:,.0f} CPU s"
        )
