"""Draw a command trace: banks as lanes along time, a mark per command, a bar per open row."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from edensim.dram.standard import Standard
from edensim.exceptions import InputError
from edensim.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    add_legend,
    clock_scale,
    new_axes,
)
from edensim.vocabulary import RANK_COMMANDS, Command

#: Commands that are shown without a range of clocks, and the most that a picture can hold.
DEFAULT_COMMANDS: Final = 160
MOST_COMMANDS: Final = 3000
MOST_BANKS: Final = 128
#: Most bars with the number of their row.
MOST_NUMBERS: Final = 40

#: Marker and colour of each command. In grey, the shape alone tells the command.
MARKS: Final[dict[Command, tuple[str, str]]] = {
    Command.ACT: ("^", BLUE),
    Command.PREpb: ("v", VERMILLION),
    Command.PREab: ("v", VERMILLION),
    Command.RD: ("o", GREEN),
    Command.WR: ("s", ORANGE),
    Command.RDA: ("P", GREEN),
    Command.WRA: ("X", ORANGE),
    Command.REFab: ("D", PURPLE),
    Command.REFpb: ("D", PURPLE),
}

#: Channel, rank, bank group and bank; -2 for the last two is the lane of a whole rank.
Bank = tuple[int, int, int, int]


@dataclass(frozen=True)
class OpenRow:
    """A row and the clocks at which it was opened and closed."""

    bank: Bank
    row: int
    start: int
    end: int


def parse_clocks(text: str) -> tuple[int, int]:
    """Parse a range of clocks such as `100:400`. Raises InputError."""
    first, _, last = (part.strip() for part in text.partition(":"))
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise InputError(f"--clock {text}: expected FIRST:LAST, two memory clocks in order")
    return int(first), int(last)


def clock_window(clocks: NDArray[np.int64], wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Return the clocks to draw: the wanted ones, or those of the first commands.

    Raises InputError if they hold no command or too many.
    """
    if len(clocks) == 0:
        raise InputError("holds no command")
    first, last = wanted or (int(clocks[0]), int(clocks[min(len(clocks), DEFAULT_COMMANDS) - 1]))
    inside = int(((clocks >= first) & (clocks <= last)).sum())
    if inside == 0:
        raise InputError(
            f"--clock {first}:{last}: no command there; "
            f"the file holds clocks {clocks.min()} to {clocks.max()}"
        )
    if inside > MOST_COMMANDS:
        raise InputError(
            f"--clock {first}:{last}: {inside:,} commands; expected at most {MOST_COMMANDS:,} "
            "in one picture (`edensim timeline` takes all)"
        )
    return first, last


def open_rows(commands: NDArray[Any], until: int) -> list[OpenRow]:
    """Return the rows that commands opened, up to the clock `until`.

    A command with auto-precharge closes its row at its own clock.
    """
    rows: list[OpenRow] = []
    since: dict[Bank, tuple[int, int]] = {}

    def close(bank: Bank, clock: int) -> None:
        if bank in since:
            row, start = since.pop(bank)
            rows.append(OpenRow(bank, row, start, clock))

    changing = commands[~np.isin(commands["command"], (Command.RD, Command.WR))]
    names = ("command", "clock", "channel", "rank", "bankgroup", "bank", "row")
    for command, clock, channel, of_rank, group, number, row in zip(
        *(changing[name].tolist() for name in names), strict=True
    ):
        bank = channel, of_rank, group, number
        if command == Command.ACT:
            close(bank, clock)
            since[bank] = row, clock
        elif command in (Command.PREpb, Command.RDA, Command.WRA, Command.REFpb):
            close(bank, clock)
        elif command in RANK_COMMANDS:
            for other in [open_bank for open_bank in since if open_bank[:2] == bank[:2]]:
                close(other, clock)
    for bank in tuple(since):
        close(bank, until)
    return rows


def draw_commands(
    commands: NDArray[Any],
    clocks: tuple[int, int] | None = None,
    standard: Standard | None = None,
    small_print: str = "",
) -> SubFigure:
    """Draw the commands between two clocks, both included, above a caption.

    The standard gives the time axis in ns and the length of refreshes.
    """
    commands = commands[np.argsort(commands["clock"], kind="stable")]
    first, last = clock_window(commands["clock"], clocks)
    shown = commands[(commands["clock"] >= first) & (commands["clock"] <= last)]
    rows = [
        row for row in open_rows(commands[commands["clock"] <= last], last + 1) if row.end > first
    ]
    banks = sorted(
        {_bank(record) for record in shown if record["command"] not in RANK_COMMANDS}
        | {row.bank for row in rows}
    )
    ranks = sorted({_bank(record)[:2] for record in shown if record["command"] in RANK_COMMANDS})
    lanes: list[Bank] = sorted({*banks, *((channel, rank, -2, -2) for channel, rank in ranks)})
    if len(lanes) > MOST_BANKS:
        raise InputError(
            f"{len(lanes)} banks; expected at most {MOST_BANKS} in one picture: "
            "narrow the range with --clock"
        )
    figure, axes = new_axes(9.6, 1.5 + 0.21 * max(4, len(lanes)), small_print)
    lane_of = {bank: lane for lane, bank in enumerate(lanes)}
    _draw_rows(axes, rows, lane_of, (first, last))
    _draw_marks(axes, shown, lane_of, standard)
    axes.set_yticks(range(len(lanes)), lane_names(lanes))
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=7)
    pad = max(1.0, 0.01 * (last - first))
    axes.set(xlim=(first - pad, last + pad), xlabel="Memory clock (cycles)")
    axes.ticklabel_format(axis="x", style="plain")
    axes.set_title(f"Commands at clocks {first:,} to {last:,}")
    if standard is not None:
        top = axes.secondary_xaxis("top", functions=clock_scale(standard.tck_ps / 1000))
        top.set_xlabel("ns", fontsize=8)
        top.tick_params(labelsize=7)
    add_legend(figure)
    return figure


def lane_names(banks: list[Bank]) -> list[str]:
    """Return names such as `ch 0 rank 1 group 2 bank 3`, without levels that have one member."""
    channels, ranks = {bank[0] for bank in banks}, {bank[1] for bank in banks}
    names = []
    for channel, rank, group, bank in banks:
        words = [f"ch {channel}"] if len(channels) > 1 else []
        words += [f"rank {rank}"] if len(ranks) > 1 or bank == -2 else []
        words += [f"group {group}"] if group >= 0 else []
        words.append("all banks" if bank == -2 else f"bank {bank}")
        names.append(" ".join(words))
    return names


def _bank(record: Any) -> Bank:
    channel, rank, group, bank = (
        int(record[level]) for level in ("channel", "rank", "bankgroup", "bank")
    )
    return channel, rank, group, bank


def _draw_rows(
    axes: Axes, rows: list[OpenRow], lane_of: dict[Bank, int], clocks: tuple[int, int]
) -> None:
    """Draw a bar while a row is open, and its number where there is room."""
    first, last = clocks
    room = (last - first) / 45
    for row in rows:
        start, end = max(row.start, first), min(row.end, last + 1)
        axes.barh(
            lane_of[row.bank],
            end - start,
            0.5,
            start,
            color="#dde8f0",
            edgecolor=GREY,
            linewidth=0.5,
            zorder=1,
        )
        needed = room * (len(str(row.row)) * 0.35 + 1.2)
        if len(rows) <= MOST_NUMBERS and end - start > needed:
            axes.text(
                start + room / 4,
                lane_of[row.bank] - 0.27,
                f"row {row.row}",
                size=5.5,
                color="#333333",
                va="bottom",
            )


def _draw_marks(
    axes: Axes, shown: NDArray[Any], lane_of: dict[Bank, int], standard: Standard | None
) -> None:
    """Draw a mark for each command, and a box while a refresh lasts."""
    timings = {} if standard is None else standard.timings
    durations = {
        Command.REFab: timings.get("nRFC", 0),
        Command.REFpb: timings.get("nRFCpb", 0),
    }
    for command, (marker, colour) in MARKS.items():
        chosen = shown[shown["command"] == command]
        if len(chosen) == 0:
            continue
        of_rank = command in RANK_COMMANDS
        lanes = [
            lane_of[(*_bank(record)[:2], -2, -2) if of_rank else _bank(record)] for record in chosen
        ]
        axes.plot(
            chosen["clock"],
            lanes,
            marker,
            ls="none",
            color=colour,
            mec=BLACK,
            mew=0.4,
            ms=5,
            label=command.name,
            zorder=3,
        )
        if duration := durations.get(command, 0):
            for record, lane in zip(chosen, lanes, strict=True):
                corner = int(record["clock"]), lane - 0.25
                look: dict[str, Any] = {
                    "fc": PURPLE,
                    "alpha": 0.35,
                    "hatch": "///",
                    "ec": GREY,
                    "lw": 0.5,
                }
                axes.add_patch(Rectangle(corner, duration, 0.5, **look))
