"""Record layouts of the compiled core: what the wall fills in, what the loop changes, what comes back.

The records are the boundary. Shapes are fixed so that one compilation serves every standard; unused entries are never touched.
All clocks are memory cycles, all values int64 unless memory traffic matters.
"""

from __future__ import annotations

import numpy as np

from edensim.core.jit import register
from edensim.vocabulary import COMMAND, COMMANDS, REQUEST

MAX_RANKS = 16
MAX_GROUPS = 64  # bank groups per channel, all ranks together
MAX_BANKS = 256  # banks per channel, all ranks together
MAX_SLOTS = 1280  # read queue + write queue + active requests
MAX_RULES = 256
MAX_WINDOWS = 8
MAX_HISTORY = 64  # longest window
MAX_CLASSES = 16  # timing classes: partitions with their own tRCD
MAX_PRIORITY = 1568
LATENCY_BINS = 8192
FILTER = 1024  # counters of the write-queue address filter
FOREVER = 1 << 62

# Levels below the channel; channel rules become rank rules with siblings at the wall.
RANK, GROUP, BANK = 0, 1, 2

# Kinds of a plan.
IDLE, ACTIVE, PRIORITY, QUEUED = 0, 1, 2, 3


# Why the loop came back.
DONE, NEED_INPUT, COMMANDS_FULL, PRIORITY_OVERFLOW = 0, 1, 2, 3


#: What never changes during a run. Gaps are per timing class; `bank_class` maps a bank to its class, `rank_class` holds the class of rank-wide commands.
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
            ("rank_of", np.int64, (MAX_BANKS,)),
            ("group_of", np.int64, (MAX_BANKS,)),
            ("bank_class", np.int64, (MAX_BANKS,)),
            # Rules with window 1: of command c at level l, indices rule_start[c, l] up to rule_stop[c, l].
            ("rule_start", np.int64, (COMMANDS, 3)),
            ("rule_stop", np.int64, (COMMANDS, 3)),
            ("sibling_start", np.int64, (COMMANDS, 3)),
            ("sibling_stop", np.int64, (COMMANDS, 3)),
            ("rule_next", np.int64, (MAX_RULES,)),
            ("rule_gap", np.int64, (MAX_CLASSES, MAX_RULES)),
            # Rules with a longer window (tFAW), per command.
            ("windows", np.int64),
            ("window_of", np.int64, (COMMANDS,)),  # 1 if any window rule follows this command
            ("window_after", np.int64, (MAX_WINDOWS,)),
            ("window_before", np.int64, (MAX_WINDOWS,)),
            ("window_level", np.int64, (MAX_WINDOWS,)),
            ("window_length", np.int64, (MAX_WINDOWS,)),
            ("window_gap", np.int64, (MAX_CLASSES, MAX_WINDOWS)),
            ("deep_before", np.int64, (COMMANDS,)),  # 1 if a rank-wide command is constrained below the rank
            ("read_latency", np.int64),
            ("nREFI", np.int64),
            ("nRFC", np.int64),
            # When an auto-precharge closes the row: after ACT, RDA, WRA.
            ("close_after_act", np.int64),
            ("close_after_read", np.int64),
            ("close_after_write", np.int64),
            ("scheduler", np.int64),
            ("row_policy", np.int64),
            ("row_cap", np.int64),
            ("refresh", np.int64),
            ("queue_size", np.int64, (2,)),
            ("write_high", np.int64),
            ("write_low", np.int64),
            ("column_command", np.int64, (2,)),
        ],
        align=True,
    ),
)

#: One channel: its controller and its banks. [2] is read, write.
CHANNEL = register(
    "CHANNEL",
    np.dtype(
        [
            ("index", np.int64),
            # When each command is next legal, by level.
            ("rank_ready", np.int64, (MAX_RANKS, COMMANDS)),
            ("group_ready", np.int64, (MAX_GROUPS, COMMANDS)),
            ("bank_ready", np.int64, (MAX_BANKS, COMMANDS)),
            ("history", np.int64, (MAX_WINDOWS, MAX_BANKS, MAX_HISTORY)),
            ("history_at", np.int64, (MAX_WINDOWS, MAX_BANKS)),
            # Banks.
            ("open_row", np.int64, (MAX_BANKS,)),
            ("opened_at", np.int64, (MAX_BANKS,)),
            ("served", np.int64, (MAX_BANKS,)),  # column commands since the row was opened
            ("close_queued", np.int64, (MAX_BANKS,)),
            ("active_slot", np.int64, (MAX_BANKS,)),
            ("rank_open", np.int64, (MAX_RANKS,)),  # open banks of the rank
            ("rank_opened_at", np.int64, (MAX_RANKS,)),
            ("rank_closed_at", np.int64, (MAX_RANKS,)),  # may lie ahead: an auto-precharge takes effect later
            ("rank_refreshed_at", np.int64, (MAX_RANKS,)),
            ("rank_actives", np.int64, (MAX_RANKS,)),
            ("actives", np.int64),
            ("active", np.int64, (MAX_BANKS,)),  # slots of active requests
            # Requests.
            ("free", np.int64, (MAX_SLOTS,)),
            ("frees", np.int64),
            ("slot_line", np.int64, (MAX_SLOTS,)),
            ("slot_row", np.int64, (MAX_SLOTS,)),
            ("slot_column", np.int64, (MAX_SLOTS,)),
            ("slot_bank", np.int64, (MAX_SLOTS,)),
            ("slot_queue", np.int64, (MAX_SLOTS,)),
            ("slot_arrive", np.int64, (MAX_SLOTS,)),
            ("slot_age", np.int64, (MAX_SLOTS,)),
            ("slot_seen", np.int64, (MAX_SLOTS,)),
            ("slot_tag", np.int64, (MAX_SLOTS,)),
            ("slot_next", np.int64, (MAX_SLOTS,)),
            ("slot_previous", np.int64, (MAX_SLOTS,)),
            # Queues: per bank a list in order of age, its oldest row hit and its oldest conflict.
            ("length", np.int64, (2,)),
            ("head", np.int64, (2, MAX_BANKS)),
            ("tail", np.int64, (2, MAX_BANKS)),
            ("hit", np.int64, (2, MAX_BANKS)),
            ("conflict", np.int64, (2, MAX_BANKS)),
            ("occupied", np.int64, (2, MAX_BANKS)),  # banks that have requests, in no order
            ("occupied_at", np.int64, (2, MAX_BANKS)),
            ("occupieds", np.int64, (2,)),
            ("filter", np.int64, (FILTER,)),
            ("write_mode", np.int64),
            ("age", np.int64),
            # Maintenance: a ring of (command, rank or bank).
            ("priority_command", np.int64, (MAX_PRIORITY,)),
            ("priority_node", np.int64, (MAX_PRIORITY,)),
            ("priority_head", np.int64),
            ("priorities", np.int64),
            ("next_refresh", np.int64),
            ("next_refresh_bank", np.int64),
            ("overflow", np.int64),
            # The plan: what will issue next if nothing arrives before.
            ("planned", np.int64),
            ("plan_at", np.int64),
            ("plan_kind", np.int64),
            ("plan_slot", np.int64),
            ("plan_command", np.int64),
            ("plan_age", np.int64),
            ("close_at", np.int64),
            ("due", np.int64),
            # Counts.
            ("last_command", np.int64),
            ("last_departure", np.int64),
            ("commands", np.int64, (MAX_BANKS, COMMANDS)),
            ("closings", np.int64, (MAX_BANKS,)),
            ("rank_active_cycles", np.int64, (MAX_RANKS,)),
            ("row_states", np.int64, (2, 3)),
            ("accepted", np.int64, (2,)),
            ("forwarded", np.int64),
            ("coalesced", np.int64),
            ("latency_sum", np.int64),
            ("latency_max", np.int64),
            ("latency", np.int64, (LATENCY_BINS,)),
        ],
        align=True,
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
            ("bank", np.int16),
            ("channel", np.int16),
            ("is_write", np.int64),
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
            ("blocked", np.int64),
            ("timed", np.int64),
            ("final", np.int64),  # no chunk follows
            ("record", np.int64),  # 1 to record commands
            ("recorded", np.int64),  # commands in the output array
        ],
        align=True,
    ),
)

register("REQUEST", REQUEST)
register("COMMAND", COMMAND)
