"""The words that all of edensim shares: enumerations, record types and conversions of units.

Values of the enumerations are written into compiled code and into native trace files, so they never
change their meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from fractions import Fraction
from typing import Final

import numpy as np

#: A function called with what is done so far, and what there is in all (None if unknown).
ProgressCallback = Callable[[int, int | None], None]


class Command(IntEnum):
    """DRAM commands. `pb` acts on one bank, `ab` on all banks of a rank (JEDEC's suffixes)."""

    ACT = 0
    PREpb = 1
    PREab = 2
    RD = 3
    WR = 4
    RDA = 5
    WRA = 6
    REFab = 7
    REFpb = 8


#: Number of commands; the width of every per-command array.
COMMANDS: Final = len(Command)

#: Commands that address a whole rank (bank group, bank, row and column are -1).
RANK_COMMANDS: Final = frozenset({Command.PREab, Command.REFab})
#: Commands that address a bank but no row (row and column are -1).
BANK_COMMANDS: Final = frozenset({Command.PREpb, Command.REFpb})
#: Commands that move data.
COLUMN_COMMANDS: Final = frozenset({Command.RD, Command.WR, Command.RDA, Command.WRA})


class Level(IntEnum):
    """Levels of the DRAM hierarchy that timing constraints name.

    A standard without bank groups has one group per rank.
    """

    CHANNEL = 0
    RANK = 1
    BANKGROUP = 2
    BANK = 3


class Scheduler(IntEnum):
    """Which request of a queue is served next; `controller.scheduler` names the values."""

    FRFCFS = 0
    FRFCFS_ROW_HIT = 1
    FCFS = 2


class RowPolicy(IntEnum):
    """When a row is closed although no other request needs its bank.

    OPEN never closes it. With CLOSED, every column command carries auto-precharge. With CAPPED, a
    row that has served `row_cap` column commands is closed as soon as the standard allows: the next
    column command carries auto-precharge, or a precharge takes precedence over all requests.
    """

    OPEN = 0
    CLOSED = 1
    CAPPED = 2


class Refresh(IntEnum):
    """Refresh scheme.

    ALL_BANK issues a REFab to each rank every nREFI, PER_BANK a REFpb to one bank after the other
    every nREFIpb.
    """

    NONE = 0
    ALL_BANK = 1
    PER_BANK = 2


class SourceKind(IntEnum):
    """Where requests come from.

    They come as fast as the queues take them (SATURATING), at the clocks of the trace (TIMED), or
    from a core with an instruction window (CORE).
    """

    SATURATING = 0
    TIMED = 1
    CORE = 2


class RowState(IntEnum):
    """The state in which a request found its bank when its first command issued."""

    HIT = 0
    MISS = 1
    CONFLICT = 2


#: One record of a request trace, as readers yield them in chunks.
#:
#: - address: byte address
#: - writeback: byte address of the record's write-back (core traces), -1 if there is none
#: - clock: memory clock at which the request arrives (timed traces), else 0
#: - gap: instructions before this record (core traces), else 0
#: - tensor: identifier of the tensor that the request belongs to, -1 if unknown
#: - is_write: 0 or 1
REQUEST: Final = np.dtype(
    [
        ("address", np.int64),
        ("writeback", np.int64),
        ("clock", np.int64),
        ("gap", np.int32),
        ("tensor", np.int32),
        ("is_write", np.int8),
    ],
    align=True,
)

#: One command as issued. The fields of levels that the command does not address are -1. `bank`
#: counts inside its bank group; `column` counts bursts in the row (64-byte lines on a 64-bit bus).
COMMAND: Final = np.dtype(
    [
        ("clock", np.int64),
        ("row", np.int32),
        ("column", np.int32),
        ("channel", np.int16),
        ("rank", np.int16),
        ("bankgroup", np.int16),
        ("bank", np.int16),
        ("command", np.int16),
    ],
    align=True,
)

#: One step of an accelerator, or of a GPU's wave of thread blocks: fetch, compute, write back
#: (`edensim.kernels.sources.tiles`).
#:
#: - first_transfer: index of its first TRANSFER record; reads come before writes
#: - compute_cycles: clock cycles of the machine once the data have arrived
#: - reads, writes: numbers of TRANSFER records
#: - layer: index of the layer that it belongs to
#: - barrier: 1 if its reads, except those marked ahead, wait until all tiles before it are computed
#:   and written
TILE: Final = np.dtype(
    [
        ("first_transfer", np.int64),
        ("compute_cycles", np.int64),
        ("reads", np.int32),
        ("writes", np.int32),
        ("layer", np.int32),
        ("barrier", np.int32),
    ],
    align=True,
)

#: Bytes moved between DRAM and a machine.
#:
#: - address: byte address of the first run
#: - run_bytes, stride_bytes, count: `count` runs of `run_bytes` each, `stride_bytes` apart
#: - tensor: identifier of the tensor that they belong to
#: - ahead: 1 if a barrier does not hold it back, as weights do not depend on the layer before
TRANSFER: Final = np.dtype(
    [
        ("address", np.int64),
        ("run_bytes", np.int64),
        ("stride_bytes", np.int64),
        ("count", np.int32),
        ("tensor", np.int32),
        ("ahead", np.int32),
    ],
    align=True,
)

#: Breakdowns by tensor name this for requests that belong to none.
NO_TENSOR: Final = "none"


def cycles_from_ns(duration_ns: float, tck_ps: int) -> int:
    """Return the smallest number of clock cycles that last at least `duration_ns`.

    Durations are first rounded to femtoseconds, so that 13.75 ns are 11 cycles of 1250 ps, not 12.
    """
    return math.ceil(Fraction(round(duration_ns * 1_000_000), tck_ps * 1000))


def ns_from_cycles(cycles: int, tck_ps: int) -> float:
    """Return the duration of `cycles` clock cycles in nanoseconds."""
    return cycles * tck_ps / 1000


def energy_pJ(current_mA: float, voltage_V: float, duration_ps: float) -> float:
    """Return the energy in pJ of a current at a voltage for a duration: 1 mA * V * ps = 1e-3 pJ."""
    return current_mA * voltage_V * duration_ps * 1e-3


def nominal_clock_MHz(tck_ps: int, rate_MTps: int) -> Fraction:
    """Return the memory clock as the standard means it.

    JEDEC's DDR rates are multiples of 133 1/3 MT/s, printed without the fraction: `2133` is
    2133 1/3 MT/s, hence 1066 2/3 MHz. For a rate off that grid, the clock period decides.
    """
    exact_rate = Fraction(round(rate_MTps * 3 / 400) * 400, 3)
    if abs(exact_rate - rate_MTps) < 1 and abs(exact_rate / 2 * tck_ps - 1_000_000) < 2_000:
        return exact_rate / 2
    return Fraction(1_000_000, tck_ps)
