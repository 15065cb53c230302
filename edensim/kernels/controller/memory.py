"""The memory system as a request source sees it: channels, their timing, and the event loop."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.vocabulary import COMMAND

register("COMMAND", COMMAND)

#: The event loop between two calls.
LOOP = register(
    "LOOP",
    np.dtype(
        [
            ("clock", np.int64),
            ("last_clock", np.int64),  # beyond it, products of clocks would not fit 64 bits
            # Requests of a chunk: the next one, whether it waits for room, whether it has an
            # arrival clock, whether the chunk is the last.
            ("position", np.int64),
            ("blocked", np.int64),
            ("timed", np.int64),
            ("final", np.int64),
            # 1 if there is one channel: while the source is blocked, only the channel can act
            # before the clock `limit`.
            ("alone", np.int64),
            ("limit", np.int64),
            ("record", np.int64),  # whether commands are recorded
            ("recorded", np.int64),  # commands in the output array
            # Whether exposures are counted: EXPOSURE_BINS for each cell of each channel, then for
            # each tensor; then TENSOR_COUNTERS for each tensor, and for requests of none, at each
            # operating point.
            ("expose", np.int64),
            ("tensors", np.int64),
            ("cells", np.int64),  # of a channel
            ("points", np.int64),
            ("channels", np.int64),
        ],
        align=True,
    ),
)

#: The arrays that every entry with an event loop takes first.
MEMORY = ("CHANNEL[:]", "TIMING[:]", "LOOP[:]", "MAPPING[:]", "COMMAND[:]", "i8[:]")


class Memory(NamedTuple):
    """The memory system: [channels] CHANNEL, TIMING, LOOP, MAPPING, and the output arrays."""

    channels: Any
    timing: Any
    loop: Any
    mapping: Any
    commands: Any
    exposures: Any


@jit
def is_drained(channels):
    """Return whether no request and no maintenance is left."""
    for c in range(channels.shape[0]):
        channel = channels[c]
        waiting = channel["length"][0] + channel["length"][1] + channel["active_count"]
        if waiting + channel["maintenance_count"] > 0:
            return False
    return True


@jit(forceinline=True)
def is_output_full(memory):
    """Return whether the channels could issue more commands in a clock than can be recorded."""
    loop = memory.loop
    return (
        loop["record"] != 0
        and loop["recorded"] + memory.channels.shape[0] > memory.commands.shape[0]
    )
