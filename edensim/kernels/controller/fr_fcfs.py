"""FR-FCFS: first ready, first come, first served.

Of all commands that requests of the queue in service need, the one that can issue first is next.
At the same clock the oldest request goes first. A column command to an open row is usually ready
before a precharge, so row hits go first.

The candidates are compared by integer keys, which hold the wait, the age, the slot, and whether
the request is a row hit. The smallest key therefore tells everything about the winner.

References
----------
S. Rixner et al., "Memory access scheduling", ISCA 2000.
"""

from edensim.kernels.codes import ACT, CLOSED_PAGE, FR_FCFS_ROW_HIT, PREPB
from edensim.kernels.compile import jit
from edensim.kernels.controller.channel import CLOSED, OPEN
from edensim.kernels.controller.fr_fcfs_row_hit import waits_for_row_hit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.queue_plan import improve_queue_plan, set_queue_plan
from edensim.kernels.controller.row_policy import reserves_row
from edensim.kernels.controller.timing import cycles_until_legal, legal_at

#: Bits of a key: wait in cycles (FAR stands for that or more), age, slot and row hit.
SLOT_BITS, AGE_BITS, FAR = 12, 38, (1 << 12) - 1
SLOT_MASK = (1 << (SLOT_BITS - 1)) - 1
NO_KEY = 1 << 62


@jit
def candidate_key(channel, timing, bank, command, slot, is_hit, clock):
    """Return the key of a request whose next command is `command`."""
    wait = min(cycles_until_legal(channel, timing, bank, command, clock), FAR)
    order = (wait << AGE_BITS) + channel["slots"][slot]["age"]
    return (order << SLOT_BITS) + (slot << 1) + is_hit


@jit
def plan_closed_banks(channel, timing, queue, clock):
    """Find the earliest activation; of those at the same clock, that of the oldest request."""
    best = NO_KEY
    for i in range(channel["occupied_count"][queue, CLOSED]):
        bank = channel["occupied"][queue, CLOSED, i]
        oldest = channel["banks"][bank]["head"][queue]
        best = min(best, candidate_key(channel, timing, bank, ACT, oldest, 0, clock))
    plan_best(channel, timing, queue, CLOSED, best, ACT, clock)


@jit
def plan_open_banks(channel, timing, queue, clock):
    """Find the earliest column command or precharge; of those at the same clock, the oldest's."""
    best = NO_KEY
    column = timing["column_command"][queue]
    plain = timing["row_policy"] != CLOSED_PAGE and timing["scheduler"] != FR_FCFS_ROW_HIT
    for i in range(channel["occupied_count"][queue, OPEN]):
        bank = channel["occupied"][queue, OPEN, i]
        hit = channel["banks"][bank]["hit"][queue]
        other = channel["banks"][bank]["other"][queue]
        if not plain:
            if reserves_row(channel, timing, bank):
                hit = 0
            if waits_for_row_hit(channel, timing, hit, other):
                other = 0
        if hit > 0:
            best = min(best, candidate_key(channel, timing, bank, column, hit, 1, clock))
        if other > 0:
            best = min(best, candidate_key(channel, timing, bank, PREPB, other, 0, clock))
    plan_best(channel, timing, queue, OPEN, best, PREPB, clock)


@jit
def plan_best(channel, timing, queue, opened, best, row_command, clock):
    """Plan the candidate with the smallest key.

    `row_command` is what a request without a row hit needs.
    """
    if best == NO_KEY:
        set_queue_plan(channel, opened, FOREVER, 0, 0)
        return
    wait = best >> (AGE_BITS + SLOT_BITS)
    if wait >= FAR:
        plan_far(channel, timing, queue, opened, row_command, clock)
        return
    command = int(timing["column_command"][queue]) if best & 1 else row_command
    set_queue_plan(channel, opened, clock + wait, (best >> 1) & SLOT_MASK, command)


@jit
def plan_far(channel, timing, queue, opened, row_command, clock):
    """Plan without keys, for waits that do not fit into one.

    Such waits occur while a change of operating point settles.
    """
    set_queue_plan(channel, opened, FOREVER, 0, 0)
    column = int(timing["column_command"][queue])
    for i in range(channel["occupied_count"][queue, opened]):
        bank = channel["occupied"][queue, opened, i]
        state = channel["banks"][bank]
        hit = state["hit"][queue] if opened else 0
        other = state["other"][queue] if opened else state["head"][queue]
        if opened and waits_for_row_hit(channel, timing, hit, other):
            other = 0
        if hit > 0 and not reserves_row(channel, timing, bank):
            at = max(clock, legal_at(channel, timing, bank, column))
            improve_queue_plan(channel, opened, at, hit, column)
        if other > 0:
            at = max(clock, legal_at(channel, timing, bank, row_command))
            improve_queue_plan(channel, opened, at, other, row_command)
