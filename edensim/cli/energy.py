"""`edensim energy`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from edensim.cli.inputs import stated_channels
from edensim.cli.options import CommandsArgument, ConfigOption, JsonOption, Overrides
from edensim.cli.outputs import check_outputs, is_stdout, write_json

#: Keys of a result that a command trace can answer: it knows no requests, row hits or latencies.
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
        "memory",
        "notes",
        "version",
    }
)


#: What the energy of a command trace cannot hold.
ALWAYS_AWAKE: Final = (
    "a command trace does not show power-down and self-refresh: ranks count as awake, and a run "
    "that used them took less energy"
)


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
    """Compute the energy of a DRAM command trace of any simulator."""
    import msgspec

    from edensim.config.loading import load_config, resolved
    from edensim.dram.memory_system import MemorySystem
    from edensim.energy.partitions import energies_of_commands
    from edensim.results.assembly import result_of_counts
    from edensim.tracefiles.commands import read_commands_csv, with_bank_groups

    loaded = load_config(config, overrides or [])
    check_outputs(json_path, inputs=[commands])
    with loaded.locating():
        records = read_commands_csv(commands)
        channels = stated_channels(loaded) or int(records["channel"].max(initial=0)) + 1
        dram = msgspec.structs.replace(loaded.config.dram, channels=channels)
        memory = MemorySystem.resolve(dram)
        organization = memory.standard.organization
        records = with_bank_groups(records, organization.bankgroups, organization.banks)
        counts, energies = energies_of_commands(
            records, memory, loaded.config.energy, end_clock=end_clock
        )
        result = result_of_counts(counts, energies, memory, resolved(loaded.config))
        result.notes.append(ALWAYS_AWAKE)
    if json_path is not None:
        write_json(
            json_path, {key: value for key, value in result.to_dict().items() if key in ENERGY_KEYS}
        )
    if not is_stdout(json_path):
        typer.echo(result.summary())
