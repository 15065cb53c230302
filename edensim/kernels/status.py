"""Why a compiled function came back to Python."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What a compiled entry, or a step inside one, reports."""

    DONE = 0
    NEED_INPUT = 1  # the chunk of requests is used up
    OUTPUT_FULL = 2  # an output array has no room left
    MAINTENANCE_OVERFLOW = 3  # more refreshes wait than there is room for
    RUNNING = 4  # only inside: go on
    DEADLOCK = 5  # something waits, but nothing can happen any more
    HALTED = 6  # all banks are closed for a change of operating point
    LAYER_DONE = 7  # the last tile of a layer has been computed
    TOO_LONG = 8  # the run goes beyond the last clock
    PAUSED = 9  # a call has done its share of work; the run goes on with the next
