"""Walking nests of loops, line by line: which line a core touches next, and how many instructions lie between."""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.sources.loop_nests.access import note_load, touch
from edensim.kernels.sources.loop_nests.state import (
    FINISHED,
    FRACTION_BITS,
    LINE_BITS,
    LOAD,
    LOOPS,
    MAX_OUT,
    STARTING,
    WALKING,
)
from edensim.kernels.sources.loop_nests.traffic import fetch, write_back
from edensim.kernels.sources.loop_nests.window import dispatch, has_room


@jit
def ceiling(a, b):
    return -(-a // b)


@jit
def part_of(h, n, core):
    """First index of a core's part of the outermost loop, and how long it is: the parts are as even as can be, the longer ones first."""
    if n["parallel"] == 0:
        return 0, n["loops"][0] if core == 0 else 0
    share = n["loops"][0] // h["cores"]
    rest = n["loops"][0] - share * h["cores"]
    return core * share + min(core, rest), share + (core < rest)


@jit
def start_nest(h, u, n, refs):
    """Begin a core's part of a nest."""
    start, length = part_of(h, n, u["index"])
    u["at"][0] = start + n["first"]
    u["stop"] = start + min(length, n["stop"])
    for i in range(1, LOOPS):
        u["at"][i] = 0
    u["state"] = WALKING
    if u["at"][0] >= u["stop"] or n["inner"] == 0:
        u["state"] = FINISHED
        return
    start_row(u, n, refs)


@jit
def start_row(u, n, refs):
    """Where each reference of a row lies, and which of its elements exist."""
    for r in range(n["refs"]):
        f = refs[n["first_ref"] + r]
        byte = f["base"]
        row = f["row"]
        column = f["column"]
        for i in range(LOOPS):
            byte += u["at"][i] * f["stride"][i]
        first = 0
        last = n["inner"]
        if f["row_limit"] > 0:
            for i in range(LOOPS):
                row += u["at"][i] * f["row_stride"][i]
            if row < 0 or row >= f["row_limit"]:
                last = 0
        if f["column_limit"] > 0:
            for i in range(LOOPS):
                column += u["at"][i] * f["column_stride"][i]
            if f["column_step"] == 0:
                if column < 0 or column >= f["column_limit"]:
                    last = 0
            else:
                if column < 0:
                    first = ceiling(-column, f["column_step"])
                last = min(last, ceiling(f["column_limit"] - column, f["column_step"]))
        if f["step"] == 0:
            last = min(last, first + 1)
        u["byte"][r] = byte
        u["first_element"][r] = first
        u["last_element"][r] = last
        u["touched"][r] = -1
    u["element"] = 0
    u["ref"] = -1
    u["row"] = 0
    u["line"] = 0
    u["last_line"] = -1


@jit
def next_row(u, n, refs):
    """The next turn of the loops around a row; the core is finished after its last."""
    i = LOOPS - 1
    while i > 0:
        u["at"][i] += 1
        if u["at"][i] < n["loops"][i]:
            start_row(u, n, refs)
            return
        u["at"][i] = 0
        i -= 1
    u["at"][0] += 1
    if u["at"][0] < u["stop"]:
        start_row(u, n, refs)
    else:
        u["state"] = FINISHED


@jit(forceinline=True)
def next_lines(u, n, refs):
    """The next lines to touch, in `line` to `last_line`; after the last reference of a chunk its instructions, and the chunk after it."""
    if u["row"] > 0:
        u["row"] -= 1
        u["row_byte"] += refs[n["first_ref"] + u["ref"]]["pitch"]
        u["line"] = u["row_byte"] >> LINE_BITS
        u["last_line"] = (u["row_byte"] + u["row_bytes"] - 1) >> LINE_BITS
        return
    stop = min(u["element"] + n["chunk"], n["inner"])
    r = u["ref"] + 1
    while r < n["refs"]:
        first = max(u["element"], u["first_element"][r])
        last = min(stop, u["last_element"][r])
        if first < last:
            f = refs[n["first_ref"] + r]
            begin = u["byte"][r] + first * f["step"]
            length = (last - 1 - first) * f["step"] + f["size"]
            line = begin >> LINE_BITS
            end = (begin + length - 1) >> LINE_BITS
            if line == u["touched"][r]:
                line += 1
            u["touched"][r] = end
            if line <= end:
                u["ref"] = r
                u["kind"] = f["kind"]
                u["line"] = line
                u["last_line"] = end
                if f["rows"] > 1:
                    u["row"] = f["rows"] - 1
                    u["row_byte"] = begin
                    u["row_bytes"] = length
                    u["touched"][r] = -1
                return
        r += 1
    u["fraction"] += (stop - u["element"]) * n["element_cost"]
    if u["element"] == 0:
        u["fraction"] += n["row_cost"]
    u["gap"] = u["fraction"] >> FRACTION_BITS
    u["fraction"] &= (1 << FRACTION_BITS) - 1
    u["element"] = stop
    u["ref"] = -1
    if stop == n["inner"]:
        next_row(u, n, refs)


@jit
def walk(h, u, cores, nests, count, refs, records, tags, m, regions, moved, until):
    """Let a core go on until a slot, until it has to wait for memory, or until its part of the nest is finished."""
    n = nests[u["nest"]]
    while u["now"] < until:
        if u["gap"] > 0 and dispatch(h, u) == 0:
            return
        if u["line"] <= u["last_line"]:
            if touch(h, u, cores, tags, m, regions, moved, u["line"], u["kind"]) == 0:
                return
            u["line"] += 1
        elif u["state"] == WALKING:
            next_lines(u, n, refs)
        elif u["state"] == FINISHED:
            if h["cores"] > 1 or u["nest"] + 1 >= count:
                return
            u["nest"] += 1
            u["state"] = STARTING
            n = nests[u["nest"]]
        elif n["records"] > 0:
            if next_record(h, u, cores, n, records, m, regions, moved) == 0:
                return
        else:
            start_nest(h, u, n, refs)


@jit
def next_record(h, u, cores, n, records, m, regions, moved):
    """A record of a core trace: its bubbles, then a load that misses every cache, then its write-back. 0 if the core has to wait."""
    if u["index"] > 0 or u["record"] >= n["records"]:
        u["state"] = FINISHED
        return 1
    r = records[u["record"]]
    if u["record_load"] == 0:
        u["record_load"] = 1
        u["gap"] = r["gap"]
        return 1
    if not has_room(h, u):
        return 0
    h["llc_read_misses"] += 1
    register = fetch(h, u, m, regions, moved, r["address"] >> LINE_BITS, 0)
    u["busy"] += 1
    note_load(h, u, cores, LOAD, u["index"] * MAX_OUT + register)
    if r["writeback"] >= 0:
        write_back(h, u, m, regions, moved, r["writeback"] >> LINE_BITS)
    u["gap"] = 1
    u["record"] += 1
    u["record_load"] = 0
    return 1
