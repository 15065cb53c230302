"""Records of cores that walk nests of loops: the nests, the cores, their caches, what is counted.

Core time is in slots: a slot is one instruction at the issue width, and `width` slots are one core
cycle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edensim.kernels.compile import register
from edensim.kernels.controller.address import PLACED

LOOPS = 4  # around the innermost one
MAX_REFS = 12
MAX_WINDOW = 4096
MAX_MISSES = 512
MAX_OUT = 2 * MAX_MISSES  # miss registers: of demand misses, then of prefetches
MAX_TRANSFERS = 4096
STREAMS = 64
LINE_BITS = 6  # 64-byte lines
FRACTION_BITS = 10  # instructions of a row and of an element are in 1/1024

# What a reference does to each element. A dependent load waits for the one before it (a pointer or
# an index).
LOAD, STORE, UPDATE, DEPENDENT = range(4)
# Where a core is in its nest.
STARTING, WALKING, FINISHED = range(3)
# What a core waits for: nothing, the data of a line, room on the way to memory.
NOT_STALLED, WAITS_FOR_DATA, WAITS_FOR_ROOM = range(3)

#: One array reference of a nest. At innermost element e of the loop indices i it is `size` bytes
#: from base + sum(i * stride) + e * step on, `rows` times, `pitch` apart. It exists if
#: 0 <= row + sum(i * row_stride) < row_limit and
#: 0 <= column + sum(i * column_stride) + e * column_step < column_limit; limit 0 means no bound.
REF = register(
    "REF",
    np.dtype(
        [
            ("base", np.int64),
            ("stride", np.int64, (LOOPS,)),
            ("step", np.int64),
            ("size", np.int64),
            ("rows", np.int64),
            ("pitch", np.int64),
            ("kind", np.int64),
            ("row", np.int64),
            ("row_stride", np.int64, (LOOPS,)),
            ("row_limit", np.int64),
            ("column", np.int64),
            ("column_stride", np.int64, (LOOPS,)),
            ("column_step", np.int64),
            ("column_limit", np.int64),
        ],
        align=True,
    ),
)

#: Loops around a row of `inner` elements. In a parallel nest each core has a part of the outermost
#: loop. To run some of it, `first` and `stop` bound that part, counted from its start.
NEST = register(
    "NEST",
    np.dtype(
        [
            ("loops", np.int64, (LOOPS,)),
            ("inner", np.int64),
            ("chunk", np.int64),  # elements walked at once: about a line
            ("first_ref", np.int64),
            ("refs", np.int64),
            ("row_cost", np.int64),
            ("element_cost", np.int64),
            ("parallel", np.int64),
            ("first", np.int64),
            ("stop", np.int64),
            # If not 0, this is no nest but so many records of a core trace, whose loads miss.
            ("records", np.int64),
        ],
        align=True,
    ),
)

#: What all cores share.
CPUS = register(
    "CPUS",
    np.dtype(
        [
            ("cores", np.int64),
            ("width", np.int64),
            ("window", np.int64),
            ("misses_allowed", np.int64),
            # Slots from a load to its request to memory.
            ("miss_latency", np.int64),
            ("l2_latency", np.int64),
            ("l3_latency", np.int64),
            ("hidden", np.int64),  # loads that take at most so many slots never stop the window
            # There are `slots` slots in `clocks` memory clocks.
            ("slots", np.int64),
            ("clocks", np.int64),
            ("quantum", np.int64),  # memory clocks that one core may run ahead of another
            ("parts", np.int64),  # memory accesses of a line
            ("part_bits", np.int64),
            ("trcd", np.int64),  # slots
            ("functional", np.int64),  # caches only: no time passes
            # The three levels of cache: sets, ways, sets - 1 if they are a power of two (else 0),
            # and where the level begins in the tag array. Levels 1 and 2 exist for each core.
            ("sets", np.int64, (3,)),
            ("ways", np.int64, (3,)),
            ("mask", np.int64, (3,)),
            ("start", np.int64, (3,)),
            # Prefetching: streams followed (0 for none), most lines ahead.
            ("streams", np.int64),
            ("depth", np.int64),
            # Requests on their way to memory, in order. `clock` is when each is due, and tag -1
            # means a write. `next_due` is when the next one is that has not been offered.
            ("pending_count", np.int64),
            ("pending_limit", np.int64),
            ("next_due", np.int64),
            ("freed", np.int64),  # places in queues that became free
            ("pending", PLACED, (MAX_TRANSFERS,)),
            ("pending_tag", np.int64, (MAX_TRANSFERS,)),
            # Counts.
            ("l2_reads", np.int64),
            ("l3_reads", np.int64),
            ("llc_read_misses", np.int64),
            ("llc_writebacks", np.int64),
            ("prefetches", np.int64),
            ("late_prefetches", np.int64),
            ("used_prefetches", np.int64),
            ("exposed_activations", np.int64),
            ("exposed_slots", np.int64),
            ("read_activations", np.int64),
            ("memory_stall_slots", np.int64),
        ],
        align=True,
    ),
)

#: One core.
CPU = register(
    "CPU",
    np.dtype(
        [
            ("index", np.int64),
            ("now", np.int64),  # slots
            ("instructions", np.int64),
            ("gap", np.int64),  # instructions to dispatch before the walk goes on
            ("fraction", np.int64),
            ("stalled", np.int64),
            # The walk.
            ("state", np.int64),
            ("nest", np.int64),
            ("stop", np.int64),
            ("at", np.int64, (LOOPS,)),
            ("element", np.int64),
            ("ref", np.int64),
            ("line", np.int64),
            ("last_line", np.int64),
            ("kind", np.int64),
            ("row", np.int64),  # rows left of a reference that has several
            ("row_byte", np.int64),
            ("row_bytes", np.int64),
            ("byte", np.int64, (MAX_REFS,)),
            ("first_element", np.int64, (MAX_REFS,)),
            ("last_element", np.int64, (MAX_REFS,)),
            ("touched", np.int64, (MAX_REFS,)),
            ("record", np.int64),
            ("record_load", np.int64),
            # Loads in the window that take long: a ring in program order. `load_done` is the slot
            # at which the data are there, FOREVER if that is not known yet.
            ("loads", np.int64),
            ("first_load", np.int64),
            ("load_index", np.int64, (MAX_WINDOW,)),
            ("load_done", np.int64, (MAX_WINDOW,)),
            ("load_tag", np.int64, (MAX_WINDOW,)),
            ("load_activated", np.int64, (MAX_WINDOW,)),
            ("depends_on", np.int64),  # slot at which the latest dependent load is done
            ("depends_tag", np.int64),
            # Lines on their way from memory.
            ("busy", np.int64),  # demand misses not known to be back
            ("ahead", np.int64),  # prefetches not known to be back
            ("out_line", np.int64, (MAX_OUT,)),  # -1 if free
            ("out_done", np.int64, (MAX_OUT,)),
            ("out_parts", np.int64, (MAX_OUT,)),
            ("out_activated", np.int64, (MAX_OUT,)),
            # Streams followed.
            ("stream_page", np.int64, (STREAMS,)),
            ("stream_last", np.int64, (STREAMS,)),
            ("stream_stride", np.int64, (STREAMS,)),
            ("stream_confidence", np.int64, (STREAMS,)),
            ("stream_depth", np.int64, (STREAMS,)),
            ("stream_ahead", np.int64, (STREAMS,)),
            ("stream_used", np.int64, (STREAMS,)),
            ("stream_clock", np.int64),
        ],
        align=True,
    ),
)


class Caches(NamedTuple):
    """Cores with their caches: CPUS, [cores] CPU, all tags, MAPPING, and where lines belong.

    regions: first line, last line and tensor of each region, in order of address. moved: lines read
    and lines written of each tensor; the last pair is of lines that belong to no tensor.
    """

    machine: Any
    cores: Any
    tags: Any
    mapping: Any
    regions: Any
    moved: Any


class LoopNests(NamedTuple):
    """The source: cores with caches, [n] NEST, their [n] REF, and REQUEST records of a trace."""

    caches: Caches
    nests: Any
    refs: Any
    records: Any
