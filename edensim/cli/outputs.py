"""Where results go, and what is said when a command cannot go on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edensim.cli.options import INTERRUPTED
from edensim.exceptions import InputError

if TYPE_CHECKING:
    from edensim.cli.progress import Progress


def complain(message: str, code: int) -> int:
    """Say what was wrong; returns the exit code."""
    typer.echo(f"edensim: {message}", err=True)
    return code


@contextmanager
def interruptible(
    progress: Progress, outcome: str = "no output file was written"
) -> Iterator[None]:
    """Say how far a run had come when the user ends it."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted after {progress}; {outcome}", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None


def is_stdout(path: Path | None) -> bool:
    """Whether a path stands for standard output."""
    return path is not None and str(path) == "-"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a result to a file, whole or not at all, or to standard output."""
    import json

    from edensim.files import save_text

    text = json.dumps(values, indent=1, allow_nan=False)
    if is_stdout(path):
        typer.echo(text)
    else:
        save_text(path, text + "\n")


def check_outputs(*outputs: Path | None, inputs: Sequence[Path] = ()) -> None:
    """Refuse outputs that cannot be written, before a long run finds out. Raises InputError."""
    taken = {os.path.realpath(path): "an input" for path in inputs}
    for path in outputs:
        if path is None or is_stdout(path):
            continue
        target = Path(os.path.realpath(path))
        if str(target) in taken:
            raise InputError(
                f"{path}: is also {taken[str(target)]}; expected another file to write to"
            )
        taken[str(target)] = "another output"
        if target.is_dir():
            raise InputError(f"{path}: is a folder; expected a file to write to")
        if path.exists() and not path.is_file():  # a pipe or a device
            continue
        if not target.parent.is_dir():
            raise InputError(f"{path}: folder {str(path.parent)!r} does not exist")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: no permission")
