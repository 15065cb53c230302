"""One controller step: plan the next command of a channel, issue it, do what it does to banks, queues and counts.

The written rule (ties, holding back, write mode) is the docstring of `edensim.reference.controller`. A plan says which command issues next
if nothing arrives before; it is made once per issued command, and an arrival either leaves it, improves it or voids it.
"""

from __future__ import annotations

from edensim.core.jit import jit
from edensim.core.queues import classify, enqueue, find_write, next_hit, release, unlink
from edensim.core.state import ACTIVE, FOREVER, IDLE, LATENCY_BINS, MAX_PRIORITY, PRIORITY, QUEUED
from edensim.core.timing import constrain_bank, constrain_rank, legal_at, rank_legal_at
from edensim.vocabulary import Command, Refresh, RowPolicy, Scheduler

ACT = int(Command.ACT)
PREPB = int(Command.PREpb)
PREAB = int(Command.PREab)
RD = int(Command.RD)
WR = int(Command.WR)
RDA = int(Command.RDA)
WRA = int(Command.WRA)
REFAB = int(Command.REFab)
REFPB = int(Command.REFpb)
CLOSED = int(RowPolicy.CLOSED)
CAPPED = int(RowPolicy.CAPPED)
ROW_HIT = int(Scheduler.FRFCFS_ROW_HIT)
FCFS = int(Scheduler.FCFS)
ALL_BANK = int(Refresh.ALL_BANK)
PER_BANK = int(Refresh.PER_BANK)


@jit
def update_write_mode(s, t):
    """Drain writes when many wait or no read does; back to reads when few are left and a read waits."""
    if s["write_mode"] == 0:
        if s["length"][1] > t["write_high"] or s["length"][0] == 0:
            s["write_mode"] = 1
    elif s["length"][1] < t["write_low"] and s["length"][0] != 0:
        s["write_mode"] = 0


@jit
def push_priority(s, command, node):
    """Append a maintenance command."""
    if s["priorities"] == MAX_PRIORITY:
        s["overflow"] = 1
        return
    at = (s["priority_head"] + s["priorities"]) % MAX_PRIORITY
    s["priority_command"][at] = command
    s["priority_node"][at] = node
    s["priorities"] += 1


@jit
def queue_refreshes(s, t, clock):
    """Refreshes that fall due at this clock join the maintenance queue."""
    if t["refresh"] == ALL_BANK:
        for rank in range(t["ranks"]):
            push_priority(s, REFAB, rank)
    else:
        push_priority(s, REFPB, s["next_refresh_bank"])
        s["next_refresh_bank"] = (s["next_refresh_bank"] + 1) % t["banks"]
    s["next_refresh"] = clock + t["nREFI"]


@jit
def queue_closings(s, t, clock):
    """Capped rows: a precharge joins the maintenance queue once it is legal; `close_at` is when the next one will be."""
    s["close_at"] = FOREVER
    for bank in range(t["banks"]):
        if s["served"][bank] >= t["row_cap"] and s["close_queued"][bank] == 0:
            at = legal_at(s, t, bank, PREPB)
            if at <= clock:
                push_priority(s, PREPB, bank)
                s["close_queued"][bank] = 1
            else:
                s["close_at"] = min(s["close_at"], at)


@jit
def plan_maintenance(s, t, clock):
    """Next command for the head of the maintenance queue and its earliest clock; an open active row holds a closing command back."""
    command = s["priority_command"][s["priority_head"]]
    node = s["priority_node"][s["priority_head"]]
    if command == REFAB:
        if s["rank_open"][node] > 0:
            command = PREAB
            if s["rank_actives"][node] > 0:
                return command, FOREVER
        return command, max(clock, rank_legal_at(s, t, node, command))
    if command == REFPB and s["open_row"][node] >= 0:
        command = PREPB
    if command == PREPB and s["active_slot"][node] >= 0:
        return command, FOREVER
    return command, max(clock, legal_at(s, t, node, command))


@jit
def next_command(s, t, slot):
    """Command that brings a queued request forward, -1 if it is held back."""
    bank = s["slot_bank"][slot]
    opened = s["open_row"][bank]
    if opened < 0:
        return ACT
    if opened == s["slot_row"][slot]:
        if t["row_policy"] == CLOSED and s["active_slot"][bank] >= 0:
            return -1
        return t["column_command"][s["slot_queue"][slot]]
    if s["active_slot"][bank] >= 0:
        return -1
    return PREPB


@jit
def plan_strictly(s, t, queue, clock):
    """FCFS: only the oldest request of the queue."""
    oldest = -1
    for i in range(s["occupieds"][queue]):
        slot = s["head"][queue, s["occupied"][queue, i]]
        if oldest < 0 or s["slot_age"][slot] < s["slot_age"][oldest]:
            oldest = slot
    if oldest >= 0:
        command = next_command(s, t, oldest)
        if command >= 0:
            consider(s, QUEUED, oldest, command, max(clock, legal_at(s, t, s["slot_bank"][oldest], command)))


@jit
def consider(s, kind, slot, command, at):
    """Take this candidate into the plan if it comes earlier, or as early and older."""
    if at < s["plan_at"] or (at == s["plan_at"] and s["slot_age"][slot] < s["plan_age"]):
        s["plan_at"] = at
        s["plan_kind"] = kind
        s["plan_slot"] = slot
        s["plan_command"] = command
        s["plan_age"] = s["slot_age"][slot]


@jit
def plan_queue(s, t, queue, clock):
    """Earliest command of a queue, oldest first among those of the same clock. An active request keeps the plan on a tie."""
    best_at = FOREVER
    best_age = FOREVER
    best_slot = -1
    best_command = -1
    column = t["column_command"][queue]
    closed = t["row_policy"] == CLOSED
    row_hit = t["scheduler"] == ROW_HIT
    for i in range(s["occupieds"][queue]):
        bank = s["occupied"][queue, i]
        rank = t["rank_of"][bank]
        group = t["group_of"][bank]
        if s["open_row"][bank] < 0:
            slot = s["head"][queue, bank]
            at = max(clock, max(s["bank_ready"][bank, ACT], max(s["group_ready"][group, ACT], s["rank_ready"][rank, ACT])))
            age = s["slot_age"][slot]
            if at < best_at or (at == best_at and age < best_age):
                best_at, best_age, best_slot, best_command = at, age, slot, ACT
            continue
        held = s["active_slot"][bank] >= 0
        hit = s["hit"][queue, bank]
        if hit >= 0 and not (closed and held):
            at = max(clock, max(s["bank_ready"][bank, column], max(s["group_ready"][group, column], s["rank_ready"][rank, column])))
            age = s["slot_age"][hit]
            if at < best_at or (at == best_at and age < best_age):
                best_at, best_age, best_slot, best_command = at, age, hit, column
        slot = s["conflict"][queue, bank]
        if slot >= 0 and not held:
            age = s["slot_age"][slot]
            if not (row_hit and hit >= 0 and s["slot_age"][hit] < age):
                at = max(clock, max(s["bank_ready"][bank, PREPB], max(s["group_ready"][group, PREPB], s["rank_ready"][rank, PREPB])))
                if at < best_at or (at == best_at and age < best_age):
                    best_at, best_age, best_slot, best_command = at, age, slot, PREPB
    if best_at < s["plan_at"]:
        s["plan_at"] = best_at
        s["plan_kind"] = QUEUED
        s["plan_slot"] = best_slot
        s["plan_command"] = best_command
        s["plan_age"] = best_age


@jit
def plan(s, t, clock):
    """Find the command that issues next, from `clock` on."""
    s["planned"] = 1
    s["plan_at"] = FOREVER
    s["plan_age"] = FOREVER
    s["plan_kind"] = IDLE
    for i in range(s["actives"]):
        slot = s["active"][i]
        command = t["column_command"][s["slot_queue"][slot]]
        consider(s, ACTIVE, slot, command, max(clock, legal_at(s, t, s["slot_bank"][slot], command)))
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
    if t["scheduler"] == FCFS:
        before = s["plan_at"]
        kind = s["plan_kind"]
        slot = s["plan_slot"]
        command = s["plan_command"]
        s["plan_at"] = FOREVER
        plan_strictly(s, t, s["write_mode"], clock)
        if before <= s["plan_at"]:
            s["plan_at"] = before
            s["plan_kind"] = kind
            s["plan_slot"] = slot
            s["plan_command"] = command
    else:
        plan_queue(s, t, s["write_mode"], clock)


@jit
def replan_for(s, t, slot, clock):
    """A request has arrived and can be served from `clock` on: keep, improve or void the plan."""
    if s["planned"] == 0 or s["priorities"] > 0 or (s["plan_kind"] == ACTIVE and s["plan_at"] == clock):
        return
    mode = s["write_mode"]
    update_write_mode(s, t)
    if s["write_mode"] != mode:
        s["planned"] = 0
        s["due"] = clock
        return
    queue = s["slot_queue"][slot]
    if queue != mode:
        return
    bank = s["slot_bank"][slot]
    first = s["head"][queue, bank] == slot or s["hit"][queue, bank] == slot or s["conflict"][queue, bank] == slot
    if not first or (t["scheduler"] == FCFS and s["length"][queue] > 1):
        return
    if t["scheduler"] == ROW_HIT and s["conflict"][queue, bank] == slot and s["hit"][queue, bank] >= 0:
        return
    command = next_command(s, t, slot)
    if command < 0:
        return
    at = max(clock, legal_at(s, t, bank, command))
    if at < s["plan_at"]:
        s["plan_at"] = at
        s["plan_kind"] = QUEUED
        s["plan_slot"] = slot
        s["plan_command"] = command
        s["plan_age"] = s["slot_age"][slot]
        s["due"] = min(s["due"], at)


@jit
def accept(s, t, queue, bank, row, column, line, arrive, tag):
    """Offer a request to the channel: 0 refused, 1 queued, 2 done at once (forwarded or coalesced)."""
    if find_write(s, bank, line):
        s["accepted"][queue] += 1
        if queue == 1:
            s["coalesced"] += 1
        else:
            s["forwarded"] += 1
            count_departure(s, arrive, arrive + 1)
        return 2
    if s["length"][queue] >= t["queue_size"][queue]:
        return 0
    s["accepted"][queue] += 1
    slot = enqueue(s, queue, bank, row, column, line, arrive, tag)
    replan_for(s, t, slot, arrive + 1)
    return 1


@jit
def count_departure(s, arrive, departure):
    """A read's data is complete."""
    latency = departure - arrive
    s["latency_sum"] += latency
    if latency > s["latency_max"]:
        s["latency_max"] = latency
    s["latency"][min(latency, LATENCY_BINS - 1)] += 1
    if departure > s["last_departure"]:
        s["last_departure"] = departure


@jit
def open_bank(s, t, bank, row, clock):
    rank = t["rank_of"][bank]
    s["open_row"][bank] = row
    s["opened_at"][bank] = clock
    s["served"][bank] = 0
    if s["rank_open"][rank] == 0 and clock > s["rank_closed_at"][rank]:
        s["rank_active_cycles"][rank] += s["rank_closed_at"][rank] - s["rank_opened_at"][rank]
        s["rank_opened_at"][rank] = clock
    s["rank_open"][rank] += 1
    classify(s, bank, row)


@jit
def close_bank(s, t, bank, clock):
    s["served"][bank] = 0
    s["close_queued"][bank] = 0
    if s["open_row"][bank] < 0:
        return
    rank = t["rank_of"][bank]
    s["open_row"][bank] = -1
    s["closings"][bank] += 1
    s["rank_open"][rank] -= 1
    s["rank_closed_at"][rank] = max(clock, s["rank_closed_at"][rank])
    for queue in range(2):
        s["hit"][queue, bank] = -1
        s["conflict"][queue, bank] = -1


@jit
def issue_maintenance(s, t, command, clock):
    """Issue the next command of the maintenance queue's head; returns the node it addresses."""
    node = s["priority_node"][s["priority_head"]]
    if command == s["priority_command"][s["priority_head"]]:
        s["priority_head"] = (s["priority_head"] + 1) % MAX_PRIORITY
        s["priorities"] -= 1
    if command == PREAB or command == REFAB:
        first = node * t["banks_per_rank"]
        s["commands"][first, command] += 1
        constrain_rank(s, t, node, command, clock)
        if command == REFAB:
            s["rank_refreshed_at"][node] = clock
        else:
            for bank in range(first, first + t["banks_per_rank"]):
                close_bank(s, t, bank, clock)
    else:
        s["commands"][node, command] += 1
        constrain_bank(s, t, node, command, clock)
        if command == PREPB:
            close_bank(s, t, node, clock)
    return node


@jit
def count_row_state(s, slot):
    """Hit, miss or conflict: what the request's first command found."""
    s["slot_seen"][slot] = 1
    opened = s["open_row"][s["slot_bank"][slot]]
    state = 1 if opened < 0 else (0 if opened == s["slot_row"][slot] else 2)
    s["row_states"][s["slot_queue"][slot], state] += 1


@jit
def with_auto_precharge(s, t, slot, bank, command, clock):
    """Capped rows: a column command past the cap closes its row, unless another active request still needs it."""
    if s["served"][bank] < t["row_cap"]:
        return command
    owner = s["active_slot"][bank]
    closing = RDA if command == RD else WRA
    if (owner >= 0 and owner != slot) or legal_at(s, t, bank, closing) > clock:
        return command
    return closing


@jit
def issue_request(s, t, kind, slot, command, clock):
    """Issue a request's next command; returns the command that went out."""
    bank = s["slot_bank"][slot]
    if s["slot_seen"][slot] == 0:
        count_row_state(s, slot)
    if t["row_policy"] == CAPPED and (command == RD or command == WR):
        command = with_auto_precharge(s, t, slot, bank, command, clock)
    s["commands"][bank, command] += 1
    constrain_bank(s, t, bank, command, clock)
    if command == ACT:
        unlink(s, slot)
        s["active"][s["actives"]] = slot
        s["actives"] += 1
        s["active_slot"][bank] = slot
        s["rank_actives"][t["rank_of"][bank]] += 1
        open_bank(s, t, bank, s["slot_row"][slot], clock)
    elif command == PREPB:
        close_bank(s, t, bank, clock)
    else:
        finish_request(s, t, kind, slot, bank, clock)
        if command == RDA or command == WRA:
            wait = t["close_after_read"] if command == RDA else t["close_after_write"]
            close_bank(s, t, bank, max(clock + wait, s["opened_at"][bank] + t["close_after_act"]))
        else:
            s["served"][bank] += 1
    return command


@jit
def finish_request(s, t, kind, slot, bank, clock):
    """A column command was issued: the request leaves; a read's data follows."""
    queue = s["slot_queue"][slot]
    if kind == ACTIVE:
        for i in range(s["actives"]):
            if s["active"][i] == slot:
                s["active"][i] = s["active"][s["actives"] - 1]
                break
        s["actives"] -= 1
        s["active_slot"][bank] = -1
        s["rank_actives"][t["rank_of"][bank]] -= 1
    else:
        s["hit"][queue, bank] = next_hit(s, s["slot_next"][slot], s["open_row"][bank])
        unlink(s, slot)
    if queue == 0:
        count_departure(s, s["slot_arrive"][slot], clock + t["read_latency"])
    release(s, slot)
