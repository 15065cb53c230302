"""The state of one channel: its requests, queues, banks, ranks, plans and counts.

All clocks are memory cycles (int64). Indices are unsigned, because compiled code checks a signed
index for being negative. Slot 0 stands for "no request".
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import register
from edensim.kernels.controller.limits import (
    LATENCY_BINS,
    MAX_BANKS,
    MAX_CELLS,
    MAX_HISTORY,
    MAX_MAINTENANCE,
    MAX_RANGES,
    MAX_RANKS,
    MAX_SLOTS,
    MAX_WINDOWS,
    NODES,
    WRITE_FILTER,
)
from edensim.vocabulary import COMMANDS

#: The banks of a queue are listed apart: closed ones and open ones.
CLOSED, OPEN = 0, 1

#: Which part of the controller the planned command comes from.
IDLE, ACTIVE, MAINTENANCE, QUEUED = range(4)


def packed(fields: list[tuple]) -> np.dtype:
    """Return a record type that begins with its cache-line-sized parts and small fields.

    The loop then touches few cache lines and pages.
    """

    def order(field: tuple) -> tuple[bool, int]:
        dtype = np.dtype(field[1:]) if len(field) > 2 else np.dtype(field[1])
        return dtype.base.itemsize % 64 != 0, dtype.itemsize

    return np.dtype(sorted(fields, key=order), align=True)


#: A request in the controller, in one cache line.
SLOT = np.dtype(
    [
        ("age", np.int64),  # order of acceptance
        ("arrive", np.int64),
        ("line", np.int64),
        ("row", np.int64),
        ("column", np.int32),
        ("tag", np.int32),  # what the source knows the request by
        ("tensor", np.int32),
        ("bank", np.uint32),
        ("queue", np.uint32),
        ("state_counted", np.uint32),  # whether it was counted as row hit, miss or conflict
        ("next", np.uint32),
        ("previous", np.uint32),
    ],
    align=True,
)

#: A bank and its part of the queues [read, write], in one cache line.
BANK_STATE = np.dtype(
    [
        ("open_row", np.int64),  # -1 if the bank is closed
        ("opened_at", np.int64),
        ("served", np.int32),  # column commands since the row was opened
        ("precharge_queued", np.uint32),
        ("row_command", np.uint32),  # what a request without a row hit needs: ACT or PREpb
        ("active_slot", np.uint32),  # the request that the row was opened for, until it is served
        # Requests in order of age; the oldest row hit; the oldest request for another row (none
        # while the bank has an active request).
        ("head", np.uint32, (2,)),
        ("tail", np.uint32, (2,)),
        ("hit", np.uint32, (2,)),
        ("other", np.uint32, (2,)),
    ],
    align=True,
)

#: One channel with its controller and its banks. An array of [2] is for [read, write].
CHANNEL = register(
    "CHANNEL",
    packed(
        [
            ("index", np.int64),
            # Timing classes of the module (rank-wide commands, refresh) and of each bank. A divided
            # bank has that of the row it opened last. They change at a halt.
            ("module_class", np.uint32),
            ("bank_class", np.uint32, (MAX_BANKS,)),
            # What a bank's commands are counted for: the bank, or a range of its rows.
            ("cell", np.uint32, (MAX_BANKS,)),
            # Divided banks: the class of rows in no range, and the bank's ranges, first and last
            # row and class of each. Range r is cell banks + r.
            ("ranges", np.int64),
            ("whole_class", np.uint32, (MAX_BANKS,)),
            ("range_start", np.int64, (MAX_BANKS,)),
            ("range_stop", np.int64, (MAX_BANKS,)),
            ("range_first", np.int64, (MAX_RANGES,)),
            ("range_last", np.int64, (MAX_RANGES,)),
            ("range_class", np.uint32, (MAX_RANGES,)),
            # If tensors are counted: the operating point of each cell, and the tensor whose request
            # opened the bank's row.
            ("cell_point", np.int64, (MAX_CELLS,)),
            ("owner", np.int64, (MAX_BANKS,)),
            # A change of operating point: when it is due, how many ranks still have to be closed.
            ("halt_at", np.int64),
            ("halting", np.int64),
            ("halted", np.int64),
            # When each command is next legal at each node.
            ("ready", np.int64, (NODES * COMMANDS,)),
            ("history", np.int64, (MAX_WINDOWS, MAX_BANKS, MAX_HISTORY)),
            ("history_at", np.uint32, (MAX_WINDOWS, MAX_BANKS)),
            ("banks", BANK_STATE, (MAX_BANKS,)),
            # Ranks. `rank_closed_at` may lie ahead, because an auto-precharge takes effect later.
            ("rank_open", np.int64, (MAX_RANKS,)),  # open banks
            ("rank_opened_at", np.int64, (MAX_RANKS,)),
            ("rank_closed_at", np.int64, (MAX_RANKS,)),
            ("rank_refreshed_at", np.int64, (MAX_RANKS,)),
            ("rank_actives", np.int64, (MAX_RANKS,)),  # active requests
            ("rank_work", np.int64, (MAX_RANKS,)),  # requests and maintenance that wait
            ("rank_quiet_at", np.int64, (MAX_RANKS,)),  # when its last command was done
            # Active requests: a row was opened for them, and their column command is to follow.
            ("active_count", np.uint32),
            ("active", np.uint32, (MAX_BANKS,)),
            ("slots", SLOT, (MAX_SLOTS,)),
            ("free", np.uint32, (MAX_SLOTS,)),
            ("free_count", np.uint32),
            # Queues.
            ("length", np.int64, (2,)),
            # Banks that have requests, in no order: of each queue the closed ones and the open.
            ("occupied", np.uint32, (2, 2, MAX_BANKS)),
            ("occupied_at", np.uint32, (2, MAX_BANKS)),
            ("occupied_count", np.uint32, (2, 2)),
            ("filter", np.uint16, (WRITE_FILTER,)),
            ("write_mode", np.uint32),
            ("age", np.int64),
            # Maintenance: a ring of commands, each with the rank or bank it is for.
            ("maintenance_command", np.uint32, (MAX_MAINTENANCE,)),
            ("maintenance_node", np.uint32, (MAX_MAINTENANCE,)),
            ("maintenance_head", np.uint32),
            ("maintenance_count", np.int64),
            ("next_refresh", np.int64),
            ("next_refresh_bank", np.uint32),
            ("precharge_at", np.int64),  # when the next row past the cap can be closed
            ("overflow", np.int64),
            # The next command of the queue in service on closed banks and on open ones. Each is
            # valid as long as nothing can come before it.
            ("queue_plan_valid", np.int64, (2,)),
            ("queue_plan_at", np.int64, (2,)),
            ("queue_plan_slot", np.uint32, (2,)),
            ("queue_plan_command", np.uint32, (2,)),
            # The channel's plan: what will issue next if nothing arrives before.
            ("planned", np.int64),
            ("plan_at", np.int64),
            ("plan_kind", np.int64),
            ("plan_slot", np.uint32),
            ("plan_command", np.uint32),
            ("due", np.int64),  # the next clock at which the channel has to be looked at
            # For sources that want to know: the request for which a row was just opened, and reads
            # whose data are on their way back.
            ("activated_slot", np.uint32),
            ("keep_returns", np.int64),
            ("return_count", np.int64),
            ("return_at", np.int64, (MAX_SLOTS,)),
            ("return_tag", np.int64, (MAX_SLOTS,)),
            # Counts.
            ("last_command", np.int64),
            ("last_departure", np.int64),
            ("commands", np.int64, (MAX_CELLS, COMMANDS)),
            ("precharges", np.int64, (MAX_CELLS,)),
            ("rank_active_cycles", np.int64, (MAX_RANKS,)),
            ("rank_powerdown_active_cycles", np.int64, (MAX_RANKS,)),
            ("rank_powerdown_precharged_cycles", np.int64, (MAX_RANKS,)),
            ("rank_selfrefresh_cycles", np.int64, (MAX_RANKS,)),
            ("row_states", np.int64, (2, 3)),
            ("accepted", np.int64, (2,)),
            ("forwarded", np.int64),
            ("coalesced", np.int64),
            ("latency_sum", np.int64),
            ("latency_max", np.int64),
            ("latency", np.int64, (LATENCY_BINS,)),
        ]
    ),
)
