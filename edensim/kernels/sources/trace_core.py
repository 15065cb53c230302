"""A core with an instruction window and a last-level cache: the closed-loop request source.

Rules (shared/golden README, `edensim.reference.trace_core`): a cycle first lets the cache send what is due, then retires up to `width` ready
instructions from the old end, then inserts up to `width` bubbles and at most one load; its write-back follows one cycle later. Data of an address is
there `latency` cycles after a hit, or when the missed line arrives, and readies all loads of that address in the window. Cycles in which nothing can
change are jumped over.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.kernels.controller.address import CHANNEL as CHANNEL_FIELD
from edensim.kernels.controller.address import COLUMN, ROW, flat_bank, gather
from edensim.kernels.controller.scheduler import accept
from edensim.kernels.controller.state import DONE, FOREVER, NEED_INPUT

MAX_WINDOW = 4096
MAX_MISSES = 512
MAX_TRANSFERS = 4096
MAX_HITS = 8192  # more than the longest cache latency: one access a cycle
RUNNING = 4  # the core has reached the cycle it was asked to

# A cached line is line << 2 | DIRTY | READY; ways of a set are in order of use, the least recent first, absent ones last.
DIRTY, READY, ABSENT_LINE = 2, 1, -1

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
            ("target", np.int64),  # instructions to retire, FOREVER: the trace once
            (
                "core_step",
                np.int64,
            ),  # core and memory cycles in one unit of time: core cycle n is at core_step * (n - 1)
            ("memory_step", np.int64),
            ("line_bits", np.int64),
            # Progress.
            ("cycle", np.int64),
            ("inserted", np.int64),
            ("retired", np.int64),
            ("stalled", np.int64),  # nothing moves until data arrives
            # The record in progress.
            ("bubbles", np.int64),
            ("load", np.int64),  # -1: done
            ("writeback", np.int64),
            # Loads in the window: a ring.
            ("loads", np.int64),
            ("first_load", np.int64),
            ("load_index", np.int64, (MAX_WINDOW,)),  # as inserted
            ("load_address", np.int64, (MAX_WINDOW,)),
            ("load_ready", np.int64, (MAX_WINDOW,)),
            ("load_miss", np.int64, (MAX_WINDOW,)),  # -1: a hit
            # Hits on their way back: a ring in order of time.
            ("hits", np.int64),
            ("first_hit", np.int64),
            ("hit_due", np.int64, (MAX_HITS,)),
            ("hit_address", np.int64, (MAX_HITS,)),
            # Outstanding misses.
            ("misses", np.int64),
            ("miss_line", np.int64, (MAX_MISSES,)),  # -1: free
            # What the cache sends to memory, in order.
            ("transfers", np.int64),
            ("transfer_due", np.int64, (MAX_TRANSFERS,)),
            ("transfer_line", np.int64, (MAX_TRANSFERS,)),
            ("transfer_miss", np.int64, (MAX_TRANSFERS,)),  # -1: a write
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


@jit
def last_cycle_before(core, tick):
    """Core cycles that are done before a memory tick; at the same time the core goes first."""
    return core["memory_step"] * (tick - 1) // core["core_step"] + 1


@jit
def tick_of_cycle(core, cycle):
    """First memory tick that comes after a core cycle."""
    return -(-(core["core_step"] * (cycle - 1)) // core["memory_step"]) + 1


@jit
def find_miss(core, line):
    """Outstanding miss of a line, -1 without."""
    seen = 0
    for i in range(core["misses_allowed"]):
        if seen == core["misses"]:
            break
        if core["miss_line"][i] >= 0:
            seen += 1
            if core["miss_line"][i] == line:
                return i
    return -1


@jit
def move_to_end(cache, first, at, last, value):
    """Make a way the most recently used of those up to `last`."""
    for i in range(first + at, first + last):
        cache[i] = cache[i + 1]
    cache[first + last] = value


@jit
def send_to_cache(core, cache, address, is_write, cycle):
    """A load or write-back enters the cache: -2 not taken, -1 a hit, else the miss it waits for."""
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
            return -1
        cache[first + pending] = way
        return find_miss(core, line)
    if (
        core["misses"] == core["misses_allowed"]
        or (used == core["ways"] and victim < 0)
        or core["transfers"] + 2 > MAX_TRANSFERS
    ):
        return -2
    if is_write:
        core["llc_write_misses"] += 1
    else:
        core["llc_read_misses"] += 1
    fetched = (line << 2) | (DIRTY if is_write else 0)
    if used == core["ways"]:
        if cache[first + victim] & DIRTY:
            core["llc_writebacks"] += 1
            add_transfer(core, cycle, cache[first + victim] >> 2, -1)
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
    at = core["transfers"]
    core["transfer_due"][at] = cycle + core["latency"]
    core["transfer_line"][at] = line
    core["transfer_miss"][at] = miss
    core["transfers"] = at + 1


@jit
def wake(core, address):
    """Data of an address is there."""
    for i in range(core["loads"]):
        at = (core["first_load"] + i) % MAX_WINDOW
        if core["load_address"][at] == address:
            core["load_ready"][at] = 1
    core["stalled"] = 0


@jit
def answer_hits(core, cycle):
    """Hits whose latency has passed."""
    while core["hits"] > 0 and core["hit_due"][core["first_hit"]] <= cycle:
        wake(core, core["hit_address"][core["first_hit"]])
        core["first_hit"] = (core["first_hit"] + 1) % MAX_HITS
        core["hits"] -= 1


@jit
def receive(core, cache, miss):
    """A missed line has arrived: unlock it, wake the loads that wait for it."""
    line = core["miss_line"][miss]
    first = (line % core["sets"]) * core["ways"]
    for i in range(core["ways"]):
        if cache[first + i] >> 2 == line:
            cache[first + i] |= READY
    for i in range(core["loads"]):
        at = (core["first_load"] + i) % MAX_WINDOW
        if core["load_miss"][at] == miss:
            core["load_miss"][at] = -1
            wake(core, core["load_address"][at])
    core["miss_line"][miss] = -1
    core["misses"] -= 1
    core["stalled"] = 0


@jit
def send_to_memory(core, channels, t, m, line, miss, tick):
    """Offer a line's fetch, or a victim's write-back, to its channel; 0 if its queue is full."""
    m["address"][0] = line << core["line_bits"]
    gather(m, 1)
    s = channels[m["value"][CHANNEL_FIELD, 0]]
    queue = 1 if miss < 0 else 0
    taken = accept(
        s,
        t,
        queue,
        flat_bank(m, 0),
        m["value"][ROW, 0],
        m["value"][COLUMN, 0],
        m["address"][0] >> m["offset_bits"],
        tick - 1,
        miss,
        -1,
    )
    if taken and s["planned"] == 0:
        s["due"] = min(s["due"], tick)
    return taken


@jit
def send_transfers(core, channels, t, m, cycle, tick):
    """The cache offers what is due to memory, in order; what is refused stays."""
    kept = 0
    for i in range(core["transfers"]):
        line = core["transfer_line"][i]
        miss = core["transfer_miss"][i]
        if core["transfer_due"][i] <= cycle and send_to_memory(
            core, channels, t, m, line, miss, tick
        ):
            if miss < 0:
                core["dram_writes"] += 1
            else:
                core["dram_reads"] += 1
            continue
        core["transfer_due"][kept] = core["transfer_due"][i]
        core["transfer_line"][kept] = line
        core["transfer_miss"][kept] = miss
        kept += 1
    core["transfers"] = kept


@jit
def retire(core):
    """Retire ready instructions from the old end; returns how many."""
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
    """Insert bubbles, then the load; the write-back goes out in a cycle of its own. Returns 1 if anything moved."""
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
        miss = send_to_cache(core, cache, core["load"], False, cycle)
        if miss == -2:
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
        if send_to_cache(core, cache, core["writeback"], True, cycle) == -2:
            return moved
        core["llc_writes"] += 1
        core["writeback"] = -1
        return 1
    return moved


@jit
def fetch(core, loop, records, count):
    """Take the next record; 0 if the chunk has none."""
    at = loop["position"]
    if at >= count:
        return 0
    r = records[at]
    core["bubbles"] = r["gap"]
    core["load"] = r["address"]
    core["writeback"] = r["writeback"]
    loop["position"] = at + 1
    return 1


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
def run_core_until(core, cache, loop, records, count, channels, t, m, until, tick):
    """Run core cycles up to `until`; requests sent on the way arrive before memory tick `tick`."""
    while core["cycle"] < until:
        if (
            core["bubbles"] == 0
            and core["load"] < 0
            and core["writeback"] < 0
            and fetch(core, loop, records, count) == 0
            and loop["final"] == 0
        ):
            return NEED_INPUT
        cycle = core["cycle"] + 1
        if core["transfers"] > 0:
            send_transfers(core, channels, t, m, cycle, tick)
        answer_hits(core, cycle)
        moved = retire(core)
        core["cycle"] = cycle
        if core["retired"] >= core["target"]:
            return DONE
        if (
            core["bubbles"] == 0
            and core["load"] < 0
            and loop["final"]
            and loop["position"] >= count
            and core["retired"] == core["inserted"]
        ):
            return DONE
        moved += insert(core, cache, cycle)
        core["stalled"] = moved == 0
        skip(core, until)
    return RUNNING


@jit
def next_tick(core, tick):
    """First memory tick after `tick` at which the core may send something."""
    due = FOREVER
    for i in range(core["transfers"]):
        due = min(due, core["transfer_due"][i])
    if due <= core["cycle"]:
        return tick + 1
    at = FOREVER if due == FOREVER else tick_of_cycle(core, due)
    if core["stalled"] and core["hits"] == 0:
        return max(at, tick + 1)
    earliest = core["cycle"] + 1 + core["bubbles"] // core["width"] + core["latency"]
    return max(tick + 1, min(at, tick_of_cycle(core, earliest)))
