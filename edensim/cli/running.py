"""Runs, and what is made of their commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from edensim.cli.options import CommandsArgument, ConfigOption, JsonOption, Overrides
from edensim.cli.outputs import check_outputs, interruptible, is_stdout, write_json
from edensim.exceptions import InputError, ProtocolError

if TYPE_CHECKING:
    from edensim.config.loading import LoadedConfig


#: What a command trace tells: nothing about requests, row hits and latencies.
ENERGY_KEYS: Final = frozenset(
    {
        "format",
        "cycles",
        "time_ns",
        "commands",
        "energy_pJ",
        "energy_by_partition_pJ",
        "average_power_mW",
        "voltage_law",
        "config",
        "version",
    }
)


def simulate(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TRACE|RUN.yaml]",
            help="A memory trace (any known format, plain, .gz, .xz or .zst) or a run file.",
        ),
    ] = None,
    overrides: Overrides = None,
    json_path: JsonOption = None,
    commands: Annotated[
        Path | None, typer.Option(metavar="OUT.csv", help="Write every DRAM command issued.")
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also a table of the network's layers.")
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            metavar="compiled|reference",
            help="What simulates: reference is slow, in Python, and gives the same results.",
        ),
    ] = "compiled",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Simulate a memory trace, or a network on a machine: cycles, row hits, read latency, bandwidth and energy."""
    from edensim.cli.progress import Progress
    from edensim.config.loading import load_config

    is_run = target is not None and target.suffix.lower() in (".yaml", ".yml")
    named = [] if is_run or target is None else [f"trace={target}"]
    loaded = load_config(target if is_run else None, [*named, *(overrides or [])])
    config = loaded.config
    if config.trace is None and config.network is None and config.frontend is None:
        expected = "expected `trace: FILE`, or `frontend: MACHINE` and `network: NAME` (or --set)"
        raise InputError(
            f"{target or 'simulate'}: names no trace and no network; {expected}\nTry 'edensim simulate --help'."
        )
    check_outputs(
        json_path,
        commands,
        inputs=[Path(name) for name in (target, config.trace, config.network) if name is not None],
    )
    from edensim.simulation import EngineChoice, run

    choice = EngineChoice(engine)
    with loaded.locating(), Progress(quiet) as progress, interruptible(progress):
        result = run(loaded.config, commands=commands, progress=progress, engine=choice)
    if json_path is not None:
        write_json(json_path, result.to_dict())
    if not quiet and not is_stdout(json_path):
        typer.echo(result.summary())
        if layers and result.layers:
            from edensim.results.summary import layer_table

            typer.echo("\n" + "\n".join(layer_table(result.layers)))


def sweep(
    target: Annotated[
        Path, typer.Argument(metavar="RUN.yaml|TRACE", help="A run file, or a memory trace.")
    ],
    over: Annotated[
        list[str],
        typer.Option(
            "--over",
            metavar="KEY=V1,V2,...",
            help="Values of a key, or KEY=START:STOP:STEP. Several: every combination.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of the results; the same command again goes on where it ended.",
        ),
    ],
    overrides: Overrides = None,
    paired: Annotated[
        bool,
        typer.Option(
            "--paired",
            help="Several --over are lists of equal length: first with first, second with second.",
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes (default: one per processor).")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Dask cluster (tcp://host:8786) instead."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")
    ] = False,
) -> None:
    """Simulate many points: every combination of the values given. Points that share their commands share one simulation."""
    from edensim.cli.progress import Progress
    from edensim.sweep.grid import parse_over
    from edensim.sweep.sweep import sweep as run_sweep

    grid = parse_over(over)
    kept = f"finished points are kept in {out}, the same command goes on from there"
    with Progress(quiet, "points") as progress, interruptible(progress, kept):
        result = run_sweep(
            target,
            grid,
            out=out,
            overrides=overrides or [],
            paired=paired,
            workers=workers,
            scheduler=scheduler,
            progress=progress,
        )
    if not quiet:
        ran = (
            f"{result.simulated:,} run now, in {result.simulations:,} simulations"
            if result.simulated
            else "all finished before"
        )
        typer.echo(f"{out}: {len(result):,} points, {ran}; results.csv, results.parquet")


def energy(
    commands: CommandsArgument,
    overrides: Overrides = None,
    config: ConfigOption = None,
    end_clock: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Clock at which the run ends (default: the last command's)."
        ),
    ] = None,
    json_path: JsonOption = None,
) -> None:
    """Energy of a DRAM command trace, of any simulator."""
    from edensim.config.loading import load_config, resolved

    loaded = load_config(config, overrides or [])
    check_outputs(json_path, inputs=(commands,))
    import msgspec

    from edensim.dram.memory_system import MemorySystem
    from edensim.energy.partitions import energies_of_commands
    from edensim.results.assembly import result_of_counts
    from edensim.tracefiles.commands import read_commands_csv

    with loaded.locating():
        records = read_commands_csv(commands)
        channels = stated_channels(loaded) or int(records["channel"].max(initial=0)) + 1
        memory = MemorySystem.resolve(
            msgspec.structs.replace(loaded.config.dram, channels=channels)
        )
        counts, energies = energies_of_commands(
            records, memory, loaded.config.energy, end_clock=end_clock
        )
        result = result_of_counts(counts, energies, memory, resolved(loaded.config))
    if json_path is not None:
        write_json(
            json_path, {key: value for key, value in result.to_dict().items() if key in ENERGY_KEYS}
        )
    if not is_stdout(json_path):
        typer.echo(result.summary())


def check(
    commands: CommandsArgument, overrides: Overrides = None, config: ConfigOption = None
) -> None:
    """Replay a DRAM command trace against the standard; exit code 1 names the first violation."""
    from edensim.config.loading import load_config
    from edensim.dram.legality import check_configured
    from edensim.tracefiles.commands import read_commands_csv

    loaded = load_config(config, overrides or [])
    with loaded.locating():
        records = read_commands_csv(commands)
        standard, violation = check_configured(
            records, loaded.config.dram, channels=stated_channels(loaded)
        )
    name = f"{standard.name} {standard.organization.name} {standard.speed_bin}"
    if violation is not None:
        raise ProtocolError(f"{commands}: {violation} ({name})")
    typer.echo(f"{commands}: {len(records):,} commands, all legal for {name}")


def stated_channels(loaded: LoadedConfig) -> int | None:
    """Number of channels where the configuration states it; else the command trace tells."""
    from edensim.config.loading import DEFAULT

    return None if loaded.origins["dram.channels"] == DEFAULT else loaded.config.dram.channels
