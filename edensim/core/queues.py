"""Request queues: per bank a list in order of age, with its oldest row hit and oldest conflict kept up to date.

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
    while slot >= 0:
        if s["slot_line"][slot] == line:
            return True
        slot = s["slot_next"][slot]
    return False


@jit
def enqueue(s, queue, bank, row, column, line, arrive, tag):
    """Append a request; returns its slot."""
    s["frees"] -= 1
    slot = s["free"][s["frees"]]
    s["slot_line"][slot] = line
    s["slot_row"][slot] = row
    s["slot_column"][slot] = column
    s["slot_bank"][slot] = bank
    s["slot_queue"][slot] = queue
    s["slot_arrive"][slot] = arrive
    s["slot_age"][slot] = s["age"]
    s["slot_seen"][slot] = 0
    s["slot_tag"][slot] = tag
    s["slot_next"][slot] = -1
    s["age"] += 1
    s["length"][queue] += 1
    tail = s["tail"][queue, bank]
    s["slot_previous"][slot] = tail
    if tail >= 0:
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
    opened = s["open_row"][bank]
    if opened >= 0:
        if opened == row:
            if s["hit"][queue, bank] < 0:
                s["hit"][queue, bank] = slot
        elif s["conflict"][queue, bank] < 0:
            s["conflict"][queue, bank] = slot
    return slot


@jit
def unlink(s, slot):
    """Take a request out of its queue (its slot stays in use)."""
    queue = s["slot_queue"][slot]
    bank = s["slot_bank"][slot]
    before = s["slot_previous"][slot]
    after = s["slot_next"][slot]
    if before >= 0:
        s["slot_next"][before] = after
    else:
        s["head"][queue, bank] = after
    if after >= 0:
        s["slot_previous"][after] = before
    else:
        s["tail"][queue, bank] = before
    if before < 0 and after < 0:
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
    """Oldest request for `row` from `slot` on, -1 without."""
    while slot >= 0 and s["slot_row"][slot] != row:
        slot = s["slot_next"][slot]
    return slot


@jit
def classify(s, bank, row):
    """A row was opened: find each queue's oldest hit and oldest conflict on the bank."""
    for queue in range(2):
        hit = -1
        conflict = -1
        slot = s["head"][queue, bank]
        while slot >= 0 and (hit < 0 or conflict < 0):
            if s["slot_row"][slot] == row:
                if hit < 0:
                    hit = slot
            elif conflict < 0:
                conflict = slot
            slot = s["slot_next"][slot]
        s["hit"][queue, bank] = hit
        s["conflict"][queue, bank] = conflict
