"""Where results go, and what a user reads when a command cannot go on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import typer

from edensim.exceptions import InputError

if TYPE_CHECKING:
    from edensim.cli.progress import Progress

#: Exit code that shells give to a process ended by SIGINT.
INTERRUPTED: Final = 130


class Result(Protocol):
    """What a command reports."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""


def report(result: Result, text: str, json_path: Path | None, quiet: bool = False) -> None:
    """Write a result as JSON if a path is given, and print the text that describes it."""
    if json_path is not None:
        write_json(json_path, result.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(text)


def complain(message: str, code: int) -> int:
    """Print what was wrong on standard error, and return the exit code."""
    if code == INTERRUPTED and threading.current_thread() is threading.main_thread():
        # Another Ctrl-C while the interpreter ends would kill it without this exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    typer.echo(f"edensim: {message}", err=True)
    return code


def show_warning(message: Warning | str, *_: object) -> None:
    """Print a warning as people read it, without a line of code."""
    typer.echo(f"edensim: warning: {message}", err=True)


@contextmanager
def interruptible(
    progress: Progress, outcome: str = "no output file was written"
) -> Iterator[None]:
    """Tell how far a run had come if the user ends it."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted after {progress}; {outcome}", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None


def is_stdout(path: Path | None) -> bool:
    """Return whether a path stands for standard output."""
    return path is not None and str(path) == "-"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values to a file, whole or not at all, or to standard output."""
    import json

    from edensim.files import save_text

    text = json.dumps(values, indent=1, allow_nan=False)
    if is_stdout(path):
        typer.echo(text)
    else:
        save_text(path, text + "\n")


def check_outputs(*outputs: Path | None, inputs: Sequence[Path | None] = ()) -> None:
    """Raise InputError for outputs that cannot be written, before a long run finds out."""
    taken = {os.path.realpath(path): "an input" for path in inputs if path is not None}
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
