"""The event loop: a request source and the channels it feeds, from event to event.

It jumps over the clocks at which nothing can happen, and issues exactly the commands that a loop
which ticks every clock would. All sources share this text; each brings three functions that are
compiled into its own loop:

give(memory, source)
    Offers requests before the channels run at ``loop["clock"]``. Returns a status and `wake`.
take(memory, source, freed, wake)
    Takes note of what the channels did at this clock: `freed` places in queues became free, and
    reads return. Returns `wake`.
go_on(memory, source, wake)
    Returns whether the source is done, as a status, and `wake`.

Status.RUNNING means to go on. `wake` is the next clock at which something can happen, as far as is
known; it is handed from one function to the next, and each may lower it.
"""

from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.memory import is_output_full
from edensim.kernels.controller.tick import tick
from edensim.kernels.status import Status

#: Clocks that a call looks at before it returns, so that Python sees signals.
EVENTS_PER_CALL = 1 << 20


def event_loop(give, take, go_on):
    """Return the event loop of a source, as a function of (memory, source) for compiled code."""

    @jit
    def run(memory, source):
        loop = memory.loop
        for _ in range(EVENTS_PER_CALL):
            status, wake = give(memory, source)
            if status != Status.RUNNING:
                return status
            status, wake, freed = advance(memory, wake)
            wake = take(memory, source, freed, wake)
            if status == Status.RUNNING:
                status, wake = go_on(memory, source, wake)
            elif status == Status.HALTED:
                loop["clock"] += 1
            if status != Status.RUNNING:
                return status
            if wake >= FOREVER:
                return Status.DEADLOCK
            loop["clock"] = max(loop["clock"] + 1, wake)
            if loop["clock"] > loop["last_clock"]:
                return Status.TOO_LONG
            if is_output_full(memory):
                return Status.OUTPUT_FULL
        return Status.PAUSED

    return run


@jit(forceinline=True)
def advance(memory, wake):
    """Run every channel that is due at the loop's clock.

    Returns a status, the next clock at which something can happen, and how many places in queues
    became free.
    """
    clock = memory.loop["clock"]
    freed = 0
    halted = 0
    overflow = 0
    for c in range(memory.channels.shape[0]):
        channel = memory.channels[c]
        if channel["due"] <= clock:
            freed += tick(memory, channel, clock)
            overflow += channel["overflow"]
        wake = min(wake, channel["due"])
        halted += channel["halted"]
    status = Status.RUNNING
    if overflow > 0:
        status = Status.MAINTENANCE_OVERFLOW
    elif halted == memory.channels.shape[0]:
        status = Status.HALTED
    return status, wake, freed
