"""What the caches ask of memory: lines to fetch and to write, on their way and noted until they are back."""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.controller.address import CHANNEL, COLUMN, ROW, flat_bank, gather
from edensim.kernels.controller.state import FOREVER
from edensim.kernels.sources.loop_nests.state import LINE_BITS, MAX_OUT
from edensim.kernels.sources.loop_nests.window import tick_of

REGION_FIRST, REGION_LAST, REGION_TENSOR = 0, 1, 2


@jit
def tensor_of(regions, line):
    """Tensor that a line belongs to; regions: first and last line and tensor of each, in order of address."""
    low = 0
    high = regions.shape[0] // 3
    while low < high:
        middle = (low + high) // 2
        if regions[3 * middle + REGION_LAST] < line:
            low = middle + 1
        else:
            high = middle
    if 3 * low < regions.shape[0] and regions[3 * low + REGION_FIRST] <= line:
        return regions[3 * low + REGION_TENSOR]
    return -1


@jit
def send(h, m, regions, moved, line, tag, slot):
    """A line is to be fetched for `tag`, or written (-1), from a slot on."""
    tensor = tensor_of(regions, line)
    at = 2 * tensor if tensor >= 0 else moved.shape[0] - 2  # the last: what belongs to no tensor
    moved[at + (tag < 0)] += 1
    if h["functional"]:
        return
    for part in range(h["parts"]):
        m["address"][0] = (line << LINE_BITS) + (part << h["part_bits"])
        gather(m, 1)
        at = h["transfers"]
        due = tick_of(h, slot)
        h["next_due"] = min(h["next_due"], due)
        h["transfer_due"][at] = due
        h["transfer_line"][at] = m["address"][0] >> m["offset_bits"]
        h["transfer_row"][at] = m["value"][ROW, 0]
        h["transfer_column"][at] = m["value"][COLUMN, 0]
        h["transfer_bank"][at] = flat_bank(m, 0)
        h["transfer_channel"][at] = m["value"][CHANNEL, 0]
        h["transfer_tensor"][at] = tensor
        h["transfer_tag"][at] = tag
        h["transfers"] = at + 1


@jit
def write_back(h, u, m, regions, moved, line):
    """A written line leaves the last level."""
    h["llc_writebacks"] += 1
    send(h, m, regions, moved, line, -1, u["now"] + h["miss_latency"])


@jit
def owed(h, cores, line):
    """Where a line on its way is noted: core * MAX_OUT + register; -1 if memory owes it no more."""
    for c in range(h["cores"]):
        u = cores[c]
        for o in range(2 * h["misses_allowed"]):
            if u["out_line"][o] == line:
                return c * MAX_OUT + o
    return -1


@jit
def fetch(h, u, m, regions, moved, line, first_register):
    """Ask memory for a line; returns the register that waits for it."""
    register = first_register
    if h["functional"] == 0:
        while u["out_line"][register] >= 0:
            register += 1
        u["out_line"][register] = line
        u["out_done"][register] = FOREVER
        u["out_parts"][register] = h["parts"]
        u["out_activated"][register] = 0
    send(h, m, regions, moved, line, u["index"] * MAX_OUT + register, u["now"] + h["miss_latency"])
    return register
