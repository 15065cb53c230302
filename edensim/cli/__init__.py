"""The command line. Each command loads what it needs when it runs: start-up is part of every run.

A command is the function of its own name in the module of its own name. Exit codes: 0 if it is
done; 1 if the run failed, or if `check` found a violation; 2 if input or usage cannot be accepted;
130 if it was interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from edensim._version import __version__
from edensim.cli.outputs import INTERRUPTED, complain
from edensim.exceptions import EdensimError, InputError

#: Commands in the order of --help, with what the list of commands says of each. Whoever asks for
#: one command's help sees the docstring of its function.
COMMANDS: Final = {
    "simulate": "Simulate a memory trace, or a network on a machine.",
    "sweep": "Simulate many points: every combination of some keys' values.",
    "energy": "Compute the energy of a DRAM command trace of any simulator.",
    "check": "Check a DRAM command trace against its standard.",
    "plot": "Draw saved results, or a window of a command trace.",
    "timeline": "Write a command trace as a timeline for Perfetto.",
    "convert": "Convert a memory trace to another format.",
    "explain": "Show every resolved value of a configuration and its origin.",
    "inject": "Flip the bits of an array that fail in approximate DRAM.",
    "fit": "Fit a DRAM module to measured error rates or bit errors.",
    "profile": "Run a SoftMC-style test program on a virtual DRAM module.",
    "ber": "Predict the bit error rate of a module at an operating point.",
    "evaluate": "Measure the accuracy of a network in approximate DRAM.",
    "train": "Train a network without errors.",
    "boost": "Retrain a network with bit errors, so that it tolerates them.",
    "tolerance": "Find the highest bit error rate that a network tolerates.",
    "map": "Choose operating points for a network's data.",
    "eden": "Boost a network, characterize it, map it to DRAM, and run it.",
    "reproduce": "Compare the EDEN paper's results with ours.",
    "networks": "List networks, their layers and sizes.",
    "standards": "List DRAM standards, their organizations and speed bins.",
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
        # The interpreter flushes standard output once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EdensimError.exit_code
    except MemoryError:
        return complain("out of memory", EdensimError.exit_code)
    except OSError as exception:
        return complain(
            f"{exception.filename or 'standard output'}: {exception.strerror}",
            EdensimError.exit_code,
        )


def app_for(arguments: list[str]) -> typer.Typer:
    """Make the application with the one command that the first word names.

    If the first word is no command, the application only lists the commands: to load them all, and
    to let typer look at every signature, would take longer than most runs.
    """
    app = typer.Typer(
        name="edensim", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.callback(no_args_is_help=True)(edensim)
    if arguments and arguments[0] in COMMANDS:
        app.command()(command(arguments[0]))
    else:
        for name, summary in COMMANDS.items():
            app.command(name, help=summary)(lambda: None)
    return app


def command(name: str) -> Callable[..., Any]:
    """Load the function of a command."""
    function: Callable[..., Any] = getattr(import_module(f"edensim.cli.{name}"), name)
    return function


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"edensim {__version__}")
        raise typer.Exit


def edensim(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Simulate the memory system of DNN inference on approximate DRAM, cycle by cycle."""
