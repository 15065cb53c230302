"""What a channel does next: plan its next command, keep the plan while arrivals cannot better it.

The written rule (ties, holding back, write mode) is in `edensim.reference`. A plan says which command issues next if nothing arrives before;
the queue's part of it survives commands of active requests, which can only make queued commands later.
"""

from __future__ import annotations

from edensim.kernels.codes import ACT, ALL_BANK, FCFS, HALT, PREAB, PREPB, REFAB, REFPB, ROW_HIT
from edensim.kernels.compile import jit
from edensim.kernels.controller.planning import (
    forget_plans,
    is_stale,
    offer_to_plan,
    plan_closed,
    plan_open,
    plan_strictly,
    wait_for,
)
from edensim.kernels.controller.power_down import add_work, is_self_refreshed
from edensim.kernels.controller.queues import enqueue, find_write, is_open
from edensim.kernels.controller.state import (
    ABSENT,
    ACTIVE,
    AGE_BITS,
    FOREVER,
    IDLE,
    LATENCY_BINS,
    MAX_PRIORITY,
    PRIORITY,
    QUEUED,
)
from edensim.kernels.controller.timing import legal_at, rank_legal_at, rank_quiet_at


@jit
def wanted_mode(s, t):
    """Drain writes (1) when many wait or no read does; back to reads (0) when few are left and a read waits."""
    if s["write_mode"] == 0:
        return 1 if s["length"][1] > t["write_high"] or s["length"][0] == 0 else 0
    return 0 if s["length"][1] < t["write_low"] and s["length"][0] != 0 else 1


@jit
def update_write_mode(s, t):
    mode = wanted_mode(s, t)
    if mode != s["write_mode"]:
        s["write_mode"] = mode
        forget_plans(s)


@jit
def push_priority(s, t, command, node, clock):
    """Append a maintenance command."""
    if s["priorities"] == MAX_PRIORITY:
        s["overflow"] = 1
        return
    at = (s["priority_head"] + s["priorities"]) % MAX_PRIORITY
    s["priority_command"][at] = command
    s["priority_node"][at] = node
    s["priorities"] += 1
    if t["power_down"]:
        add_work(s, t, node if command == REFAB or command == HALT else t["rank_of"][node], clock)


@jit
def queue_refreshes(s, t, clock):
    """Refreshes that fall due at this clock join the maintenance queue; a rank in self-refresh needs none."""
    if t["refresh"] == ALL_BANK:
        for rank in range(t["ranks"]):
            if not is_self_refreshed(s, t, rank, clock):
                push_priority(s, t, REFAB, rank, clock)
    else:
        if not is_self_refreshed(s, t, t["rank_of"][s["next_refresh_bank"]], clock):
            push_priority(s, t, REFPB, s["next_refresh_bank"], clock)
        s["next_refresh_bank"] = (s["next_refresh_bank"] + 1) % t["banks"]
    s["next_refresh"] = clock + t["nREFI"][s["module_class"]]


@jit
def queue_halts(s, t, clock):
    """A change of operating point falls due: every rank is to be closed."""
    for rank in range(t["ranks"]):
        push_priority(s, t, HALT, rank, clock)
    s["halting"] = t["ranks"]
    s["halt_at"] = FOREVER


@jit
def queue_closings(s, t, clock):
    """Capped rows: a precharge joins the maintenance queue once it is legal; `close_at` is when the next one will be."""
    s["close_at"] = FOREVER
    for bank in range(t["banks"]):
        if s["banks"][bank]["served"] >= t["row_cap"] and s["banks"][bank]["close_queued"] == 0:
            at = legal_at(s, t, bank, PREPB)
            if at <= clock:
                push_priority(s, t, PREPB, bank, clock)
                s["banks"][bank]["close_queued"] = 1
            else:
                s["close_at"] = min(s["close_at"], at)


@jit
def plan_maintenance(s, t, clock):
    """Next command for the head of the maintenance queue and its earliest clock; an open active row holds a closing command back."""
    command = s["priority_command"][s["priority_head"]]
    node = s["priority_node"][s["priority_head"]]
    if command == REFAB or command == HALT:
        if s["rank_open"][node] > 0:
            if s["rank_actives"][node] > 0:
                return PREAB, FOREVER
            return PREAB, max(clock, rank_legal_at(s, t, node, PREAB))
        if command == HALT:
            return HALT, max(clock, rank_quiet_at(s, t, node, ACT))
        return REFAB, max(clock, rank_legal_at(s, t, node, REFAB))
    if command == REFPB and s["banks"][node]["open_row"] < 0:
        return REFPB, max(clock, legal_at(s, t, node, REFPB))
    if s["banks"][node]["active_slot"] > 0:
        return PREPB, FOREVER
    return PREPB, max(clock, legal_at(s, t, node, PREPB))


@jit
def plan_active(s, t, clock):
    """The active requests' earliest column command, as a key and its slot: the first to arrive, of those the first activated."""
    best = ABSENT
    best_slot = 0
    for i in range(s["actives"]):
        slot = s["active"][i]
        wait = wait_for(
            s, t, s["slots"][slot]["bank"], t["column_command"][s["slots"][slot]["queue"]], clock
        )
        key = (wait << AGE_BITS) + s["slots"][slot]["arrive"]
        if key < best:
            best = key
            best_slot = slot
    return best, best_slot


@jit(forceinline=True)
def plan(s, t, clock):
    """Find the command that issues next, from `clock` on: active requests before maintenance before queued requests."""
    s["planned"] = 1
    s["plan_at"] = FOREVER
    s["plan_kind"] = IDLE
    key, slot = plan_active(s, t, clock)
    if key < ABSENT:
        s["plan_at"] = clock + (key >> AGE_BITS)
        s["plan_kind"] = ACTIVE
        s["plan_slot"] = slot
        s["plan_command"] = t["column_command"][s["slots"][slot]["queue"]]
        if s["plan_at"] == clock:
            return
    if s["priorities"] > 0:
        command, at = plan_maintenance(s, t, clock)
        if at < s["plan_at"]:
            s["plan_at"] = at
            s["plan_kind"] = PRIORITY
            s["plan_command"] = command
        return
    update_write_mode(s, t)
    stale_closed = is_stale(s, t, 0, clock)
    stale_open = is_stale(s, t, 1, clock)
    if t["scheduler"] == FCFS:
        if stale_closed or stale_open:
            plan_strictly(s, t, s["write_mode"], clock)
    else:
        if stale_closed:
            plan_closed(s, t, s["write_mode"], clock)
        if stale_open:
            plan_open(s, t, s["write_mode"], clock)
    take_queue_plan(s)


@jit
def take_queue_plan(s):
    """The queue's plan, the earlier or older of the two kept, is the channel's where it comes strictly before an active request's."""
    opened = 0
    if s["kept_at"][1] < s["kept_at"][0] or (
        s["kept_at"][1] == s["kept_at"][0]
        and s["slots"][s["kept_slot"][1]]["age"] < s["slots"][s["kept_slot"][0]]["age"]
    ):
        opened = 1
    if s["kept_at"][opened] < s["plan_at"]:
        s["plan_at"] = s["kept_at"][opened]
        s["plan_kind"] = QUEUED
        s["plan_slot"] = s["kept_slot"][opened]
        s["plan_command"] = s["kept_command"][opened]
        s["due"] = min(s["due"], s["plan_at"])


@jit
def note_arrival(s, t, slot, clock):
    """A request has arrived and can be served from `clock` on: keep, better or void the plans."""
    # The mode is decided once a clock, after all arrivals, and not at all while maintenance waits: leave it to `plan`.
    if s["planned"] and s["priorities"] == 0 and wanted_mode(s, t) != s["write_mode"]:
        s["planned"] = 0
        s["due"] = clock
    queue = s["slots"][slot]["queue"]
    if queue != s["write_mode"]:
        return
    bank = s["slots"][slot]["bank"]
    opened = is_open(s, bank)
    hit = s["banks"][bank]["hit"][queue]
    other = s["banks"][bank]["other"][queue]
    if s["kept"][opened] == 0 or (hit != slot and other != slot):
        return
    if t["scheduler"] == FCFS:
        if s["length"][queue] > 1:
            return
    elif t["scheduler"] == ROW_HIT and hit > 0 and other > 0:
        # A conflict behind a hit waits; a hit of the same clock may void a planned precharge.
        forget_plans(s)
        s["planned"] = 0
        s["due"] = clock
        return
    offer_to_plan(s, t, slot, clock)
    if s["planned"] and s["priorities"] == 0:
        take_queue_plan(s)


@jit(forceinline=True)
def accept(s, t, queue, bank, row, column, line, arrive, tag, tensor):
    """Offer a request to the channel: 0 refused, 1 queued, 2 done at once (forwarded or coalesced)."""
    if find_write(s, bank, line):
        s["accepted"][queue] += 1
        if queue == 1:
            s["coalesced"] += 1
        else:
            s["forwarded"] += 1
            count_departure(s, arrive, arrive + 1, tag)
        return 2
    if s["length"][queue] >= t["queue_size"][queue]:
        return 0
    s["accepted"][queue] += 1
    slot = enqueue(s, queue, bank, row, column, line, arrive, tag, tensor)
    if t["power_down"]:
        add_work(s, t, t["rank_of"][bank], arrive + 1)
    note_arrival(s, t, slot, arrive + 1)
    return 1


@jit
def count_departure(s, arrive, departure, tag):
    """A read's data will be complete at `departure`."""
    if s["keep_returns"]:
        at = s["returns"]
        s["return_at"][at] = departure
        s["return_tag"][at] = tag
        s["returns"] = at + 1
    latency = departure - arrive
    s["latency_sum"] += latency
    s["latency_max"] = max(s["latency_max"], latency)
    s["latency"][min(latency, LATENCY_BINS - 1)] += 1
    s["last_departure"] = max(s["last_departure"], departure)
