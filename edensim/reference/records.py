"""What a channel handles: requests, maintenance, issued commands, counters and speeds of rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edensim.reference.history import Target
from edensim.vocabulary import Command, RowState


@dataclass(slots=True, eq=False)
class Request:
    """One read or write of a burst.

    Attributes
    ----------
    address, line : int
        Byte address, and number of the burst that holds it.
    is_write : bool
        Whether it is a write.
    target : Target
        Its place in the channel.
    bank : int
        Index of its bank in the channel.
    tensor : int
        The tensor that it belongs to; -1 if it names none.
    age : int
        Its number in the order of acceptance.
    arrive, depart : int
        Clock at which it was accepted, and at which its data are back; -1 before that.
    row_state : RowState or None
        What it found when its first command issued; None before that.
    """

    address: int
    line: int
    is_write: bool
    target: Target
    bank: int
    tensor: int = -1
    age: int = -1
    arrive: int = -1
    depart: int = -1
    row_state: RowState | None = None


@dataclass(slots=True, eq=False)
class Maintenance:
    """A command that the controller itself wants; None means that the rank is to be closed."""

    command: Command | None
    target: Target


@dataclass(slots=True)
class Counters:
    """What one channel counted.

    `reads` and `writes` are all that were accepted, forwarded and coalesced ones included.
    `row_states` has a row for reads and a row for writes, with a column for each RowState.
    """

    reads: int = 0
    writes: int = 0
    forwarded: int = 0
    coalesced: int = 0
    row_states: list[list[int]] = field(default_factory=lambda: [[0, 0, 0], [0, 0, 0]])
    read_latencies: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast some rows are.

    `gaps` has the gap in cycles of every constraint, in the order of `standard.constraints`;
    `timings` has all timings in cycles by name.
    """

    gaps: tuple[int, ...]
    timings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Issued:
    """A command that was issued, and the tensor of the request that it was issued for."""

    clock: int
    command: Command
    target: Target
    tensor: int = -1
