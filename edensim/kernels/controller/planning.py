"""The next command of the queue in service, on closed and on open banks: found in one pass, kept while nothing can come before it."""

from __future__ import annotations

from edensim.kernels.codes import ACT, CLOSED, PREPB, ROW_HIT
from edensim.kernels.compile import jit
from edensim.kernels.controller.queues import is_open
from edensim.kernels.controller.state import (
    ABSENT,
    FAR,
    FOREVER,
    QUEUE_AGE_BITS,
    SLOT_MASK,
    WHO_BITS,
)
from edensim.kernels.controller.timing import legal_at


@jit
def wait_for(s, t, bank, command, clock):
    """Clocks until a bank's command is legal, 0 if it is. Branch-free, because which bank is ready cannot be predicted."""
    wait = legal_at(s, t, bank, command) - clock
    return wait & ~(wait >> 63)


@jit
def candidate_key(s, t, bank, command, slot, is_hit, clock):
    """Order of a queued candidate: clocks until it is legal, then age; who it is lies below, so that the smallest key alone tells all."""
    wait = min(wait_for(s, t, bank, command, clock), FAR)
    return (((wait << QUEUE_AGE_BITS) + s["slots"][slot]["age"]) << WHO_BITS) + (slot << 1) + is_hit


@jit
def forget_plans(s):
    """Anything may have changed for the queues."""
    s["kept"][0] = 0
    s["kept"][1] = 0


@jit
def next_command(s, t, slot):
    """Command that brings a queued request forward; -1 if it is held back."""
    bank = s["slots"][slot]["bank"]
    opened = s["banks"][bank]["open_row"]
    if opened < 0:
        return ACT
    held = s["banks"][bank]["active_slot"] > 0
    if opened == s["slots"][slot]["row"]:
        if held and t["row_policy"] == CLOSED:
            return -1
        return int(t["column_command"][s["slots"][slot]["queue"]])
    return -1 if held else PREPB


@jit
def plan_strictly(s, t, queue, clock):
    """FCFS: only the oldest request of the queue."""
    oldest = 0
    for opened in range(2):
        for i in range(s["occupieds"][queue, opened]):
            slot = s["banks"][s["occupied"][queue, opened, i]]["head"][queue]
            if oldest == 0 or s["slots"][slot]["age"] < s["slots"][oldest]["age"]:
                oldest = slot
    keep(s, 0, FOREVER, 0, 0)
    keep(s, 1, FOREVER, 0, 0)
    if oldest > 0:
        bank = s["slots"][oldest]["bank"]
        command = next_command(s, t, oldest)
        if command >= 0:
            keep(s, is_open(s, bank), max(clock, legal_at(s, t, bank, command)), oldest, command)


@jit
def keep(s, opened, at, slot, command):
    """Keep a plan for closed or open banks; clock FOREVER: nothing to do there."""
    s["kept"][opened] = 1
    s["kept_at"][opened] = at
    s["kept_slot"][opened] = slot
    s["kept_command"][opened] = command


@jit
def plan_closed(s, t, queue, clock):
    """First-ready among closed banks: the earliest activation, the oldest request of those at the same clock."""
    best = ABSENT
    for i in range(s["occupieds"][queue, 0]):
        bank = s["occupied"][queue, 0, i]
        best = min(best, candidate_key(s, t, bank, ACT, s["banks"][bank]["head"][queue], 0, clock))
    keep_best(s, t, queue, 0, best, ACT, clock)


@jit
def plan_open(s, t, queue, clock):
    """First-ready among open banks: the earliest column command or precharge, the oldest request of those at the same clock."""
    best = ABSENT
    column = t["column_command"][queue]
    plain = t["row_policy"] != CLOSED and t["scheduler"] != ROW_HIT
    for i in range(s["occupieds"][queue, 1]):
        bank = s["occupied"][queue, 1, i]
        hit = s["banks"][bank]["hit"][queue]
        other = s["banks"][bank]["other"][queue]
        if not plain:
            if t["row_policy"] == CLOSED and s["banks"][bank]["active_slot"] > 0:
                hit = 0
            if is_passed_over(s, t, hit, other):
                other = 0
        if hit > 0:
            best = min(best, candidate_key(s, t, bank, column, hit, 1, clock))
        if other > 0:
            best = min(best, candidate_key(s, t, bank, PREPB, other, 0, clock))
    keep_best(s, t, queue, 1, best, PREPB, clock)


@jit
def is_passed_over(s, t, hit, other):
    """Row hit first: a request that needs a precharge waits for a row hit of its bank that arrived no later."""
    return t["scheduler"] == ROW_HIT and s["slots"][hit]["arrive"] <= s["slots"][other]["arrive"]


@jit
def keep_best(s, t, queue, opened, best, command, clock):
    """Keep the candidate with the smallest key; `command` is what one without a row hit needs."""
    if best == ABSENT:
        keep(s, opened, FOREVER, 0, 0)
        return
    wait = best >> (QUEUE_AGE_BITS + WHO_BITS)
    if wait >= FAR:
        plan_far(s, t, queue, opened, command, clock)
        return
    keep(
        s,
        opened,
        clock + wait,
        (best >> 1) & SLOT_MASK,
        int(t["column_command"][queue]) if best & 1 else command,
    )


@jit
def plan_far(s, t, queue, opened, command, clock):
    """The same without keys, for waits that do not fit into one (a change of operating point that settles)."""
    keep(s, opened, FOREVER, 0, 0)
    column = int(t["column_command"][queue])
    for i in range(s["occupieds"][queue, opened]):
        bank = s["occupied"][queue, opened, i]
        hit = s["banks"][bank]["hit"][queue] if opened else 0
        other = s["banks"][bank]["other"][queue] if opened else s["banks"][bank]["head"][queue]
        if opened and is_passed_over(s, t, hit, other):
            other = 0
        if hit > 0 and not (t["row_policy"] == CLOSED and s["banks"][bank]["active_slot"] > 0):
            keep_better(s, opened, max(clock, legal_at(s, t, bank, column)), hit, column)
        if other > 0:
            keep_better(s, opened, max(clock, legal_at(s, t, bank, command)), other, command)


@jit
def keep_better(s, opened, at, slot, command):
    """Keep a candidate if it comes before the kept one, or at the same clock and is older."""
    kept_at = s["kept_at"][opened]
    if at < kept_at or (
        at == kept_at and s["slots"][slot]["age"] < s["slots"][s["kept_slot"][opened]]["age"]
    ):
        keep(s, opened, at, slot, command)


@jit
def is_stale(s, t, opened, clock):
    """Whether a kept plan has to be made again: it lies behind (others may be legal and older by now), or its command has been put off."""
    at = s["kept_at"][opened]
    if s["kept"][opened] == 0 or at < clock:
        return True
    return (
        at < FOREVER
        and legal_at(s, t, s["slots"][s["kept_slot"][opened]]["bank"], s["kept_command"][opened])
        > at
    )


@jit
def offer_to_plan(s, t, slot, clock):
    """A request that may be its bank's next one: let it better the kept plan."""
    bank = s["slots"][slot]["bank"]
    opened = is_open(s, bank)
    command = next_command(s, t, slot)
    if command < 0 or s["kept"][opened] == 0:
        return
    keep_better(s, opened, max(clock, legal_at(s, t, bank, command)), slot, command)
