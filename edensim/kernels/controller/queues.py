"""Request queues: per bank a list in order of age, with its oldest row hit and its oldest other request kept up to date.

Scheduling never scans requests: of all requests of a bank that need the same command, only the oldest can be the next one.
"""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.controller.state import FILTER


@jit
def filter_index(line):
    """Counter of a line in the write-queue filter."""
    return (line ^ (line >> 10) ^ (line >> 20)) & (FILTER - 1)


@jit
def find_write(s, bank, line):
    """Whether the write queue holds this line."""
    if s["filter"][filter_index(line)] == 0:
        return False
    slot = s["banks"][bank]["head"][1]
    while slot > 0:
        if s["slots"][slot]["line"] == line:
            return True
        slot = s["slots"][slot]["next"]
    return False


@jit
def is_open(s, bank):
    """1 for an open bank, 0 for a closed one."""
    return 1 if s["banks"][bank]["open_row"] >= 0 else 0


@jit
def list_bank(s, queue, bank, opened):
    """Enter a bank into its queue's list of closed or open banks."""
    at = s["occupieds"][queue, opened]
    s["occupied"][queue, opened, at] = bank
    s["occupied_at"][queue, bank] = at
    s["occupieds"][queue, opened] = at + 1


@jit
def unlist_bank(s, queue, bank, opened):
    """Take a bank out of that list."""
    last = s["occupieds"][queue, opened] - 1
    at = s["occupied_at"][queue, bank]
    moved = s["occupied"][queue, opened, last]
    s["occupied"][queue, opened, at] = moved
    s["occupied_at"][queue, moved] = at
    s["occupieds"][queue, opened] = last


@jit
def relist_bank(s, bank, opened):
    """A bank has been opened or closed: it changes lists."""
    for queue in range(2):
        if s["banks"][bank]["head"][queue] > 0:
            unlist_bank(s, queue, bank, 1 - opened)
            list_bank(s, queue, bank, opened)


@jit
def enqueue(s, queue, bank, row, column, line, arrive, tag, tensor):
    """Append a request; returns its slot."""
    frees = s["frees"] - 1
    s["frees"] = frees
    slot = s["free"][frees]
    s["slots"][slot]["line"] = line
    s["slots"][slot]["row"] = row
    s["slots"][slot]["column"] = column
    s["slots"][slot]["bank"] = bank
    s["slots"][slot]["queue"] = queue
    s["slots"][slot]["arrive"] = arrive
    s["slots"][slot]["age"] = s["age"]
    s["slots"][slot]["seen"] = 0
    s["slots"][slot]["tag"] = tag
    s["slots"][slot]["tensor"] = tensor
    s["slots"][slot]["next"] = 0
    s["age"] += 1
    s["length"][queue] += 1
    tail = s["banks"][bank]["tail"][queue]
    s["slots"][slot]["previous"] = tail
    if tail > 0:
        s["slots"][tail]["next"] = slot
    else:
        s["banks"][bank]["head"][queue] = slot
        list_bank(s, queue, bank, is_open(s, bank))
    s["banks"][bank]["tail"][queue] = slot
    if queue == 1:
        s["filter"][filter_index(line)] += 1
    if s["banks"][bank]["open_row"] == row:
        if s["banks"][bank]["hit"][queue] == 0:
            s["banks"][bank]["hit"][queue] = slot
    elif s["banks"][bank]["other"][queue] == 0 and s["banks"][bank]["active_slot"] == 0:
        s["banks"][bank]["other"][queue] = slot
    return slot


@jit
def unlink(s, slot):
    """Take a request out of its queue (its slot stays in use)."""
    queue = s["slots"][slot]["queue"]
    bank = s["slots"][slot]["bank"]
    before = s["slots"][slot]["previous"]
    after = s["slots"][slot]["next"]
    if before > 0:
        s["slots"][before]["next"] = after
    else:
        s["banks"][bank]["head"][queue] = after
    if after > 0:
        s["slots"][after]["previous"] = before
    else:
        s["banks"][bank]["tail"][queue] = before
        if before == 0:
            unlist_bank(s, queue, bank, is_open(s, bank))
    s["length"][queue] -= 1
    if queue == 1:
        s["filter"][filter_index(s["slots"][slot]["line"])] -= 1


@jit
def release(s, slot):
    """Give a slot back."""
    s["free"][s["frees"]] = slot
    s["frees"] += 1


@jit
def next_hit(s, slot, row):
    """Oldest request for `row` from `slot` on, 0 without."""
    while slot > 0 and s["slots"][slot]["row"] != row:
        slot = s["slots"][slot]["next"]
    return slot


@jit
def next_other(s, slot, row):
    """Oldest request for another row than `row` from `slot` on, 0 without."""
    while slot > 0 and s["slots"][slot]["row"] == row:
        slot = s["slots"][slot]["next"]
    return slot


@jit
def find_hits(s, bank, row):
    """A row was opened for an active request: find each queue's oldest hit; the others have to wait."""
    for queue in range(2):
        s["banks"][bank]["hit"][queue] = next_hit(s, s["banks"][bank]["head"][queue], row)
        s["banks"][bank]["other"][queue] = 0


@jit
def find_others(s, bank, row):
    """The active request is done: other rows may be asked for again."""
    for queue in range(2):
        s["banks"][bank]["other"][queue] = next_other(s, s["banks"][bank]["head"][queue], row)


@jit
def forget_hits(s, bank):
    """The row was closed: every request of the bank needs an activation, the oldest first."""
    for queue in range(2):
        s["banks"][bank]["hit"][queue] = 0
        s["banks"][bank]["other"][queue] = s["banks"][bank]["head"][queue]
