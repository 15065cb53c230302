"""The command line. Each command loads what it needs when it runs: start-up is part of every run.

Exit codes: 0 done; 1 the run failed, or `check` found a violation; 2 input or usage that cannot be accepted; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from edensim import __version__
from edensim.exceptions import EdensimError, InputError

app = typer.Typer(name="edensim", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

#: Exit codes that shells give to processes ended by SIGINT and SIGPIPE.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a configuration key (dram.channels=2). Repeatable.")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the result as JSON; - is standard output.")]
CommandsArgument = Annotated[Path, typer.Argument(metavar="COMMANDS.csv", help="clock,command,channel,rank,bankgroup,bank,row,column")]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="RUN.yaml", help="Take the configuration from a run file.")]


def run_command_line(arguments: list[str]) -> int:
    """Run one command; every exception becomes a line on standard error and an exit code."""
    try:
        code = app(arguments, prog_name="edensim", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except EdensimError as exception:
        return complain(str(exception), exception.exit_code)
    except typer.TyperException as exception:
        return complain(f"{exception.format_message()}\nTry 'edensim --help'.", InputError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more on its way out
        return PIPE_CLOSED
    except MemoryError:
        return complain("out of memory", EdensimError.exit_code)
    except OSError as exception:
        return complain(f"{exception.filename or 'standard output'}: {exception.strerror}", EdensimError.exit_code)


def complain(message: str, code: int) -> int:
    """Say what was wrong; returns the exit code."""
    typer.echo(f"edensim: {message}", err=True)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edensim {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def edensim(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)] = False,
) -> None:
    """Simulate the memory system of DNN inference on approximate DRAM, cycle by cycle."""


@app.command()
def simulate(
    target: Annotated[Path, typer.Argument(metavar="TRACE|RUN.yaml", help="A memory trace (any known format, plain, .gz, .xz or .zst) or a run file.")],
    overrides: Overrides = None,
    json_path: JsonOption = None,
    commands: Annotated[Path | None, typer.Option(metavar="OUT.csv", help="Write every DRAM command issued.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")] = False,
) -> None:
    """Simulate a memory trace: cycles, row hits, read latency, bandwidth and energy."""
    from edensim.config import load_config
    from edensim.progress import Progress

    is_run = target.suffix.lower() in (".yaml", ".yml")
    named = [] if is_run else [f"trace={target}"]
    loaded = load_config(target if is_run else None, [*named, *(overrides or [])])
    if loaded.config.trace is None:
        raise InputError(f"{target}: trace: names no trace; add `trace: FILE` or --set trace=FILE")
    check_outputs(json_path, commands, inputs=(target, Path(loaded.config.trace)))
    from edensim.system import run

    with loaded.locating(), Progress(quiet) as progress, interruptible(progress):
        result = run(loaded.config, commands_path=commands, progress=progress)
    if json_path is not None:
        save(json_path, result)
    if not quiet and not is_stdout(json_path):
        typer.echo(result.summary())


@app.command()
def energy(
    commands: CommandsArgument,
    overrides: Overrides = None,
    config: ConfigOption = None,
    end_clock: Annotated[int | None, typer.Option(metavar="N", help="Clock at which the run ends (default: the last command's).")] = None,
    json_path: JsonOption = None,
) -> None:
    """Energy of a DRAM command trace, of any simulator."""


@app.command()
def check(commands: CommandsArgument, overrides: Overrides = None, config: ConfigOption = None) -> None:
    """Replay a DRAM command trace against the standard; exit code 1 names the first violation."""


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    to: Annotated[str | None, typer.Option(metavar="FORMAT", help="Format of OUT (default: by its name).")] = None,
    format_name: Annotated[str | None, typer.Option("--format", metavar="FORMAT", help="Format of IN (default: by its content).")] = None,
    lossy: Annotated[bool, typer.Option("--lossy", help="Accept that OUT cannot hold everything that IN does.")] = False,
) -> None:
    """Convert a memory trace from one format to another."""


@app.command()
def explain(
    run_file: Annotated[Path | None, typer.Argument(metavar="[RUN.yaml]", help="A run file (default: the defaults).")] = None,
    overrides: Overrides = None,
) -> None:
    """Show every resolved value and where it came from."""
    from edensim.config import load_config
    from edensim.explain import explanation

    loaded = load_config(run_file, overrides or [])
    with loaded.locating():
        typer.echo(explanation(loaded))


@app.command()
def standards() -> None:
    """List DRAM standards, their organizations and speed bins."""
    from edensim.explain import standards_overview

    typer.echo(standards_overview())


@contextmanager
def interruptible(progress: Any) -> Iterator[None]:
    """Say how far a run had come when the user ends it."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted after {progress}; no output file was written", INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None


def is_stdout(path: Path | None) -> bool:
    """Whether a path stands for standard output."""
    return path is not None and str(path) == "-"


def save(path: Path, result: Any) -> None:
    """Write a result (anything with `to_dict` and `save`) to a file or standard output."""
    if is_stdout(path):
        import json

        typer.echo(json.dumps(result.to_dict(), indent=1))
    else:
        result.save(path)


def check_outputs(*outputs: Path | None, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse outputs that cannot be written, before a long run finds out. Raises InputError."""
    taken = {os.path.realpath(path): "an input" for path in inputs}
    for path in outputs:
        if path is None or is_stdout(path):
            continue
        target = Path(os.path.realpath(path))
        if str(target) in taken:
            raise InputError(f"{path}: is also {taken[str(target)]}; expected another file to write to")
        taken[str(target)] = "another output"
        if target.is_dir():
            raise InputError(f"{path}: is a folder; expected a file to write to")
        if not target.parent.is_dir():
            raise InputError(f"{path}: folder {str(path.parent)!r} does not exist")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: no permission")
