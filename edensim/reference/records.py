"""What a channel of the twin handles: requests, wanted maintenance, issued commands, counts, and how fast rows are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edensim.reference.history import Target
from edensim.vocabulary import Command, RowState


@dataclass(slots=True, eq=False)
class Request:
    """One access on its way; `age` is its place in the order of acceptance, `arrive` the clock of that, `depart` the clock of its data's return."""

    address: int
    line: int
    is_write: bool
    target: Target
    bank: int  # flat
    age: int = -1
    arrive: int = -1
    depart: int = -1
    row_state: RowState | None = None


@dataclass(slots=True, eq=False)
class Maintenance:
    """An entry of the priority queue: a command that is wanted, not a request."""

    command: Command | None  # None: no command, the rank stops
    target: Target


@dataclass(slots=True)
class Tally:
    """What one channel counted. reads and writes are all that were accepted, forwarded and coalesced ones included."""

    reads: int = 0
    writes: int = 0
    forwarded: int = 0
    coalesced: int = 0
    row_hits: int = 0
    row_misses: int = 0
    row_conflicts: int = 0
    read_latencies: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast some rows are: the gap of every constraint (same order as `standard.constraints`), and all timings by name."""

    gaps: tuple[int, ...]
    timings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Issued:
    """One line of the command trace."""

    clock: int
    command: Command
    target: Target
