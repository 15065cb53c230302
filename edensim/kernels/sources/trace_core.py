"""A core with an instruction window and a last-level cache, fed by a core trace.

In each cycle the cache first sends what is due. The core then retires up to `width` ready
instructions from the old end of its window, and inserts up to `width` bubbles and at most one
load. The write-back of a record follows one cycle after its load. The data of an address is there
`latency` cycles after a hit, or when the missed line arrives, and readies all loads of that address
in the window. Cycles in which nothing can change are jumped over. `edensim.reference.trace_core`
is the same in plain Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edensim.kernels.codes import READ, WRITE
from edensim.kernels.compile import entry, jit, register
from edensim.kernels.controller.address import locate
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.memory import MEMORY, Memory
from edensim.kernels.controller.scheduler import accept
from edensim.kernels.sources.event_loop import event_loop
from edensim.kernels.status import Status

MAX_WINDOW = 4096
MAX_MISSES = 512
MAX_TRANSFERS = 4096
MAX_HITS = 8192  # more than the longest cache latency, because there is one access a cycle

# A cached line is line << 2 | DIRTY | READY. The ways of a set are in order of use, the least
# recent first and absent ones last.
DIRTY, READY, ABSENT_LINE = 2, 1, -1
# What the cache answers instead of the number of an outstanding miss.
HIT, NOT_TAKEN = -1, -2
NO_MISS = -1

CORE = register(
    "CORE",
    np.dtype(
        [
            ("width", np.int64),
            ("window", np.int64),
            ("misses_allowed", np.int64),
            ("sets", np.int64),
            ("ways", np.int64),
            ("latency", np.int64),
            ("target", np.int64),  # instructions to retire; FOREVER: the trace once
            # Core and memory cycles in one unit of time: core cycle n is at core_step * (n - 1).
            ("core_step", np.int64),
            ("memory_step", np.int64),
            ("line_bits", np.int64),
            # Progress.
            ("cycle", np.int64),
            ("inserted", np.int64),
            ("retired", np.int64),
            ("stalled", np.int64),  # nothing moves until data arrive
            # The record in progress; -1 if its load or write-back is done.
            ("bubbles", np.int64),
            ("load", np.int64),
            ("writeback", np.int64),
            # Loads in the window: a ring, in the order of insertion.
            ("loads", np.int64),
            ("first_load", np.int64),
            ("load_index", np.int64, (MAX_WINDOW,)),
            ("load_address", np.int64, (MAX_WINDOW,)),
            ("load_ready", np.int64, (MAX_WINDOW,)),
            ("load_miss", np.int64, (MAX_WINDOW,)),
            # Hits on their way back: a ring, in the order of time.
            ("hits", np.int64),
            ("first_hit", np.int64),
            ("hit_due", np.int64, (MAX_HITS,)),
            ("hit_address", np.int64, (MAX_HITS,)),
            # Outstanding misses; line -1 if free.
            ("misses", np.int64),
            ("miss_line", np.int64, (MAX_MISSES,)),
            # What the cache sends to memory, in order; a write belongs to NO_MISS.
            ("transfers", np.int64),
            ("transfer_due", np.int64, (MAX_TRANSFERS,)),
            ("transfer_line", np.int64, (MAX_TRANSFERS,)),
            ("transfer_miss", np.int64, (MAX_TRANSFERS,)),
            # Counts.
            ("llc_reads", np.int64),
            ("llc_writes", np.int64),
            ("llc_read_misses", np.int64),
            ("llc_write_misses", np.int64),
            ("llc_writebacks", np.int64),
            ("dram_reads", np.int64),
            ("dram_writes", np.int64),
        ],
        align=True,
    ),
)


class TraceCore(NamedTuple):
    """The source: CORE, the cached lines of all sets, and [n] REQUEST records of a core trace."""

    core: Any
    cache: Any
    records: Any


@jit
def last_cycle_before(core, clock):
    """Return the core cycles that are done before a memory clock.

    If a core cycle and a memory clock fall together, the core goes first.
    """
    return core["memory_step"] * (clock - 1) // core["core_step"] + 1


@jit
def clock_of_cycle(core, cycle):
    """Return the first memory clock that comes after a core cycle."""
    return -(-(core["core_step"] * (cycle - 1)) // core["memory_step"]) + 1


@jit
def find_miss(core, line):
    """Return the outstanding miss of a line, or NO_MISS."""
    seen = 0
    for i in range(core["misses_allowed"]):
        if seen == core["misses"]:
            break
        if core["miss_line"][i] >= 0:
            seen += 1
            if core["miss_line"][i] == line:
                return i
    return NO_MISS


@jit
def move_to_end(cache, first, at, last, value):
    """Make a way the most recently used of those up to `last`."""
    for i in range(first + at, first + last):
        cache[i] = cache[i + 1]
    cache[first + last] = value


@jit
def access_cache(core, cache, address, is_write, cycle):
    """Send a load or write-back to the cache.

    Returns HIT, NOT_TAKEN, or the number of the miss that it waits for.
    """
    line = address >> core["line_bits"]
    first = (line % core["sets"]) * core["ways"]
    used = core["ways"]
    victim = -1
    pending = -1
    for i in range(core["ways"]):
        way = cache[first + i]
        if way == ABSENT_LINE:
            used = i
            break
        if way >> 2 == line:
            pending = i
        elif victim < 0 and way & READY:
            victim = i
    if pending >= 0:
        way = cache[first + pending]
        if is_write:
            way |= DIRTY
        if way & READY:
            move_to_end(cache, first, pending, used - 1, way)
            at = (core["first_hit"] + core["hits"]) % MAX_HITS
            core["hit_due"][at] = cycle + core["latency"]
            core["hit_address"][at] = address
            core["hits"] += 1
            return HIT
        cache[first + pending] = way
        return find_miss(core, line)
    if (
        core["misses"] == core["misses_allowed"]
        or (used == core["ways"] and victim < 0)
        or core["transfers"] + 2 > MAX_TRANSFERS
    ):
        return NOT_TAKEN
    if is_write:
        core["llc_write_misses"] += 1
    else:
        core["llc_read_misses"] += 1
    fetched = (line << 2) | (DIRTY if is_write else 0)
    if used == core["ways"]:
        if cache[first + victim] & DIRTY:
            core["llc_writebacks"] += 1
            add_transfer(core, cycle, cache[first + victim] >> 2, NO_MISS)
        move_to_end(cache, first, victim, used - 1, fetched)
    else:
        cache[first + used] = fetched
    miss = 0
    while core["miss_line"][miss] >= 0:
        miss += 1
    core["miss_line"][miss] = line
    core["misses"] += 1
    add_transfer(core, cycle, line, miss)
    return miss


@jit
def add_transfer(core, cycle, line, miss):
    """Have the cache send a line's fetch or write-back to memory after its latency."""
    at = core["transfers"]
    core["transfer_due"][at] = cycle + core["latency"]
    core["transfer_line"][at] = line
    core["transfer_miss"][at] = miss
    core["transfers"] = at + 1


@jit
def ready_loads(core, address):
    """Ready all loads of an address whose data are there."""
    for i in range(core["loads"]):
        at = (core["first_load"] + i) % MAX_WINDOW
        if core["load_address"][at] == address:
            core["load_ready"][at] = 1
    core["stalled"] = 0


@jit
def answer_hits(core, cycle):
    """Answer the hits whose latency has passed."""
    while core["hits"] > 0 and core["hit_due"][core["first_hit"]] <= cycle:
        ready_loads(core, core["hit_address"][core["first_hit"]])
        core["first_hit"] = (core["first_hit"] + 1) % MAX_HITS
        core["hits"] -= 1


@jit
def receive(core, cache, miss):
    """Take in a missed line: unlock it, and ready the loads that wait for it."""
    line = core["miss_line"][miss]
    first = (line % core["sets"]) * core["ways"]
    for i in range(core["ways"]):
        if cache[first + i] >> 2 == line:
            cache[first + i] |= READY
    for i in range(core["loads"]):
        at = (core["first_load"] + i) % MAX_WINDOW
        if core["load_miss"][at] == miss:
            core["load_miss"][at] = NO_MISS
            ready_loads(core, core["load_address"][at])
    core["miss_line"][miss] = -1
    core["misses"] -= 1
    core["stalled"] = 0


@jit
def send_to_memory(memory, core, line, miss):
    """Offer a line's fetch or write-back to its channel; return whether it was taken."""
    place = memory.mapping["request"]
    locate(memory.mapping, line << core["line_bits"], place)
    place["tensor"] = -1
    queue = WRITE if miss == NO_MISS else READ
    channel = memory.channels[place["channel"]]
    return accept(channel, memory.timing, place, queue, memory.loop["clock"] - 1, miss)


@jit
def send_transfers(memory, core, cycle):
    """Let the cache offer what is due to memory, in order; what is refused stays."""
    left = 0
    for i in range(core["transfers"]):
        line = core["transfer_line"][i]
        miss = core["transfer_miss"][i]
        if core["transfer_due"][i] <= cycle and send_to_memory(memory, core, line, miss):
            if miss == NO_MISS:
                core["dram_writes"] += 1
            else:
                core["dram_reads"] += 1
            continue
        core["transfer_due"][left] = core["transfer_due"][i]
        core["transfer_line"][left] = line
        core["transfer_miss"][left] = miss
        left += 1
    core["transfers"] = left


@jit
def retire(core):
    """Retire ready instructions from the old end; return how many."""
    limit = min(core["retired"] + core["width"], core["inserted"])
    while core["loads"] > 0:
        at = core["first_load"]
        if core["load_index"][at] >= limit:
            break
        if core["load_ready"][at] == 0:
            limit = core["load_index"][at]
            break
        core["first_load"] = (at + 1) % MAX_WINDOW
        core["loads"] -= 1
    count = limit - core["retired"]
    core["retired"] = limit
    return count


@jit
def insert(core, cache, cycle):
    """Insert bubbles, then the load; the write-back goes out in a cycle of its own.

    Returns a positive number if anything moved.
    """
    moved = 0
    room = min(core["width"], core["window"] - (core["inserted"] - core["retired"]))
    if core["bubbles"] > 0:
        moved = min(room, core["bubbles"])
        core["bubbles"] -= moved
        core["inserted"] += moved
        room -= moved
        if core["bubbles"] > 0:
            return moved
    if core["load"] >= 0:
        if room == 0:
            return moved
        miss = access_cache(core, cache, core["load"], False, cycle)
        if miss == NOT_TAKEN:
            return moved
        core["llc_reads"] += 1
        at = (core["first_load"] + core["loads"]) % MAX_WINDOW
        core["load_index"][at] = core["inserted"]
        core["load_address"][at] = core["load"]
        core["load_ready"][at] = 0
        core["load_miss"][at] = miss
        core["loads"] += 1
        core["inserted"] += 1
        core["load"] = -1
        return 1
    if core["writeback"] >= 0:
        if access_cache(core, cache, core["writeback"], True, cycle) == NOT_TAKEN:
            return moved
        core["llc_writes"] += 1
        core["writeback"] = -1
        return 1
    return moved


@jit
def next_record(core, loop, records):
    """Take the next record; return whether the chunk has one."""
    position = loop["position"]
    if position >= records.shape[0]:
        return False
    record = records[position]
    core["bubbles"] = record["gap"]
    core["load"] = record["address"]
    core["writeback"] = record["writeback"]
    loop["position"] = position + 1
    return True


@jit
def skip(core, until):
    """Jump over core cycles that only stream bubbles, or in which nothing moves."""
    for i in range(core["transfers"]):
        until = min(until, core["transfer_due"][i] - 1)
    if core["hits"] > 0:
        until = min(until, core["hit_due"][core["first_hit"]] - 1)
    if core["cycle"] >= until:
        return
    if core["stalled"]:
        core["cycle"] = until
        return
    width = core["width"]
    occupied = core["inserted"] - core["retired"]
    if core["loads"] == 0 and core["bubbles"] > width and 0 < occupied <= width <= core["window"]:
        cycles = min(until - core["cycle"], core["bubbles"] // width)
        if core["target"] < FOREVER:
            cycles = min(cycles, (core["target"] - core["inserted"]) // width)
        if cycles > 0:
            core["cycle"] += cycles
            core["bubbles"] -= cycles * width
            core["inserted"] += cycles * width
            core["retired"] = core["inserted"] - width


@jit
def give(memory, source):
    """Run the core cycles before this clock; requests sent on the way arrive at it."""
    core, cache, loop = source.core, source.cache, memory.loop
    until = last_cycle_before(core, loop["clock"])
    while core["cycle"] < until:
        is_record_done = core["bubbles"] == 0 and core["load"] < 0
        if is_record_done and core["writeback"] < 0:
            if not next_record(core, loop, source.records) and loop["final"] == 0:
                return Status.NEED_INPUT, FOREVER
            is_record_done = core["bubbles"] == 0 and core["load"] < 0
        cycle = core["cycle"] + 1
        if core["transfers"] > 0:
            send_transfers(memory, core, cycle)
        answer_hits(core, cycle)
        moved = retire(core)
        core["cycle"] = cycle
        is_trace_done = loop["final"] and loop["position"] >= source.records.shape[0]
        is_window_empty = core["retired"] == core["inserted"]
        if core["retired"] >= core["target"] or (
            is_record_done and is_trace_done and is_window_empty
        ):
            return Status.DONE, FOREVER
        moved += insert(core, cache, cycle)
        core["stalled"] = moved == 0
        skip(core, until)
    receive_returns(memory, core, cache)
    return Status.RUNNING, FOREVER


@jit
def receive_returns(memory, core, cache):
    """Hand reads that are back to the core."""
    clock = memory.loop["clock"]
    for c in range(memory.channels.shape[0]):
        channel = memory.channels[c]
        left = 0
        for i in range(channel["return_count"]):
            if channel["return_at"][i] <= clock:
                receive(core, cache, channel["return_tag"][i])
            else:
                channel["return_at"][left] = channel["return_at"][i]
                channel["return_tag"][left] = channel["return_tag"][i]
                left += 1
        channel["return_count"] = left


@jit
def take(memory, source, freed, wake):
    """Wake up when a read returns."""
    for c in range(memory.channels.shape[0]):
        channel = memory.channels[c]
        for i in range(channel["return_count"]):
            wake = min(wake, channel["return_at"][i])
    return wake


@jit
def go_on(memory, source, wake):
    """Wake up at the first clock at which the core may send something."""
    core = source.core
    due = FOREVER
    for i in range(core["transfers"]):
        due = min(due, core["transfer_due"][i])
    if due <= core["cycle"]:
        return Status.RUNNING, memory.loop["clock"] + 1
    if due < FOREVER:
        wake = min(wake, clock_of_cycle(core, due))
    if core["stalled"] == 0 or core["hits"] > 0:
        earliest = core["cycle"] + 1 + core["bubbles"] // core["width"] + core["latency"]
        wake = min(wake, clock_of_cycle(core, earliest))
    return Status.RUNNING, wake


run = event_loop(give, take, go_on)


@entry(*MEMORY, "CORE[:]", "i8[:]", "REQUEST[:]")
def run_core(  # noqa: PLR0913 (a compiled entry takes every array by itself)
    channels, timings, loops, mappings, commands, exposures, cores, cache, records
):
    """Run the core with the memory until it needs the next chunk of its trace, or is done."""
    memory = Memory(channels, timings[0], loops[0], mappings[0], commands, exposures)
    return run(memory, TraceCore(cores[0], cache, records))
