"""What the caches request from memory: lines to fetch and lines to write.

A line on its way is noted in a miss register of the core that fetches it, until it is back. Its tag
is core * MAX_OUT + register.
"""

from edensim.kernels.compile import jit
from edensim.kernels.controller.address import locate
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.sources.loop_nests.cache import (
    L2,
    L3,
    insert_tag,
    is_dirty,
    write_to_l3,
)
from edensim.kernels.sources.loop_nests.state import LINE_BITS, MAX_OUT
from edensim.kernels.sources.loop_nests.window import clock_of

REGION_FIRST, REGION_LAST, REGION_TENSOR = range(3)
IS_WRITE = -1  # in place of the tag of a line to fetch
NOT_ON_WAY = -1


@jit
def tensor_of(regions, line):
    """Return the tensor that a line belongs to, -1 if none."""
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
def send(caches, line, tag, slot):
    """Request that a line is fetched for `tag`, or written (IS_WRITE), from a slot on."""
    machine = caches.machine
    tensor = tensor_of(caches.regions, line)
    at = 2 * tensor if tensor >= 0 else caches.moved.shape[0] - 2
    caches.moved[at + (tag == IS_WRITE)] += 1
    if machine["functional"]:
        return
    due = clock_of(machine, slot)
    machine["next_due"] = min(machine["next_due"], due)
    for part in range(machine["parts"]):
        at = machine["pending_count"]
        request = machine["pending"][at]
        locate(caches.mapping, (line << LINE_BITS) + (part << machine["part_bits"]), request)
        request["clock"] = due
        request["tensor"] = tensor
        machine["pending_tag"][at] = tag
        machine["pending_count"] = at + 1


@jit
def write_back(caches, core, line):
    """Write a line to memory that leaves the last level."""
    caches.machine["llc_writebacks"] += 1
    send(caches, line, IS_WRITE, core["now"] + caches.machine["miss_latency"])


@jit
def insert_in_l2(caches, core, first, tag):
    """Insert a tag in the second level, and write down what it displaces."""
    victim = insert_tag(caches.tags, first, caches.machine["ways"][L2], tag)
    if is_dirty(victim):
        displaced = write_to_l3(caches.machine, caches.tags, victim >> 2)
        if displaced >= 0:
            write_back(caches, core, displaced)


@jit
def insert_in_l3(caches, core, first, tag):
    """Insert a tag in the last level, and write what it displaces to memory."""
    victim = insert_tag(caches.tags, first, caches.machine["ways"][L3], tag)
    if is_dirty(victim):
        write_back(caches, core, victim >> 2)


@jit
def find_on_way(caches, line):
    """Return the tag of a line on its way from memory, or NOT_ON_WAY."""
    for c in range(caches.machine["cores"]):
        core = caches.cores[c]
        for register in range(2 * caches.machine["misses_allowed"]):
            if core["out_line"][register] == line:
                return c * MAX_OUT + register
    return NOT_ON_WAY


@jit
def is_back(caches, core, tag):
    """Return whether a line is no longer on its way at the core's time."""
    owner = caches.cores[max(tag, 0) // MAX_OUT]
    return tag == NOT_ON_WAY or owner["out_done"][tag % MAX_OUT] <= core["now"]


@jit
def fetch(caches, core, line, first_register):
    """Fetch a line from memory; return the tag by which it is known on its way."""
    machine = caches.machine
    register = first_register
    if machine["functional"] == 0:
        while core["out_line"][register] >= 0:
            register += 1
        core["out_line"][register] = line
        core["out_done"][register] = FOREVER
        core["out_parts"][register] = machine["parts"]
        core["out_activated"][register] = 0
    tag = core["index"] * MAX_OUT + register
    send(caches, line, tag, core["now"] + machine["miss_latency"])
    return tag
