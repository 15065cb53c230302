"""Records of the cores: what they walk through (nests of loops), what is under way, what is counted.

Core time is in slots: one slot is one instruction at the issue width, `width` slots are one core cycle.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import register

LOOPS = 4  # around the innermost one
MAX_REFS = 12
MAX_WINDOW = 4096
MAX_MISSES = 512
MAX_OUT = 2 * MAX_MISSES  # demand misses, then prefetches
MAX_TRANSFERS = 4096
STREAMS = 64
LINE_BITS = 6  # 64-byte lines
FRACTION_BITS = 10  # instructions of a row and of an element are in 1/1024

# What a reference does to each element; a load may have to wait for the one before it (a pointer, an index).
LOAD, STORE, UPDATE, DEPENDENT = 0, 1, 2, 3
# Where a core is.
STARTING, WALKING, FINISHED = 0, 1, 2

#: One array reference of a nest: at innermost element e of the loop indices i, `size` bytes from base + sum(i * stride) + e * step on, `rows` times
#: `pitch` apart. Bounds (limit 0: none): it exists where 0 <= row + sum(i * row_stride) < row_limit, and
#: 0 <= column + sum(i * column_stride) + e * column_step < column_limit.
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

#: Loops around a row of `inner` elements. In a parallel nest each core has its part of the outermost loop; `first` and `stop` bound that part, from
#: its start, for runs of some of it.
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
            ("records", np.int64),  # not a nest: so many records of a core trace, whose loads miss
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
            (
                "miss_latency",
                np.int64,
            ),  # slots from a load to its request to memory, and of a load that hits the last level
            ("l2_latency", np.int64),
            ("l3_latency", np.int64),
            ("hidden", np.int64),  # loads of so many slots never hold the window up
            ("slots", np.int64),  # slots in `ticks` memory clocks
            ("ticks", np.int64),
            ("quantum", np.int64),  # memory clocks that one core may run ahead of another
            ("parts", np.int64),  # memory accesses for a line
            ("part_bits", np.int64),
            ("trcd", np.int64),  # slots
            ("functional", np.int64),  # caches only: no time passes
            # Caches in the tag array: 1 and 2 of each core after the other, then the shared 3.
            ("sets1", np.int64),
            ("ways1", np.int64),
            ("sets2", np.int64),
            ("ways2", np.int64),
            ("sets3", np.int64),
            ("ways3", np.int64),
            ("mask1", np.int64),  # sets - 1 where they are a power of two, else 0
            ("mask2", np.int64),
            ("mask3", np.int64),
            ("start2", np.int64),
            ("start3", np.int64),
            # Prefetching: streams followed (0: none), lines ahead at most.
            ("streams", np.int64),
            ("depth", np.int64),
            # To memory, in order.
            ("transfers", np.int64),
            ("transfer_limit", np.int64),
            ("next_due", np.int64),  # clock at which the next one that has not been offered is
            ("transfer_due", np.int64, (MAX_TRANSFERS,)),
            ("transfer_line", np.int64, (MAX_TRANSFERS,)),
            ("transfer_row", np.int64, (MAX_TRANSFERS,)),
            ("transfer_column", np.int64, (MAX_TRANSFERS,)),
            ("transfer_bank", np.int64, (MAX_TRANSFERS,)),
            ("transfer_channel", np.uint32, (MAX_TRANSFERS,)),
            ("transfer_tensor", np.int64, (MAX_TRANSFERS,)),
            ("transfer_tag", np.int64, (MAX_TRANSFERS,)),  # -1: a write
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
            ("touches", np.int64),
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
            ("stalled", np.int64),  # until data arrives
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
            ("row", np.int64),  # of a reference that has several
            ("row_byte", np.int64),
            ("row_bytes", np.int64),
            ("byte", np.int64, (MAX_REFS,)),
            ("first_element", np.int64, (MAX_REFS,)),
            ("last_element", np.int64, (MAX_REFS,)),
            ("touched", np.int64, (MAX_REFS,)),
            ("record", np.int64),
            ("record_load", np.int64),
            # Loads in the window that take long: a ring in program order.
            ("loads", np.int64),
            ("first_load", np.int64),
            ("load_index", np.int64, (MAX_WINDOW,)),
            ("load_done", np.int64, (MAX_WINDOW,)),  # slot; FOREVER: not known yet
            ("load_tag", np.int64, (MAX_WINDOW,)),
            ("load_activated", np.int64, (MAX_WINDOW,)),
            ("depends_on", np.int64),  # slot at which the last dependent load is done
            ("depends_tag", np.int64),
            # Lines on their way from memory.
            ("busy", np.int64),  # demand misses not known to be back
            ("ahead", np.int64),  # prefetches not known to be back
            ("out_line", np.int64, (MAX_OUT,)),  # -1: free
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
