"""Request queues: per bank a list in order of age, with its oldest row hit and its oldest other request kept up to date.

Scheduling never scans requests: of all requests of a bank that need the same command, only the oldest can be the next one.
"""

from __future__ import annotations

from edensim.core.jit import jit
from edensim.core.state import FILTER


@jit
def filter_index(line):
    """Counter of a line in the write-queue filter."""
    return (line ^ (line >> 10) ^ (line >> 20)) & (FILTER - 1)


@jit
def find_write(s, bank, line):
    """Whether the write queue holds this line."""
    if s["filter"][filter_index(line)] == 0:
        return False
    slot = s["head"][1, bank]
    while slot > 0:
        if s["slot_line"][slot] == line:
            return True
        slot = s["slot_next"][slot]
    return False


@jit
def enqueue(s, queue, bank, row, column, line, arrive, tag, tensor):
    """Append a request; returns its slot."""
    frees = s["frees"] - 1
    s["frees"] = frees
    slot = s["free"][frees]
    s["slot_line"][slot] = line
    s["slot_row"][slot] = row
    s["slot_column"][slot] = column
    s["slot_bank"][slot] = bank
    s["slot_queue"][slot] = queue
    s["slot_arrive"][slot] = arrive
    s["slot_age"][slot] = s["age"]
    s["slot_seen"][slot] = 0
    s["slot_tag"][slot] = tag
    s["slot_tensor"][slot] = tensor
    s["slot_next"][slot] = 0
    s["age"] += 1
    s["length"][queue] += 1
    tail = s["tail"][queue, bank]
    s["slot_previous"][slot] = tail
    if tail > 0:
        s["slot_next"][tail] = slot
    else:
        s["head"][queue, bank] = slot
        at = s["occupieds"][queue]
        s["occupied"][queue, at] = bank
        s["occupied_at"][queue, bank] = at
        s["occupieds"][queue] = at + 1
    s["tail"][queue, bank] = slot
    if queue == 1:
        s["filter"][filter_index(line)] += 1
    if s["open_row"][bank] == row:
        if s["hit"][queue, bank] == 0:
            s["hit"][queue, bank] = slot
    elif s["other"][queue, bank] == 0 and s["active_slot"][bank] == 0:
        s["other"][queue, bank] = slot
    return slot


@jit
def unlink(s, slot):
    """Take a request out of its queue (its slot stays in use)."""
    queue = s["slot_queue"][slot]
    bank = s["slot_bank"][slot]
    before = s["slot_previous"][slot]
    after = s["slot_next"][slot]
    if before > 0:
        s["slot_next"][before] = after
    else:
        s["head"][queue, bank] = after
    if after > 0:
        s["slot_previous"][after] = before
    else:
        s["tail"][queue, bank] = before
        if before == 0:
            last = s["occupieds"][queue] - 1
            at = s["occupied_at"][queue, bank]
            moved = s["occupied"][queue, last]
            s["occupied"][queue, at] = moved
            s["occupied_at"][queue, moved] = at
            s["occupieds"][queue] = last
    s["length"][queue] -= 1
    if queue == 1:
        s["filter"][filter_index(s["slot_line"][slot])] -= 1


@jit
def release(s, slot):
    """Give a slot back."""
    s["free"][s["frees"]] = slot
    s["frees"] += 1


@jit
def next_hit(s, slot, row):
    """Oldest request for `row` from `slot` on, 0 without."""
    while slot > 0 and s["slot_row"][slot] != row:
        slot = s["slot_next"][slot]
    return slot


@jit
def next_other(s, slot, row):
    """Oldest request for another row than `row` from `slot` on, 0 without."""
    while slot > 0 and s["slot_row"][slot] == row:
        slot = s["slot_next"][slot]
    return slot


@jit
def find_hits(s, bank, row):
    """A row was opened for an active request: find each queue's oldest hit; the others have to wait."""
    for queue in range(2):
        s["hit"][queue, bank] = next_hit(s, s["head"][queue, bank], row)
        s["other"][queue, bank] = 0


@jit
def find_others(s, bank, row):
    """The active request is done: other rows may be asked for again."""
    for queue in range(2):
        s["other"][queue, bank] = next_other(s, s["head"][queue, bank], row)


@jit
def forget_hits(s, bank):
    """The row was closed: every request of the bank needs an activation, the oldest first."""
    for queue in range(2):
        s["hit"][queue, bank] = 0
        s["other"][queue, bank] = s["head"][queue, bank]
