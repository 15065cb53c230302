"""What a channel does next: active requests before maintenance before queued requests.

A plan says which command issues next if nothing arrives before. It is kept while arrivals cannot
better it. The rules (ties, holding back, write mode) are written down in `edensim.reference`.
"""

from edensim.kernels.codes import FCFS, READ, WRITE
from edensim.kernels.compile import jit
from edensim.kernels.controller.channel import ACTIVE, CLOSED, IDLE, MAINTENANCE, OPEN, QUEUED
from edensim.kernels.controller.fcfs import plan_oldest
from edensim.kernels.controller.fr_fcfs import plan_closed_banks, plan_open_banks
from edensim.kernels.controller.fr_fcfs_row_hit import may_void_precharge
from edensim.kernels.controller.limits import FOREVER, LATENCY_BINS
from edensim.kernels.controller.maintenance import plan_maintenance
from edensim.kernels.controller.power_down import add_work
from edensim.kernels.controller.queue_plan import (
    forget_queue_plans,
    is_stale,
    offer_to_queue_plan,
)
from edensim.kernels.controller.queues import enqueue, has_write, openness
from edensim.kernels.controller.timing import cycles_until_legal

#: The key of an active request is (cycles from now << ARRIVAL_BITS) + arrival.
ARRIVAL_BITS = 40
NO_KEY = 1 << 62


@jit
def wanted_write_mode(channel, timing):
    """Return 1 to serve the write queue, 0 to serve the read queue.

    Writes are drained when many wait or no read does. Reads are served again when few writes are
    left and a read waits.
    """
    reads, writes = channel["length"][READ], channel["length"][WRITE]
    if channel["write_mode"] == 0:
        return 1 if writes > timing["write_high"] or reads == 0 else 0
    return 0 if writes < timing["write_low"] and reads != 0 else 1


@jit
def update_write_mode(channel, timing):
    """Enter or leave write mode."""
    mode = wanted_write_mode(channel, timing)
    if mode != channel["write_mode"]:
        channel["write_mode"] = mode
        forget_queue_plans(channel)


@jit
def plan_active(channel, timing, clock):
    """Find the active request whose column command can issue first.

    Of those at the same clock the first to arrive is chosen, then the first activated. Returns its
    key and its slot.
    """
    best = NO_KEY
    best_slot = 0
    for i in range(channel["active_count"]):
        slot = channel["active"][i]
        request = channel["slots"][slot]
        command = timing["column_command"][request["queue"]]
        wait = cycles_until_legal(channel, timing, request["bank"], command, clock)
        key = (wait << ARRIVAL_BITS) + request["arrive"]
        if key < best:
            best = key
            best_slot = slot
    return best, best_slot


@jit
def plan_queue(channel, timing, clock):
    """Plan the next command of the queue in service by the scheduling policy."""
    stale_closed = is_stale(channel, timing, CLOSED, clock)
    stale_open = is_stale(channel, timing, OPEN, clock)
    if timing["scheduler"] == FCFS:
        if stale_closed or stale_open:
            plan_oldest(channel, timing, channel["write_mode"], clock)
        return
    if stale_closed:
        plan_closed_banks(channel, timing, channel["write_mode"], clock)
    if stale_open:
        plan_open_banks(channel, timing, channel["write_mode"], clock)


@jit(forceinline=True)
def plan(channel, timing, clock):
    """Find the command that issues next, from `clock` on."""
    channel["planned"] = 1
    channel["plan_at"] = FOREVER
    channel["plan_kind"] = IDLE
    key, slot = plan_active(channel, timing, clock)
    if key < NO_KEY:
        channel["plan_at"] = clock + (key >> ARRIVAL_BITS)
        channel["plan_kind"] = ACTIVE
        channel["plan_slot"] = slot
        channel["plan_command"] = timing["column_command"][channel["slots"][slot]["queue"]]
        if channel["plan_at"] == clock:
            return
    if channel["maintenance_count"] > 0:
        command, at = plan_maintenance(channel, timing, clock)
        if at < channel["plan_at"]:
            channel["plan_at"] = at
            channel["plan_kind"] = MAINTENANCE
            channel["plan_command"] = command
        return
    update_write_mode(channel, timing)
    plan_queue(channel, timing, clock)
    adopt_queue_plan(channel)


@jit
def adopt_queue_plan(channel):
    """Make the queue's plan the channel's if it comes before an active request's.

    Of the plans for closed and for open banks the earlier one counts, or the older request's.
    """
    slots, planned = channel["slots"], channel["queue_plan_slot"]
    at_closed, at_open = channel["queue_plan_at"][CLOSED], channel["queue_plan_at"][OPEN]
    opened = CLOSED
    if at_open < at_closed or (
        at_open == at_closed and slots[planned[OPEN]]["age"] < slots[planned[CLOSED]]["age"]
    ):
        opened = OPEN
    if channel["queue_plan_at"][opened] < channel["plan_at"]:
        channel["plan_at"] = channel["queue_plan_at"][opened]
        channel["plan_kind"] = QUEUED
        channel["plan_slot"] = planned[opened]
        channel["plan_command"] = channel["queue_plan_command"][opened]
        channel["due"] = min(channel["due"], channel["plan_at"])


@jit
def note_arrival(channel, timing, slot, clock):
    """Keep, improve or void the plans for a request that can be served from `clock` on."""
    # The write mode is decided once in a clock, after all arrivals, and not while maintenance
    # waits. That is left to `plan`.
    is_queue_planned = channel["planned"] and channel["maintenance_count"] == 0
    if is_queue_planned and wanted_write_mode(channel, timing) != channel["write_mode"]:
        channel["planned"] = 0
        channel["due"] = clock
    queue = channel["slots"][slot]["queue"]
    if queue != channel["write_mode"]:
        return
    bank = channel["slots"][slot]["bank"]
    hit = channel["banks"][bank]["hit"][queue]
    other = channel["banks"][bank]["other"][queue]
    is_next_of_bank = hit == slot or other == slot
    if channel["queue_plan_valid"][openness(channel, bank)] == 0 or not is_next_of_bank:
        return
    if timing["scheduler"] == FCFS and channel["length"][queue] > 1:
        return
    if may_void_precharge(timing, hit, other):
        forget_queue_plans(channel)
        channel["planned"] = 0
        channel["due"] = clock
        return
    offer_to_queue_plan(channel, timing, slot, clock)
    if channel["planned"] and channel["maintenance_count"] == 0:
        adopt_queue_plan(channel)


@jit(forceinline=True)
def accept(channel, timing, place, queue, arrive, tag):
    """Offer a request, given as a PLACED record, to the channel; return whether it was taken.

    A line that is in the write queue already is done at once: a read is answered from the queue,
    a write is merged with the older one.
    """
    if has_write(channel, place["bank"], place["line"]):
        channel["accepted"][queue] += 1
        if queue == WRITE:
            channel["coalesced"] += 1
        else:
            channel["forwarded"] += 1
            count_departure(channel, arrive, arrive + 1, tag)
    elif channel["length"][queue] >= timing["queue_size"][queue]:
        return False
    else:
        channel["accepted"][queue] += 1
        slot = enqueue(channel, place, queue, arrive, tag)
        if timing["power_down"]:
            add_work(channel, timing, timing["rank_of"][place["bank"]], arrive + 1)
        note_arrival(channel, timing, slot, arrive + 1)
    if channel["planned"] == 0:
        channel["due"] = min(channel["due"], arrive + 1)
    return True


@jit
def is_refused(channel, timing, place, queue):
    """Return whether a request would find its queue full.

    A request that the write queue answers takes no room.
    """
    return channel["length"][queue] >= timing["queue_size"][queue] and not has_write(
        channel, place["bank"], place["line"]
    )


@jit
def count_departure(channel, arrive, departure, tag):
    """Count a read whose data will be complete at `departure`."""
    if channel["keep_returns"]:
        at = channel["return_count"]
        channel["return_at"][at] = departure
        channel["return_tag"][at] = tag
        channel["return_count"] = at + 1
    latency = departure - arrive
    channel["latency_sum"] += latency
    channel["latency_max"] = max(channel["latency_max"], latency)
    channel["latency"][min(latency, LATENCY_BINS - 1)] += 1
    channel["last_departure"] = max(channel["last_departure"], departure)
