"""The command line. Each command loads what it needs when it runs: start-up is part of every run.

Exit codes: 0 done; 1 the run failed, or `check` found a violation; 2 input or usage that cannot be accepted; 130 interrupted.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edensim import __version__
from edensim.exceptions import EdensimError, InputError, ProtocolError

if TYPE_CHECKING:
    from edensim.config import LoadedConfig
    from edensim.dram.standard import Standard
    from edensim.progress import Progress

app = typer.Typer(name="edensim", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

#: Exit code that shells give to a process ended by SIGINT.
INTERRUPTED: Final = 130

#: What a command trace tells: nothing about requests, row hits and latencies.
ENERGY_KEYS: Final = frozenset({"format", "cycles", "time_ns", "commands", "energy_pJ", "average_power_mW", "voltage_law", "config", "version"})

#: Kinds that `plot` draws, here so that --help need not load them.
PLOT_KINDS: Final = "pareto, heatmap, energy, bandwidth-latency, rows, exposure, latency, commands"

Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a configuration key (dram.channels=2). Repeatable.")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the result as JSON; - is standard output.")]
CommandsArgument = Annotated[Path, typer.Argument(metavar="COMMANDS.csv", help="clock,command,channel,rank,bankgroup,bank,row,column")]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="RUN.yaml", help="Take the configuration from a run file.")]


def run_command_line(arguments: list[str]) -> int:
    """Run one command; every exception becomes a line on standard error and an exit code."""
    try:
        code = app_for(arguments)(arguments, prog_name="edensim", standalone_mode=False)
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
        return EdensimError.exit_code
    except MemoryError:
        return complain("out of memory", EdensimError.exit_code)
    except OSError as exception:
        return complain(f"{exception.filename or 'standard output'}: {exception.strerror}", EdensimError.exit_code)


def app_for(arguments: list[str]) -> typer.Typer:
    """The application with the one command that the first word names, if it names one: typer looks at every signature it has (0.03 s a start)."""
    named = [command for command in app.registered_commands if arguments and command.callback and command.callback.__name__ == arguments[0]]
    if not named:
        return app
    short = copy.copy(app)
    short.registered_commands = named
    return short


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
    target: Annotated[
        Path, typer.Argument(metavar="TRACE|RUN.yaml", help="A memory trace (any known format, plain, .gz, .xz or .zst) or a run file.")
    ],
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
        write_json(json_path, result.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(result.summary())


@app.command()
def sweep(
    target: Annotated[Path, typer.Argument(metavar="RUN.yaml|TRACE", help="A run file, or a memory trace.")],
    over: Annotated[
        list[str], typer.Option("--over", metavar="KEY=V1,V2,...", help="Values of a key, or KEY=START:STOP:STEP. Several: every combination.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the results; the same command again goes on where it ended.")],
    overrides: Overrides = None,
    paired: Annotated[bool, typer.Option("--paired", help="Several --over are lists of equal length: first with first, second with second.")] = False,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Worker processes (default: one per processor).")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Use a Dask cluster (tcp://host:8786) instead.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")] = False,
) -> None:
    """Simulate many points: every combination of the values given. Points that share their commands share one simulation."""
    from edensim.progress import Progress
    from edensim.sweep import sweep as run_sweep
    from edensim.sweep.grid import parse_over

    grid = parse_over(over)
    kept = f"finished points are kept in {out}, the same command goes on from there"
    with Progress(quiet, "points") as progress, interruptible(progress, kept):
        result = run_sweep(target, grid, out=out, overrides=overrides or [], paired=paired, workers=workers, scheduler=scheduler, progress=progress)
    if not quiet:
        ran = f"{result.simulated:,} run now, in {result.simulations:,} simulations" if result.simulated else "all finished before"
        typer.echo(f"{out}: {len(result):,} points, {ran}; results.csv, results.parquet")


@app.command()
def energy(
    commands: CommandsArgument,
    overrides: Overrides = None,
    config: ConfigOption = None,
    end_clock: Annotated[int | None, typer.Option(metavar="N", help="Clock at which the run ends (default: the last command's).")] = None,
    json_path: JsonOption = None,
) -> None:
    """Energy of a DRAM command trace, of any simulator."""
    from edensim.config import load_config, resolved

    loaded = load_config(config, overrides or [])
    check_outputs(json_path, inputs=(commands,))
    from edensim.energy import energies_of_commands, sum_of
    from edensim.results import RunResult
    from edensim.tracefiles.commands import read_commands_csv

    with loaded.locating():
        law = loaded.config.energy.voltage_law
        records = read_commands_csv(commands)
        standard, counts, energies = energies_of_commands(records, loaded.config, end_clock=end_clock, channels=stated_channels(loaded))
        result = RunResult.from_counts(
            counts,
            sum_of(energies),
            energy_by_partition_pJ=energies,
            tck_ps=standard.tck_ps,
            access_bytes=standard.organization.access_bytes,
            peak_bandwidth_GBps=standard.peak_bandwidth_GBps * counts.closings.shape[0],
            voltage_law=law,
            config=resolved(loaded.config),
            version=__version__,
        )
    if json_path is not None:
        write_json(json_path, {key: value for key, value in result.to_dict().items() if key in ENERGY_KEYS})
    if not is_stdout(json_path):
        typer.echo(result.summary())


@app.command()
def check(commands: CommandsArgument, overrides: Overrides = None, config: ConfigOption = None) -> None:
    """Replay a DRAM command trace against the standard; exit code 1 names the first violation."""
    from edensim.config import load_config
    from edensim.dram.operating_point import resolve_standard
    from edensim.reference.checker import check_commands
    from edensim.tracefiles.commands import read_commands_csv

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        standard = resolve_standard(loaded.config.dram)
        records = read_commands_csv(commands)
        violation = check_commands(records, standard, channels=stated_channels(loaded))
    name = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
    if violation is not None:
        raise ProtocolError(f"{commands}: {violation} ({name})")
    typer.echo(f"{commands}: {len(records):,} commands, all legal for {name}")


@app.command()
def plot(
    targets: Annotated[
        list[Path], typer.Argument(metavar="DIR|RESULT.json|COMMANDS.csv...", help="A sweep's folder, results, or for `commands` a command trace.")
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"One of {PLOT_KINDS}.")],
    figure: Annotated[Path, typer.Option("--output", "-o", metavar="FIG", help="Picture to write: .png, .svg or .pdf.")],
    x: Annotated[str | None, typer.Option(metavar="KEY", help="Key along x (pareto, heatmap), or that orders the bars (energy, rows).")] = None,
    y: Annotated[str | None, typer.Option(metavar="KEY", help="Key along y (pareto, heatmap).")] = None,
    value: Annotated[str | None, typer.Option(metavar="KEY", help="Key that is the colour (heatmap), or that tells lines and markers apart.")] = None,
    where: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only the points that have it. Repeatable.")] = None,
    clocks: Annotated[str | None, typer.Option("--clock", metavar="FIRST:LAST", help="For `commands`: the clocks to draw.")] = None,
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Draw saved results, or a window of a command trace. For `commands`, --set dram... adds a time axis in ns."""
    from edensim.plots import check_kind, parse_clocks
    from edensim.plots import plot as draw

    check_kind(kind)
    if kind != "commands" and (overrides or config):
        raise InputError(f"{'--set' if overrides else '--config'}: only for `--kind commands`; results know their configuration")
    check_outputs(figure, inputs=tuple(targets))
    standard = stated_standard(config, overrides) if overrides or config else None
    draw(targets, kind, figure, x=x, y=y, value=value, where=where or (), clocks=parse_clocks(clocks) if clocks else None, standard=standard)
    typer.echo(f"{figure}: {kind}")


@app.command()
def timeline(
    commands: CommandsArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.json", help="File to write: .json or .json.gz.")],
    overrides: Overrides = None,
    config: ConfigOption = None,
) -> None:
    """Write a command trace as a timeline for Perfetto (ui.perfetto.dev) or chrome://tracing: a track per bank."""
    from edensim.timeline import write_timeline

    check_outputs(output, inputs=(commands,))
    standard = stated_standard(config, overrides)
    count = write_timeline(commands, output, standard)
    typer.echo(f"{output}: {count:,} commands, {standard.name} {standard.organization.name} {standard.speed_bin}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    to: Annotated[str | None, typer.Option(metavar="FORMAT", help="Format of OUT (default: by its name).")] = None,
    format_name: Annotated[str | None, typer.Option("--format", metavar="FORMAT", help="Format of IN (default: by its content).")] = None,
    lossy: Annotated[bool, typer.Option("--lossy", help="Accept that OUT cannot hold everything that IN does.")] = False,
    overrides: Overrides = None,
) -> None:
    """Convert a memory trace. The configuration (--set) gives address vectors their addresses, and ticks their clocks."""
    check_outputs(target, inputs=(source,))
    from edensim.progress import Progress
    from edensim.tracefiles import convert as convert_trace

    encode, tck_ps = encoding(overrides) if overrides else (None, None)
    with Progress() as progress, interruptible(progress):
        records = convert_trace(
            source, target, format=format_name, to=to, lossy=lossy, encode=encode, tck_ps=tck_ps, progress=lambda done: progress(done, None)
        )
    typer.echo(f"{target}: {records:,} records")


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


def stated_standard(config: Path | None, overrides: list[str] | None) -> Standard:
    """The standard of a configuration, at its operating point."""
    from edensim.config import load_config
    from edensim.dram.operating_point import resolve_standard

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        return resolve_standard(loaded.config.dram)


def encoding(overrides: list[str]) -> tuple[Callable[..., Any], int]:
    """How a configuration makes addresses of address vectors, and its clock period in ps."""
    from edensim.config import load_config
    from edensim.dram.address import address_map
    from edensim.dram.operating_point import resolve_standard

    loaded = load_config(None, overrides)
    with loaded.locating():
        standard = resolve_standard(loaded.config.dram)
        mapping = address_map(loaded.config.controller.address_mapping, standard.organization, loaded.config.dram.channels)
    return mapping.encode, standard.tck_ps


@contextmanager
def interruptible(progress: Progress, outcome: str = "no output file was written") -> Iterator[None]:
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

    from edensim.results import save_text

    text = json.dumps(values, indent=1, allow_nan=False)
    if is_stdout(path):
        typer.echo(text)
    else:
        save_text(path, text + "\n")


def stated_channels(loaded: LoadedConfig) -> int | None:
    """Number of channels where the configuration states it; else the command trace tells."""
    from edensim.config import DEFAULT

    return None if loaded.origins["dram.channels"] == DEFAULT else loaded.config.dram.channels


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
        if path.exists() and not path.is_file():  # a pipe or a device
            continue
        if not target.parent.is_dir():
            raise InputError(f"{path}: folder {str(path.parent)!r} does not exist")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: no permission")
