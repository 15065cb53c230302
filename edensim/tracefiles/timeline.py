"""Write a command trace as a timeline in Trace Event Format, for Perfetto and chrome://tracing.

Each rank is a process. It has one track for what acts on the whole rank and one track per bank. The
track of a bank has a slice while a row is open, and in it a slice for each burst, which begins at
the column command. A slice is a pair of events, its begin and its end. They are written in order of
time, so that a trace of any length passes through once.
"""

from __future__ import annotations

import contextlib
import heapq
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from edensim._version import __version__
from edensim.dram.command_counts import auto_precharge_delays
from edensim.dram.standard import Standard
from edensim.exceptions import InputError, TraceError
from edensim.files import replacing
from edensim.tracefiles.commands import stream_commands_csv
from edensim.tracefiles.writers import compressed
from edensim.vocabulary import COLUMN_COMMANDS, RANK_COMMANDS, Command

#: Events written at a time.
BATCH: Final = 1 << 14
#: Later than any clock.
NEVER: Final = 1 << 62
#: Track of a rank's own commands; its banks follow.
RANK_TRACK: Final = 1
ROW: Final = "row"
BURST: Final = "burst"
REFRESH: Final = "refresh"


_compact = json.JSONEncoder(separators=(",", ":")).encode


class Track:
    """The open slices of one bank, or of a rank as a whole, with the outermost first."""

    __slots__ = ("opened_at", "pid", "row", "slices", "tid")

    def __init__(self, pid: int, tid: int) -> None:
        self.pid, self.tid = pid, tid
        self.slices: list[tuple[int, str]] = []  # number, kind
        self.row = -1
        self.opened_at = 0


class Rank:
    """The tracks of one rank."""

    def __init__(self, pid: int, banks: int) -> None:
        self.whole = Track(pid, RANK_TRACK)
        self.banks = [Track(pid, RANK_TRACK + 1 + bank) for bank in range(banks)]


class Timeline:
    """Turn commands, in order of clock, into events."""

    def __init__(self, standard: Standard, write: Callable[[list[str]], None]) -> None:
        self.standard, self.write = standard, write
        self.batch: list[str] = []
        self.ranks: dict[tuple[int, int], Rank] = {}
        # A heap of the slices that end by themselves: clock, number and track.
        self.ends: list[tuple[int, int, Track]] = []
        self.slices = 0
        self.commands = 0
        self.clock = 0
        self.delays = auto_precharge_delays(standard)
        self.burst_cycles = standard.timings["nBL"]
        self.refresh_cycles = {
            Command.REFab: standard.timings.get("nRFC", 0),
            Command.REFpb: standard.timings.get("nRFCpb", 0),
        }

    def add(self, records: NDArray[Any]) -> None:
        """Append commands (COMMAND records).

        Raises TraceError for a command that is earlier than the one before it, or that addresses
        what the standard does not have.
        """
        names = ("command", "clock", "channel", "rank", "bankgroup", "bank", "row", "column")
        for code, clock, channel, rank, group, bank, row, column in zip(
            *(records[name].tolist() for name in names), strict=True
        ):
            self.commands += 1
            command = Command(code)
            if clock < self.clock:
                raise TraceError(
                    f"command {self.commands}: clock {clock} after clock {self.clock}; expected "
                    "commands in order of clock"
                )
            self._end_until(clock)
            self.clock = clock
            tracks = self.ranks.get((channel, rank)) or self._new_rank(channel, rank)
            if command in RANK_COMMANDS:
                self._rank_command(tracks, command)
                continue
            track = tracks.banks[self._bank(group, bank)]
            if command == Command.ACT:
                self._close(track)
                track.row, track.opened_at = row, clock
                self._begin(track, f"row {row}", ROW, {"clock": clock, "row": row})
            elif command in COLUMN_COMMANDS:
                self._column_command(track, command, column)
            else:
                self._close(track)
                if command == Command.REFpb:
                    self._begin(
                        track,
                        "REFpb",
                        REFRESH,
                        {"clock": clock},
                        clock + self.refresh_cycles[command],
                    )

    def finish(self) -> None:
        """End every slice: at its own end if it has one, otherwise at the last command."""
        self._end_until(NEVER)
        for rank in self.ranks.values():
            for track in rank.banks:
                self._close(track)
        self._flush()

    def _column_command(self, track: Track, command: Command, column: int) -> None:
        clock = self.clock
        if track.slices and track.slices[-1][1] != ROW:
            # The trace has bursts faster than the standard's; a track shows one at a time.
            self._end(track)
        args = {"clock": clock, "row": track.row if track.slices else -1, "column": column}
        self._begin(track, command.name, BURST, args, clock + self.burst_cycles)
        if command in (Command.RDA, Command.WRA) and track.slices[0][1] == ROW:
            after_act, after_read, after_write = self.delays
            closed = max(
                track.opened_at + after_act,
                clock + (after_read if command == Command.RDA else after_write),
            )
            heapq.heappush(self.ends, (closed, track.slices[0][0], track))

    def _rank_command(self, rank: Rank, command: Command) -> None:
        for track in rank.banks:
            self._close(track)
        if command == Command.PREab:
            self._event("PREab", "i", rank.whole, s="t", args={"clock": self.clock})
            return
        self._close(rank.whole)
        self._begin(
            rank.whole,
            "REFab",
            REFRESH,
            {"clock": self.clock},
            self.clock + self.refresh_cycles[command],
        )

    def _begin(
        self, track: Track, name: str, kind: str, args: dict[str, int], end: int | None = None
    ) -> None:
        self.slices += 1
        track.slices.append((self.slices, kind))
        self._event(name, "B", track, cat=kind, args=args)
        if end is not None:
            heapq.heappush(self.ends, (end, self.slices, track))

    def _end(self, track: Track) -> None:
        """End the innermost open slice."""
        track.slices.pop()
        self._event(None, "E", track)

    def _close(self, track: Track) -> None:
        while track.slices:
            self._end(track)

    def _end_until(self, clock: int) -> None:
        """End the slices that end by `clock`, each at its own clock."""
        while self.ends and self.ends[0][0] <= clock:
            end, number, track = heapq.heappop(self.ends)
            # Something may have ended the slice earlier.
            if any(open_number == number for open_number, _ in track.slices):
                self.clock = end
                while track.slices and track.slices[-1][0] >= number:
                    self._end(track)

    def _new_rank(self, channel: int, rank: int) -> Rank:
        """Make the tracks of a rank that appears for the first time, and name them."""
        organization = self.standard.organization
        if channel < 0 or not 0 <= rank < organization.ranks:
            what, value, known = (
                ("channel", channel, "0 or above")
                if channel < 0
                else ("rank", rank, f"0 to {organization.ranks - 1}")
            )
            raise TraceError(
                self._place(f"{what}: found {value}, expected {known} (--set dram.ranks=N)")
            )
        pid = channel * organization.ranks + rank + 1
        tracks = self.ranks[(channel, rank)] = Rank(pid, organization.banks_per_rank)
        self._name("process", tracks.whole, f"channel {channel} rank {rank}", pid)
        self._name("thread", tracks.whole, "all banks", RANK_TRACK)
        for bank, track in enumerate(tracks.banks):
            group = (
                f"bank group {bank // organization.banks} " if organization.bankgroups > 1 else ""
            )
            self._name("thread", track, f"{group}bank {bank % organization.banks}", track.tid)
        return tracks

    def _name(self, what: str, track: Track, name: str, order: int) -> None:
        for event, args in (
            (f"{what}_name", {"name": name}),
            (f"{what}_sort_index", {"sort_index": order}),
        ):
            self._event(event, "M", track, args=args)

    def _bank(self, group: int, bank: int) -> int:
        """Find the index of a bank in its rank; the group is -1 if the standard has no groups."""
        organization = self.standard.organization
        if group < 0 and organization.bankgroups == 1:
            group = 0
        for what, value, limit in (
            ("bankgroup", group, organization.bankgroups),
            ("bank", bank, organization.banks),
        ):
            if not 0 <= value < limit:
                raise TraceError(
                    self._place(
                        f"{what}: found {value}, expected 0 to {limit - 1} "
                        "(--set dram.standard=..., dram.organization=...)"
                    )
                )
        return group * organization.banks + bank

    def _place(self, problem: str) -> str:
        organization = self.standard.organization
        return (
            f"command {self.commands} (clock {self.clock}): {problem}: "
            f"{self.standard.name} {organization.name}"
        )

    def _event(self, name: str | None, phase: str, track: Track, **more: Any) -> None:
        ps = self.clock * self.standard.tck_ps
        named = "" if name is None else f'"name":"{name}",'
        rest = f",{_compact(more)[1:-1]}" if more else ""
        time = f"{ps // 1_000_000}.{ps % 1_000_000:06d}"
        place = f'"pid":{track.pid},"tid":{track.tid}'
        self.batch.append(f'{{{named}"ph":"{phase}","ts":{time},{place}{rest}}}')
        if len(self.batch) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        if self.batch:
            self.write(self.batch)
            self.batch = []


def _check_name(path: Path) -> None:
    """Refuse an output that is no file with a name of the format."""
    if not path.name.lower().endswith((".json", ".json.gz")):
        raise InputError(
            f"{path}: expected a name ending in .json or .json.gz, found {path.suffix!r}"
        )
    if path.exists() and not path.is_file():
        what = "folder" if path.is_dir() else "device"
        raise InputError(f"{path}: is a {what}; expected a file to write to")


def write_timeline(commands: str | Path, output: str | Path, standard: Standard) -> int:
    """Write the timeline of a command trace; memory use does not grow with its length.

    Parameters
    ----------
    commands : path-like
        The command trace (CSV).
    output : path-like
        The `.json` or `.json.gz` file to write, which appears when it is complete. Its times are in
        microseconds, exact to the picosecond; `args.clock` of each slice is its memory clock.
    standard : Standard
        The standard whose organization the commands address.

    Returns
    -------
    int
        The number of commands.

    Raises
    ------
    TraceError
        If the trace is damaged, empty, out of order or of another organization.
    InputError
        If `output` cannot be written.
    """
    path = Path(output)
    _check_name(path)
    organization = standard.organization
    about = {
        "generator": f"edensim {__version__}",
        "standard": f"{standard.name} {organization.name} {standard.speed_bin}",
        "tCK_ps": standard.tck_ps,
    }
    separators = iter([""])
    with (
        replacing(path) as part,
        contextlib.closing(compressed(part, path.suffix.lower())) as file,
    ):

        def write_batch(events: list[str]) -> None:
            file.write((next(separators, ",\n") + ",\n".join(events)).encode())

        head = f'{{"displayTimeUnit":"ns","otherData":{json.dumps(about)},"traceEvents":[\n'
        file.write(head.encode())
        timeline = Timeline(standard, write_batch)
        try:
            for block in stream_commands_csv(commands):
                timeline.add(block)
        except TraceError as problem:
            text = str(problem)
            name = str(commands)
            raise TraceError(text if text.startswith(name) else f"{name}: {text}") from None
        if not timeline.commands:
            raise TraceError(f"{commands}: holds no command")
        timeline.finish()
        file.write(b"\n]}\n")
    return timeline.commands
