"""One access of a core: through its caches, and to memory if all of them lack the line."""

from edensim.kernels.compile import jit
from edensim.kernels.sources.loop_nests.cache import (
    DIRTY,
    L1,
    L2,
    L3,
    ON_WAY,
    first_tag,
    insert_tag,
    is_dirty,
    look_up,
    write_to_l2,
)
from edensim.kernels.sources.loop_nests.prefetch import (
    LATE,
    NOT_PREFETCHED,
    TIMELY,
    follow_stream,
)
from edensim.kernels.sources.loop_nests.state import DEPENDENT, LOAD, MAX_OUT, STORE
from edensim.kernels.sources.loop_nests.traffic import (
    fetch,
    find_on_way,
    insert_in_l2,
    insert_in_l3,
    is_back,
    write_back,
)
from edensim.kernels.sources.loop_nests.window import (
    add_load,
    has_room,
    is_way_full,
    wait_for_dependence,
)


@jit(forceinline=True)
def touch(caches, core, line, kind):
    """Access a line; return False if the core has to wait before the access can be made."""
    machine = caches.machine
    if kind == DEPENDENT and not wait_for_dependence(machine, core):
        return False
    dirty = 0 if kind == LOAD or kind == DEPENDENT else DIRTY
    first = first_tag(machine, L1, core["index"], line)
    if look_up(caches.tags, first, machine["ways"][L1], line, dirty) >= 0:
        return True
    return touch_l2(caches, core, line, kind, first, dirty)


@jit
def touch_l2(caches, core, line, kind, first, dirty):
    """Access a line that the first level lacks; return False if the core has to wait before."""
    machine = caches.machine
    if machine["functional"] == 0:
        if core["busy"] >= machine["misses_allowed"] and not has_room(machine, core):
            return False
        if is_way_full(machine, core):
            return False
    machine["l2_reads"] += 1
    victim = insert_tag(caches.tags, first, machine["ways"][L1], line << 2 | dirty)
    if is_dirty(victim):
        displaced = write_to_l2(machine, caches.tags, core["index"], victim >> 2)
        if displaced >= 0:
            write_back(caches, core, displaced)
    prefetched = fill_from_l2(caches, core, line, kind)
    if machine["streams"] and kind != STORE and machine["functional"] == 0:
        follow_stream(caches, core, line, prefetched)
    return True


@jit
def fill_from_l2(caches, core, line, kind):
    """Get a line from the second level, or from below.

    Returns whether the line had been prefetched, in time or too late.
    """
    machine, tags = caches.machine, caches.tags
    first = first_tag(machine, L2, core["index"], line)
    flags = look_up(tags, first, machine["ways"][L2], line, 0)
    if flags < 0:
        insert_in_l2(caches, core, first, line << 2)
        fill_from_l3(caches, core, line, kind)
        return NOT_PREFETCHED
    if flags & ON_WAY == 0:
        if kind != STORE:
            add_load(machine, core, core["now"] + machine["l2_latency"], -1, 0)
        return NOT_PREFETCHED
    tags[first] &= ~ON_WAY
    machine["used_prefetches"] += 1
    tag = find_on_way(caches, line)
    if is_back(caches, core, tag):
        return TIMELY
    wait_for_line(caches, core, kind, tag)
    machine["late_prefetches"] += 1
    return LATE


@jit
def fill_from_l3(caches, core, line, kind):
    """Get a line from the last level, or from memory."""
    machine, tags = caches.machine, caches.tags
    machine["l3_reads"] += 1
    first = first_tag(machine, L3, 0, line)
    flags = look_up(tags, first, machine["ways"][L3], line, 0)
    if flags >= 0:
        if flags & ON_WAY:
            tag = find_on_way(caches, line)
            if not is_back(caches, core, tag):
                wait_for_line(caches, core, kind, tag)
                return
            tags[first] &= ~ON_WAY
        if kind != STORE:
            add_load(machine, core, core["now"] + machine["l3_latency"], -1, 0)
        return
    insert_in_l3(caches, core, first, line << 2 | (0 if machine["functional"] else ON_WAY))
    miss(caches, core, line, kind)


@jit
def miss(caches, core, line, kind):
    """Fetch a line from memory for an access."""
    caches.machine["llc_read_misses"] += 1
    tag = fetch(caches, core, line, 0)
    if caches.machine["functional"] == 0:
        core["busy"] += 1
        wait_for_line(caches, core, kind, tag)


@jit
def wait_for_line(caches, core, kind, tag):
    """Enter a load into the window that waits for a line on its way."""
    if caches.machine["functional"] or kind == STORE:
        return
    owner = caches.cores[tag // MAX_OUT]
    done = owner["out_done"][tag % MAX_OUT]
    add_load(caches.machine, core, done, tag, owner["out_activated"][tag % MAX_OUT])
    if kind == DEPENDENT:
        core["depends_on"] = done
        core["depends_tag"] = tag
