"""The request queues: for each bank a list in order of age.

The oldest row hit and the oldest request for another row are kept up to date. Scheduling never
scans requests: of all requests of a bank that need the same command, only the oldest can be next.
"""

from edensim.kernels.codes import WRITE
from edensim.kernels.compile import jit
from edensim.kernels.controller.channel import CLOSED, OPEN
from edensim.kernels.controller.limits import WRITE_FILTER


@jit
def filter_index(line):
    """Return the counter of a line in the write-queue filter."""
    return (line ^ (line >> 10) ^ (line >> 20)) & (WRITE_FILTER - 1)


@jit
def has_write(channel, bank, line):
    """Return whether the write queue holds this line."""
    if channel["filter"][filter_index(line)] == 0:
        return False
    slot = channel["banks"][bank]["head"][WRITE]
    while slot > 0:
        if channel["slots"][slot]["line"] == line:
            return True
        slot = channel["slots"][slot]["next"]
    return False


@jit
def openness(channel, bank):
    """Return OPEN or CLOSED."""
    return OPEN if channel["banks"][bank]["open_row"] >= 0 else CLOSED


@jit
def list_bank(channel, queue, bank, opened):
    """Enter a bank into its queue's list of closed or open banks."""
    at = channel["occupied_count"][queue, opened]
    channel["occupied"][queue, opened, at] = bank
    channel["occupied_at"][queue, bank] = at
    channel["occupied_count"][queue, opened] = at + 1


@jit
def unlist_bank(channel, queue, bank, opened):
    """Take a bank out of that list."""
    last = channel["occupied_count"][queue, opened] - 1
    at = channel["occupied_at"][queue, bank]
    moved = channel["occupied"][queue, opened, last]
    channel["occupied"][queue, opened, at] = moved
    channel["occupied_at"][queue, moved] = at
    channel["occupied_count"][queue, opened] = last


@jit
def relist_bank(channel, bank, opened):
    """Move a bank that was opened or closed to the other list."""
    for queue in range(2):
        if channel["banks"][bank]["head"][queue] > 0:
            unlist_bank(channel, queue, bank, 1 - opened)
            list_bank(channel, queue, bank, opened)


@jit
def enqueue(channel, place, queue, arrive, tag):
    """Append a request to its queue; return its slot."""
    free_count = channel["free_count"] - 1
    channel["free_count"] = free_count
    slot = channel["free"][free_count]
    row = place["row"]
    bank = place["bank"]
    request = channel["slots"][slot]
    request["line"] = place["line"]
    request["row"] = row
    request["column"] = place["column"]
    request["bank"] = bank
    request["queue"] = queue
    request["arrive"] = arrive
    request["age"] = channel["age"]
    request["state_counted"] = 0
    request["tag"] = tag
    request["tensor"] = place["tensor"]
    request["next"] = 0
    channel["age"] += 1
    channel["length"][queue] += 1
    state = channel["banks"][bank]
    tail = state["tail"][queue]
    request["previous"] = tail
    if tail > 0:
        channel["slots"][tail]["next"] = slot
    else:
        state["head"][queue] = slot
        list_bank(channel, queue, bank, openness(channel, bank))
    state["tail"][queue] = slot
    if queue == WRITE:
        channel["filter"][filter_index(place["line"])] += 1
    if state["open_row"] == row:
        if state["hit"][queue] == 0:
            state["hit"][queue] = slot
    elif state["other"][queue] == 0 and state["active_slot"] == 0:
        state["other"][queue] = slot
    return slot


@jit
def unlink(channel, slot):
    """Take a request out of its queue; its slot stays in use."""
    request = channel["slots"][slot]
    queue = request["queue"]
    bank = request["bank"]
    before = request["previous"]
    after = request["next"]
    if before > 0:
        channel["slots"][before]["next"] = after
    else:
        channel["banks"][bank]["head"][queue] = after
    if after > 0:
        channel["slots"][after]["previous"] = before
    else:
        channel["banks"][bank]["tail"][queue] = before
        if before == 0:
            unlist_bank(channel, queue, bank, openness(channel, bank))
    channel["length"][queue] -= 1
    if queue == WRITE:
        channel["filter"][filter_index(request["line"])] -= 1


@jit
def release(channel, slot):
    """Give a slot back."""
    channel["free"][channel["free_count"]] = slot
    channel["free_count"] += 1


@jit
def next_hit(channel, slot, row):
    """Return the oldest request for `row` from `slot` on, 0 if there is none."""
    while slot > 0 and channel["slots"][slot]["row"] != row:
        slot = channel["slots"][slot]["next"]
    return slot


@jit
def next_other(channel, slot, row):
    """Return the oldest request for another row than `row` from `slot` on, 0 if there is none."""
    while slot > 0 and channel["slots"][slot]["row"] == row:
        slot = channel["slots"][slot]["next"]
    return slot


@jit
def find_hits(channel, bank, row):
    """Find each queue's oldest hit in a row that was just opened for an active request.

    Requests for other rows have to wait until that request is served.
    """
    state = channel["banks"][bank]
    for queue in range(2):
        state["hit"][queue] = next_hit(channel, state["head"][queue], row)
        state["other"][queue] = 0


@jit
def find_others(channel, bank, row):
    """Find each queue's oldest request for another row, now that the active request is served."""
    state = channel["banks"][bank]
    for queue in range(2):
        state["other"][queue] = next_other(channel, state["head"][queue], row)


@jit
def forget_hits(channel, bank):
    """Note that a bank was closed: all its requests need an activation, the oldest first."""
    state = channel["banks"][bank]
    for queue in range(2):
        state["hit"][queue] = 0
        state["other"][queue] = state["head"][queue]
