"""A stream prefetcher beside each second-level cache.

It follows the reads of the second level by 4 KiB page, and shares the way to memory with the
misses. A stream is a page. It is trusted after its stride came twice, prefetches one line a read
(two after one came too late), and looks at most `depth` strides ahead, never out of its page.
"""

from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.sources.loop_nests.cache import L2, L3, ON_WAY, first_tag, look_up
from edensim.kernels.sources.loop_nests.traffic import fetch, insert_in_l2, insert_in_l3
from edensim.kernels.sources.loop_nests.window import free_returned

# Whether a line was prefetched, and came in time.
NOT_PREFETCHED, LATE, TIMELY = range(3)
PAGE_BITS = 6  # 64 lines
LAST_LINE = (1 << PAGE_BITS) - 1
TRUSTED, MOST_CONFIDENCE = 2, 3


@jit
def follow_stream(caches, core, line, prefetched):
    """Note a read of the second level, and prefetch ahead if its stream is trusted."""
    page = line >> PAGE_BITS
    place = line & LAST_LINE
    at = find_stream(caches.machine, core, page, place)
    if at < 0:
        return
    learn_stride(core, at, place)
    if core["stream_confidence"][at] < TRUSTED:
        return
    stride = core["stream_stride"][at]
    allowed = 1
    if prefetched == LATE:
        core["stream_depth"][at] = min(caches.machine["depth"], core["stream_depth"][at] + 1)
        allowed = 2
    if (core["stream_ahead"][at] - place) * stride < 0:
        core["stream_ahead"][at] = place
    for _ in range(allowed):
        ahead = core["stream_ahead"][at] + stride
        is_deep = (ahead - place) // stride > core["stream_depth"][at]
        if is_deep or ahead < 0 or ahead > LAST_LINE:
            return
        if not prefetch(caches, core, page << PAGE_BITS | ahead):
            return
        core["stream_ahead"][at] = ahead


@jit
def find_stream(machine, core, page, place):
    """Return the stream of a page, -1 if it is new or was read at the same line before.

    A new page takes the place of the stream that has not been used for the longest time.
    """
    core["stream_clock"] += 1
    at = 0
    oldest = FOREVER
    for i in range(machine["streams"]):
        if core["stream_page"][i] == page:
            core["stream_used"][i] = core["stream_clock"]
            return i if place != core["stream_last"][i] else -1
        if core["stream_used"][i] < oldest:
            at = i
            oldest = core["stream_used"][i]
    core["stream_used"][at] = core["stream_clock"]
    core["stream_page"][at] = page
    core["stream_last"][at] = place
    core["stream_stride"][at] = 0
    core["stream_confidence"][at] = 1
    core["stream_depth"][at] = 1
    core["stream_ahead"][at] = place
    return -1


@jit
def learn_stride(core, at, place):
    """Compare the stride to the read before with that of the stream."""
    stride = place - core["stream_last"][at]
    confidence = core["stream_confidence"][at]
    is_first = core["stream_stride"][at] == 0
    core["stream_last"][at] = place
    if stride == core["stream_stride"][at]:
        core["stream_confidence"][at] = min(MOST_CONFIDENCE, confidence + 1)
    elif is_first or confidence <= 1:
        core["stream_confidence"][at] = TRUSTED if is_first else 1
        core["stream_stride"][at] = stride
        core["stream_ahead"][at] = place
    else:
        core["stream_confidence"][at] = confidence - 1


@jit
def prefetch(caches, core, line):
    """Bring a line to the second level; return False if nothing more can be on its way."""
    machine, tags = caches.machine, caches.tags
    first = first_tag(machine, L2, core["index"], line)
    for way in range(machine["ways"][L2]):
        if tags[first + way] >> 2 == line:
            return True
    first_l3 = first_tag(machine, L3, 0, line)
    # The line is looked up before anything can displace it.
    is_in_l3 = look_up(tags, first_l3, machine["ways"][L3], line, 0) >= 0
    if not is_in_l3 and not may_fetch(machine, core):
        return False
    insert_in_l2(caches, core, first, line << 2 | ON_WAY)
    machine["prefetches"] += 1
    if not is_in_l3:
        insert_in_l3(caches, core, first_l3, line << 2 | ON_WAY)
        machine["llc_read_misses"] += 1
        fetch(caches, core, line, machine["misses_allowed"])
        core["ahead"] += 1
    return True


@jit
def may_fetch(machine, core):
    """Return whether a prefetch may go to memory.

    At most as many prefetches as misses may be under way, and not too much may wait for memory.
    """
    if machine["pending_count"] >= machine["pending_limit"]:
        return False
    allowed = machine["misses_allowed"]
    if core["ahead"] >= allowed:
        core["ahead"] -= free_returned(core, allowed, 2 * allowed)
    return core["ahead"] < allowed
