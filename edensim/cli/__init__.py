"""The command line. Each command loads what it needs when it runs: start-up is part of every run.

Exit codes: 0 done; 1 the run failed, or `check` found a violation; 2 input or usage that cannot be accepted; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Final

import typer

from edensim._version import __version__
from edensim.cli.options import INTERRUPTED
from edensim.cli.outputs import complain
from edensim.exceptions import EdensimError, InputError

#: Commands in the order of --help, and the module of this package that each is a function of.
COMMANDS: Final = {
    "simulate": "running",
    "sweep": "running",
    "energy": "running",
    "check": "running",
    "plot": "pictures",
    "timeline": "pictures",
    "convert": "overviews",
    "explain": "overviews",
    "inject": "bit_errors",
    "fit": "bit_errors",
    "profile": "bit_errors",
    "ber": "bit_errors",
    "evaluate": "learning",
    "train": "learning",
    "boost": "boosting",
    "tolerance": "tolerance",
    "map": "mapping",
    "eden": "eden",
    "reproduce": "reproduction",
    "networks": "overviews",
    "standards": "overviews",
}


def run_command_line(arguments: list[str]) -> int:
    """Run one command; every exception becomes a line on standard error and an exit code."""
    try:
        code = app_for(arguments)(arguments, prog_name="edensim", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except EdensimError as exception:
        return complain(str(exception), exception.exit_code)
    except typer.TyperException as exception:
        return complain(
            f"{exception.format_message()}\nTry 'edensim --help'.", InputError.exit_code
        )
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the interpreter flushes once more on its way out
        return EdensimError.exit_code
    except MemoryError:
        return complain("out of memory", EdensimError.exit_code)
    except OSError as exception:
        return complain(
            f"{exception.filename or 'standard output'}: {exception.strerror}",
            EdensimError.exit_code,
        )


def app_for(arguments: list[str]) -> typer.Typer:
    """The application with the one command that the first word names, if it names one: typer looks at every signature it has (0.03 s a start)."""
    app = typer.Typer(
        name="edensim", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.callback(no_args_is_help=True)(edensim)
    for name in arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS:
        app.command()(getattr(import_module(f"edensim.cli.{COMMANDS[name]}"), name))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edensim {__version__}")
        raise typer.Exit


def edensim(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Simulate the memory system of DNN inference on approximate DRAM, cycle by cycle."""
