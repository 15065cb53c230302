"""A stream prefetcher beside each second-level cache: it follows reads by 4 KB page and shares the way to memory with the misses."""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.controller.state import FOREVER
from edensim.kernels.sources.loop_nests.cache import (
    DIRTY,
    ON_WAY,
    look,
    place_tag,
    set2,
    set3,
    write3,
)
from edensim.kernels.sources.loop_nests.traffic import fetch, write_back


@jit
def follow(h, u, cores, tags, m, regions, moved, line, late):
    """Note a read of the second level in the table of streams; prefetch ahead where a stride has shown.

    A stream is a 4 KB page; it is trusted after its stride came twice, prefetches one line a read (two after one came late) and looks at most `depth`
    strides ahead, never out of its page.
    """
    page = line >> 6
    place = line & 63
    u["stream_clock"] += 1
    at = 0
    oldest = FOREVER
    for i in range(h["streams"]):
        if u["stream_page"][i] == page:
            at = i
            oldest = -1
            break
        if u["stream_used"][i] < oldest:
            at = i
            oldest = u["stream_used"][i]
    u["stream_used"][at] = u["stream_clock"]
    if oldest >= 0:
        u["stream_page"][at] = page
        u["stream_last"][at] = place
        u["stream_stride"][at] = 0
        u["stream_confidence"][at] = 1
        u["stream_depth"][at] = 1
        u["stream_ahead"][at] = place
        return
    stride = place - u["stream_last"][at]
    if stride == 0:
        return
    u["stream_last"][at] = place
    if stride == u["stream_stride"][at]:
        u["stream_confidence"][at] = min(3, u["stream_confidence"][at] + 1)
    elif u["stream_stride"][at] == 0 or u["stream_confidence"][at] <= 1:
        u["stream_confidence"][at] = 2 if u["stream_stride"][at] == 0 else 1
        u["stream_stride"][at] = stride
        u["stream_ahead"][at] = place
    else:
        u["stream_confidence"][at] -= 1
    if u["stream_confidence"][at] < 2:
        return
    stride = u["stream_stride"][at]
    allowed = 1
    if late == 1:
        u["stream_depth"][at] = min(h["depth"], u["stream_depth"][at] + 1)
        allowed = 2
    if (u["stream_ahead"][at] - place) * stride < 0:
        u["stream_ahead"][at] = place
    while allowed > 0:
        ahead = u["stream_ahead"][at] + stride
        if (ahead - place) // stride > u["stream_depth"][at] or ahead < 0 or ahead > 63:
            return
        if not prefetch(h, u, cores, tags, m, regions, moved, page << 6 | ahead):
            return
        u["stream_ahead"][at] = ahead
        allowed -= 1


@jit
def prefetch(h, u, cores, tags, m, regions, moved, line):
    """Bring a line to the second level; False if nothing more can be on its way."""
    first = set2(h, u["index"], line)
    for way in range(h["ways2"]):
        if tags[first + way] >> 2 == line:
            return True
    third = set3(h, line)
    is_there = look(tags, third, h["ways3"], line, 0) >= 0  # before anything displaces it
    if not is_there and not may_fetch(h, u):
        return False
    victim = place_tag(tags, first, h["ways2"], line << 2 | ON_WAY)
    if victim >= 0 and victim & DIRTY:
        gone = write3(h, tags, victim >> 2)
        if gone >= 0:
            write_back(h, u, m, regions, moved, gone)
    h["prefetches"] += 1
    if is_there:
        return True
    victim = place_tag(tags, third, h["ways3"], line << 2 | ON_WAY)
    if victim >= 0 and victim & DIRTY:
        write_back(h, u, m, regions, moved, victim >> 2)
    h["llc_read_misses"] += 1
    fetch(h, u, m, regions, moved, line, h["misses_allowed"])
    u["ahead"] += 1
    return True


@jit
def may_fetch(h, u):
    """Whether a prefetch may go to memory: as many are under way as misses may be, at most, and not too much waits for memory."""
    if h["transfers"] >= h["transfer_limit"]:
        return False
    if u["ahead"] >= h["misses_allowed"]:
        for o in range(h["misses_allowed"], 2 * h["misses_allowed"]):
            if u["out_line"][o] >= 0 and u["out_done"][o] <= u["now"]:
                u["out_line"][o] = -1
                u["ahead"] -= 1
    return u["ahead"] < h["misses_allowed"]
