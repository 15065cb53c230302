"""One access of a core: through its caches, to memory where all lack the line."""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.sources.loop_nests.cache import (
    DIRTY,
    ON_WAY,
    look,
    place_tag,
    set1,
    set2,
    set3,
    write2,
    write3,
)
from edensim.kernels.sources.loop_nests.prefetch import follow
from edensim.kernels.sources.loop_nests.state import DEPENDENT, LOAD, MAX_OUT, STORE
from edensim.kernels.sources.loop_nests.traffic import fetch, owed, write_back
from edensim.kernels.sources.loop_nests.window import add_load, depends, has_room


@jit(forceinline=True)
def touch(h, u, cores, tags, m, regions, moved, line, kind):
    """One access to a line; 0 if the core has to wait before it can be made."""
    if kind == DEPENDENT and depends(h, u) == 0:
        return 0
    dirty = 0 if kind == LOAD or kind == DEPENDENT else DIRTY
    first = set1(h, u["index"], line)
    if look(tags, first, h["ways1"], line, dirty) >= 0:
        return 1
    return touch_below(h, u, cores, tags, m, regions, moved, line, kind, first, dirty)


@jit
def touch_below(h, u, cores, tags, m, regions, moved, line, kind, first, dirty):
    """An access that the first level lacks; 0 if the core has to wait before it can be made."""
    if h["functional"] == 0 and u["busy"] >= h["misses_allowed"] and not has_room(h, u):
        return 0
    if h["transfers"] >= h["transfer_limit"] and h["functional"] == 0:
        u["stalled"] = 2
        return 0
    h["l2_reads"] += 1
    victim = place_tag(tags, first, h["ways1"], line << 2 | dirty)
    if victim >= 0 and victim & DIRTY:
        gone = write2(h, tags, u["index"], victim >> 2)
        if gone >= 0:
            write_back(h, u, m, regions, moved, gone)
    late = fill2(h, u, cores, tags, m, regions, moved, line, kind)
    if h["streams"] and kind != STORE and h["functional"] == 0:
        follow(h, u, cores, tags, m, regions, moved, line, late)
    return 1


@jit
def fill2(h, u, cores, tags, m, regions, moved, line, kind):
    """A line that the first level lacks: from the second, the third, or memory. Returns 1 if a prefetch had been too late, 2 if it was in time."""
    core = u["index"]
    first = set2(h, core, line)
    flags = look(tags, first, h["ways2"], line, 0)
    if flags >= 0:
        if flags & ON_WAY:
            tags[first] &= ~ON_WAY
            tag = owed(h, cores, line)
            late = tag >= 0 and cores[tag // MAX_OUT]["out_done"][tag % MAX_OUT] > u["now"]
            if late:
                note_load(h, u, cores, kind, tag)
                h["late_prefetches"] += 1
            h["used_prefetches"] += 1
            return 1 if late else 2
        if kind != STORE:
            add_load(h, u, u["now"] + h["l2_latency"], -1, 0)
        return 0
    victim = place_tag(tags, first, h["ways2"], line << 2)
    if victim >= 0 and victim & DIRTY:
        gone = write3(h, tags, victim >> 2)
        if gone >= 0:
            write_back(h, u, m, regions, moved, gone)
    fill3(h, u, cores, tags, m, regions, moved, line, kind)
    return 0


@jit
def fill3(h, u, cores, tags, m, regions, moved, line, kind):
    """A line that the second level lacks: from the third, or memory."""
    h["l3_reads"] += 1
    first = set3(h, line)
    flags = look(tags, first, h["ways3"], line, 0)
    if flags >= 0:
        tag = -1
        if flags & ON_WAY:
            tag = owed(h, cores, line)
            if tag < 0 or cores[tag // MAX_OUT]["out_done"][tag % MAX_OUT] <= u["now"]:
                tags[first] &= ~ON_WAY
                tag = -1
        if tag >= 0:
            note_load(h, u, cores, kind, tag)
        elif kind != STORE:
            add_load(h, u, u["now"] + h["l3_latency"], -1, 0)
        return
    victim = place_tag(tags, first, h["ways3"], line << 2 | (0 if h["functional"] else ON_WAY))
    if victim >= 0 and victim & DIRTY:
        write_back(h, u, m, regions, moved, victim >> 2)
    h["llc_read_misses"] += 1
    register = fetch(h, u, m, regions, moved, line, 0)
    if h["functional"] == 0:
        u["busy"] += 1
        note_load(h, u, cores, kind, u["index"] * MAX_OUT + register)


@jit
def note_load(h, u, cores, kind, tag):
    """A load that waits for a line on its way."""
    if h["functional"] or kind == STORE or tag < 0:
        return
    v = cores[tag // MAX_OUT]
    done = v["out_done"][tag % MAX_OUT]
    add_load(h, u, done, tag, v["out_activated"][tag % MAX_OUT])
    if kind == DEPENDENT:
        u["depends_on"] = done
        u["depends_tag"] = tag
