"""Record layouts of the compiled core: what the wall fills in, what the loop changes, what comes back.

The records are the boundary. Shapes are fixed so that one compilation serves every standard; unused entries are never touched.
All clocks are memory cycles (int64). Indices are unsigned, because compiled code checks a signed index for being negative; slot 0 is no slot.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import register
from edensim.vocabulary import COMMAND, COMMANDS, REQUEST

MAX_RANKS = 16
MAX_GROUPS = 64  # bank groups per channel, all ranks together
MAX_BANKS = 256  # banks per channel, all ranks together
MAX_SLOTS = 1280  # read queue + write queue + active requests
MAX_RULES = 256
MAX_WINDOWS = 8
MAX_HISTORY = 64  # longest window
MAX_CLASSES = 16  # timing classes: partitions with their own tRCD
MAX_RANGES = 1024  # rows of a bank that are a partition of their own, per channel
MAX_CELLS = (
    MAX_BANKS + MAX_RANGES
)  # what commands are counted for: banks, then their ranges of rows
MAX_PRIORITY = 1568
LATENCY_BINS = 8192
EXPOSURE_BINS = 256  # ACT-to-read intervals in cycles; the last bin holds all longer ones
TENSOR_READS, TENSOR_WRITES, TENSOR_ACTIVATIONS, TENSOR_COUNTERS = 0, 1, 2, 3
FILTER = 1024  # counters of the write-queue address filter
FOREVER = 1 << 62
NEVER = 1 << 60  # a span of clocks that no run reaches, and that can be added to a clock

# Levels below the channel; channel rules become rank rules with siblings at the wall.
RANK, GROUP, BANK = 0, 1, 2
# Ready clocks of all nodes lie in one array: ranks, then bank groups, then banks, COMMANDS each.
RANK_BASE, GROUP_BASE, BANK_BASE = 0, MAX_RANKS * COMMANDS, (MAX_RANKS + MAX_GROUPS) * COMMANDS
NODES = MAX_RANKS + MAX_GROUPS + MAX_BANKS

# An active candidate's key orders by clock, then arrival: (clocks from now << AGE_BITS) + arrival. No candidate has key ABSENT.
AGE_BITS = 40
ABSENT = 1 << 62
# A queued candidate's key: clocks from now (FAR: that or more), order of acceptance, slot, and 1 for a row hit: 12 + 38 + 12 bits.
WHO_BITS, QUEUE_AGE_BITS, FAR = 12, 38, (1 << 12) - 1
SLOT_MASK = (1 << (WHO_BITS - 1)) - 1

# Kinds of a plan.
IDLE, ACTIVE, PRIORITY, QUEUED = 0, 1, 2, 3

# Why the loop came back.
DONE, NEED_INPUT, COMMANDS_FULL, PRIORITY_OVERFLOW, DEADLOCK, HALTED = 0, 1, 2, 3, 5, 6


#: What never changes during a run. Gaps and other cycles that an operating point decides are per timing class.
TIMING = register(
    "TIMING",
    np.dtype(
        [
            ("banks", np.int64),
            ("ranks", np.int64),
            ("groups", np.int64),
            ("banks_per_rank", np.int64),
            ("groups_per_rank", np.int64),
            ("banks_per_group", np.int64),
            ("rank_of", np.uint32, (MAX_BANKS,)),
            ("group_of", np.uint32, (MAX_BANKS,)),
            # Where a bank's ready clocks lie, by level.
            ("ready_at", np.uint32, (MAX_BANKS, 3)),
            # Rules with window 1 that follow command c: indices rule_start[c] up to rule_stop[c].
            ("rule_start", np.uint32, (COMMANDS,)),
            ("rule_stop", np.uint32, (COMMANDS,)),
            ("rule_level", np.uint32, (MAX_RULES,)),
            ("rule_next", np.uint32, (MAX_RULES,)),
            ("rule_gap", np.int64, (MAX_CLASSES, MAX_RULES)),
            # The same between different nodes under one parent.
            ("sibling_start", np.uint32, (COMMANDS,)),
            ("sibling_stop", np.uint32, (COMMANDS,)),
            # Rules with a longer window (tFAW), per command.
            ("windows", np.int64),
            ("window_of", np.int64, (COMMANDS,)),  # 1 if any window rule follows this command
            ("window_after", np.uint32, (MAX_WINDOWS,)),
            ("window_before", np.uint32, (MAX_WINDOWS,)),
            ("window_level", np.int64, (MAX_WINDOWS,)),
            ("window_length", np.int64, (MAX_WINDOWS,)),
            ("window_gap", np.int64, (MAX_CLASSES, MAX_WINDOWS)),
            (
                "deep_before",
                np.int64,
                (COMMANDS,),
            ),  # 1 if a rank-wide command is constrained below the rank
            ("read_latency", np.int64),
            ("nREFI", np.int64, (MAX_CLASSES,)),
            # When an auto-precharge closes the row: after ACT, RDA, WRA.
            ("close_after_act", np.int64, (MAX_CLASSES,)),
            ("close_after_read", np.int64, (MAX_CLASSES,)),
            ("close_after_write", np.int64, (MAX_CLASSES,)),
            ("scheduler", np.int64),
            ("row_policy", np.int64),
            ("row_cap", np.int64),
            ("refresh", np.int64),
            ("queue_size", np.int64, (2,)),
            ("write_high", np.int64),
            ("write_low", np.int64),
            ("column_command", np.uint32, (2,)),
            # Low-power states of idle ranks: 1 if there are any; clocks of idleness before power-down and self-refresh (NEVER where there is none);
            # clocks to leave them; clocks after a command until its rank is quiet.
            ("power_down", np.int64),
            ("idle_cycles", np.int64),
            ("exit_cycles", np.int64),
            ("self_idle_cycles", np.int64),
            ("self_exit_cycles", np.int64),
            ("quiet_after", np.int64, (COMMANDS,)),
        ],
        align=True,
    ),
)


def packed(fields: list[tuple]) -> np.dtype:
    """A record whose cache-line-sized sub-records come first, then what is small: the loop touches few lines and pages."""

    def order(field: tuple) -> tuple[bool, int]:
        dtype = np.dtype(field[1:]) if len(field) > 2 else np.dtype(field[1])
        return dtype.base.itemsize % 64 != 0, dtype.itemsize

    return np.dtype(sorted(fields, key=order), align=True)


#: A request in the controller: one cache line.
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
        ("queue", np.uint32),  # 0 read, 1 write
        ("seen", np.uint32),  # its row state is counted
        ("next", np.uint32),
        ("previous", np.uint32),
    ],
    align=True,
)

#: A bank and its part of the queues, [read, write]: one cache line.
BANK_STATE = np.dtype(
    [
        ("open_row", np.int64),  # -1: closed
        ("opened_at", np.int64),
        ("served", np.int32),  # column commands since the row was opened
        ("close_queued", np.uint32),
        ("row_command", np.uint32),  # ACT or PREpb: what a request without a row hit needs
        ("active_slot", np.uint32),
        # Requests in order of age; the oldest row hit; the oldest that needs `row_command` (none while the bank has an active request).
        ("head", np.uint32, (2,)),
        ("tail", np.uint32, (2,)),
        ("hit", np.uint32, (2,)),
        ("other", np.uint32, (2,)),
    ],
    align=True,
)

#: One channel: its controller and its banks. [2] is read, write.
CHANNEL = register(
    "CHANNEL",
    packed(
        [
            ("index", np.int64),
            # Timing classes: of the module (rank-wide commands, refresh), and of each bank. They change at a halt.
            ("module_class", np.uint32),
            (
                "bank_class",
                np.uint32,
                (MAX_BANKS,),
            ),  # in force: of a divided bank that of the row opened last
            (
                "cell",
                np.uint32,
                (MAX_BANKS,),
            ),  # what the bank's commands count for: the bank, or a range of its rows
            # Divided banks: class of the rows in no range, and the bank's ranges (range r is cell banks + r).
            ("ranges", np.int64),
            ("whole_class", np.uint32, (MAX_BANKS,)),
            ("range_start", np.int64, (MAX_BANKS,)),
            ("range_stop", np.int64, (MAX_BANKS,)),
            ("range_first", np.int64, (MAX_RANGES,)),
            ("range_last", np.int64, (MAX_RANGES,)),
            ("range_class", np.uint32, (MAX_RANGES,)),
            # Where tensors are counted: operating point of each cell, and the tensor that opened the bank's row.
            ("cell_point", np.int64, (MAX_CELLS,)),
            ("owner", np.int64, (MAX_BANKS,)),
            ("halt_at", np.int64),  # clock from which the channel closes its banks and stops
            ("halting", np.int64),  # ranks still to be closed
            ("halted", np.int64),
            # When each command is next legal at each node.
            ("ready", np.int64, (NODES * COMMANDS,)),
            ("history", np.int64, (MAX_WINDOWS, MAX_BANKS, MAX_HISTORY)),
            ("history_at", np.uint32, (MAX_WINDOWS, MAX_BANKS)),
            ("banks", BANK_STATE, (MAX_BANKS,)),
            # Ranks.
            ("rank_open", np.int64, (MAX_RANKS,)),  # open banks of the rank
            ("rank_opened_at", np.int64, (MAX_RANKS,)),
            (
                "rank_closed_at",
                np.int64,
                (MAX_RANKS,),
            ),  # may lie ahead: an auto-precharge takes effect later
            ("rank_refreshed_at", np.int64, (MAX_RANKS,)),
            ("rank_actives", np.int64, (MAX_RANKS,)),
            (
                "rank_work",
                np.int64,
                (MAX_RANKS,),
            ),  # requests and maintenance that wait for the rank
            ("rank_quiet_at", np.int64, (MAX_RANKS,)),  # since when it is idle, where nothing waits
            (
                "rank_slept_open",
                np.int64,
                (MAX_RANKS,),
            ),  # clocks in power-down with a bank open, and with all closed
            ("rank_slept_closed", np.int64, (MAX_RANKS,)),
            ("rank_self_refreshed", np.int64, (MAX_RANKS,)),  # clocks in self-refresh
            ("actives", np.uint32),
            ("active", np.uint32, (MAX_BANKS,)),  # slots of active requests
            ("slots", SLOT, (MAX_SLOTS,)),
            ("free", np.uint32, (MAX_SLOTS,)),
            ("frees", np.uint32),
            # Queues.
            # active request).
            ("length", np.int64, (2,)),
            # Banks that have requests, in no order: of each queue the closed ones, then the open ones.
            ("occupied", np.uint32, (2, 2, MAX_BANKS)),
            ("occupied_at", np.uint32, (2, MAX_BANKS)),
            ("occupieds", np.uint32, (2, 2)),
            ("filter", np.uint16, (FILTER,)),
            ("write_mode", np.uint32),
            ("age", np.int64),
            # Maintenance: a ring of (command, rank or bank).
            ("priority_command", np.uint32, (MAX_PRIORITY,)),
            ("priority_node", np.uint32, (MAX_PRIORITY,)),
            ("priority_head", np.uint32),
            ("priorities", np.int64),
            ("next_refresh", np.int64),
            ("next_refresh_bank", np.uint32),
            ("overflow", np.int64),
            # The next command of the queue in service on closed banks (ACT) and on open ones, each kept as long as nothing can come before it.
            ("kept", np.int64, (2,)),
            ("kept_at", np.int64, (2,)),
            ("kept_slot", np.uint32, (2,)),
            ("kept_command", np.uint32, (2,)),
            # The plan: what will issue next if nothing arrives before.
            ("planned", np.int64),
            ("plan_at", np.int64),
            ("plan_kind", np.int64),
            ("plan_slot", np.uint32),
            ("plan_command", np.uint32),
            ("close_at", np.int64),
            ("due", np.int64),
            # Reads on their way back, where the source waits for them.
            ("keep_returns", np.int64),
            ("returns", np.int64),
            ("return_at", np.int64, (MAX_SLOTS,)),
            ("return_tag", np.int64, (MAX_SLOTS,)),
            # Counts.
            ("last_command", np.int64),
            ("last_departure", np.int64),
            ("commands", np.int64, (MAX_CELLS, COMMANDS)),
            ("closings", np.int64, (MAX_CELLS,)),
            ("rank_active_cycles", np.int64, (MAX_RANKS,)),
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

#: A request with its place in DRAM.
PLACED = register(
    "PLACED",
    np.dtype(
        [
            ("line", np.int64),
            ("clock", np.int64),
            ("row", np.int32),
            ("column", np.int32),
            ("tensor", np.int32),
            ("bank", np.uint16),
            ("channel", np.uint16),
            ("is_write", np.uint32),
        ],
        align=True,
    ),
)

#: The event loop between two calls.
LOOP = register(
    "LOOP",
    np.dtype(
        [
            ("tick", np.int64),
            ("position", np.int64),  # next request of the chunk
            ("blocked", np.int64),  # the next request waits for room
            (
                "alone",
                np.int64,
            ),  # one channel: when the source is blocked, only the channel can act before clock `limit`
            ("limit", np.int64),
            ("timed", np.int64),
            ("final", np.int64),  # no chunk follows
            ("record", np.int64),  # 1 to record commands
            ("recorded", np.int64),  # commands in the output array
            # 1 to count exposures: per channel and cell, then per tensor, EXPOSURE_BINS each; then per tensor (the last row: of none) and operating
            # point, TENSOR_COUNTERS each.
            ("expose", np.int64),
            ("tensors", np.int64),  # tensors that are counted
            ("cells", np.int64),  # of a channel
            ("points", np.int64),
            ("channels", np.int64),
        ],
        align=True,
    ),
)

register("REQUEST", REQUEST)
register("COMMAND", COMMAND)
