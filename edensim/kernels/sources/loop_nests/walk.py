"""Walk nests of loops line by line: which line a core touches next, and what lies between."""

from edensim.kernels.compile import jit
from edensim.kernels.sources.loop_nests.access import miss, touch
from edensim.kernels.sources.loop_nests.state import (
    FINISHED,
    FRACTION_BITS,
    LINE_BITS,
    LOAD,
    LOOPS,
    STARTING,
    WALKING,
)
from edensim.kernels.sources.loop_nests.traffic import write_back
from edensim.kernels.sources.loop_nests.window import dispatch, has_room


@jit
def ceiling(a, b):
    """Return a / b, rounded up."""
    return -(-a // b)


@jit
def part_of(machine, nest, index):
    """Return the first index of a core's part of the outermost loop, and the length of the part.

    The parts are as even as can be, the longer ones first.
    """
    if nest["parallel"] == 0:
        return 0, nest["loops"][0] if index == 0 else 0
    share = nest["loops"][0] // machine["cores"]
    rest = nest["loops"][0] - share * machine["cores"]
    return index * share + min(index, rest), share + (index < rest)


@jit
def start_nest(machine, core, nest, refs):
    """Begin a core's part of a nest."""
    start, length = part_of(machine, nest, core["index"])
    core["at"][0] = start + nest["first"]
    core["stop"] = start + min(length, nest["stop"])
    for i in range(1, LOOPS):
        core["at"][i] = 0
    core["state"] = WALKING
    if core["at"][0] >= core["stop"] or nest["inner"] == 0:
        core["state"] = FINISHED
        return
    start_row(core, nest, refs)


@jit
def weighted(core, strides):
    """Return the sum of the core's loop indices, each times its stride."""
    total = 0
    for i in range(LOOPS):
        total += core["at"][i] * strides[i]
    return total


@jit
def start_row(core, nest, refs):
    """Find where each reference of a row lies, and which of its elements exist."""
    for r in range(nest["refs"]):
        ref = refs[nest["first_ref"] + r]
        first = 0
        last = nest["inner"]
        if ref["row_limit"] > 0:
            row = ref["row"] + weighted(core, ref["row_stride"])
            if row < 0 or row >= ref["row_limit"]:
                last = 0
        if ref["column_limit"] > 0:
            column = ref["column"] + weighted(core, ref["column_stride"])
            step = ref["column_step"]
            if step == 0:
                if column < 0 or column >= ref["column_limit"]:
                    last = 0
            else:
                if column < 0:
                    first = ceiling(-column, step)
                last = min(last, ceiling(ref["column_limit"] - column, step))
        if ref["step"] == 0:
            last = min(last, first + 1)
        core["byte"][r] = ref["base"] + weighted(core, ref["stride"])
        core["first_element"][r] = first
        core["last_element"][r] = last
        core["touched"][r] = -1
    core["element"] = 0
    core["ref"] = -1
    core["row"] = 0
    core["line"] = 0
    core["last_line"] = -1


@jit
def next_row(core, nest, refs):
    """Begin the next turn of the loops around a row; the core is finished after the last."""
    i = LOOPS - 1
    while i > 0:
        core["at"][i] += 1
        if core["at"][i] < nest["loops"][i]:
            start_row(core, nest, refs)
            return
        core["at"][i] = 0
        i -= 1
    core["at"][0] += 1
    if core["at"][0] < core["stop"]:
        start_row(core, nest, refs)
    else:
        core["state"] = FINISHED


@jit(forceinline=True)
def next_lines(core, nest, refs):
    """Find the next lines to touch, `line` to `last_line`.

    After the last reference of a chunk of elements come the chunk's instructions, then the next
    chunk.
    """
    if core["row"] > 0:
        core["row"] -= 1
        core["row_byte"] += refs[nest["first_ref"] + core["ref"]]["pitch"]
        core["line"] = core["row_byte"] >> LINE_BITS
        core["last_line"] = (core["row_byte"] + core["row_bytes"] - 1) >> LINE_BITS
        return
    stop = min(core["element"] + nest["chunk"], nest["inner"])
    for r in range(core["ref"] + 1, nest["refs"]):
        first = max(core["element"], core["first_element"][r])
        last = min(stop, core["last_element"][r])
        if first >= last:
            continue
        ref = refs[nest["first_ref"] + r]
        begin = core["byte"][r] + first * ref["step"]
        length = (last - 1 - first) * ref["step"] + ref["size"]
        line = begin >> LINE_BITS
        end = (begin + length - 1) >> LINE_BITS
        if line == core["touched"][r]:
            line += 1
        core["touched"][r] = end
        if line > end:
            continue
        core["ref"] = r
        core["kind"] = ref["kind"]
        core["line"] = line
        core["last_line"] = end
        if ref["rows"] > 1:
            core["row"] = ref["rows"] - 1
            core["row_byte"] = begin
            core["row_bytes"] = length
            core["touched"][r] = -1
        return
    core["fraction"] += (stop - core["element"]) * nest["element_cost"]
    if core["element"] == 0:
        core["fraction"] += nest["row_cost"]
    core["gap"] = core["fraction"] >> FRACTION_BITS
    core["fraction"] &= (1 << FRACTION_BITS) - 1
    core["element"] = stop
    core["ref"] = -1
    if stop == nest["inner"]:
        next_row(core, nest, refs)


@jit
def walk(source, core, until):
    """Let a core go on until a slot.

    It stops before if it has to wait for memory, or when its part of the nest is finished.
    """
    machine = source.caches.machine
    nest = source.nests[core["nest"]]
    while core["now"] < until:
        if core["gap"] > 0 and not dispatch(machine, core):
            return
        if core["line"] <= core["last_line"]:
            if not touch(source.caches, core, core["line"], core["kind"]):
                return
            core["line"] += 1
        elif core["state"] == WALKING:
            next_lines(core, nest, source.refs)
        elif core["state"] == FINISHED:
            if machine["cores"] > 1 or core["nest"] + 1 >= source.nests.shape[0]:
                return
            core["nest"] += 1
            core["state"] = STARTING
            nest = source.nests[core["nest"]]
        elif nest["records"] > 0:
            if not next_record(source.caches, core, nest, source.records):
                return
        else:
            start_nest(machine, core, nest, source.refs)


@jit
def next_record(caches, core, nest, records):
    """Walk a record of a core trace: bubbles, a load that misses every cache, a write-back.

    Returns False if the core has to wait.
    """
    if core["index"] > 0 or core["record"] >= nest["records"]:
        core["state"] = FINISHED
        return True
    record = records[core["record"]]
    if core["record_load"] == 0:
        core["record_load"] = 1
        core["gap"] = record["gap"]
        return True
    if not has_room(caches.machine, core):
        return False
    miss(caches, core, record["address"] >> LINE_BITS, LOAD)
    if record["writeback"] >= 0:
        write_back(caches, core, record["writeback"] >> LINE_BITS)
    core["gap"] = 1
    core["record"] += 1
    core["record_load"] = 0
    return True
