"""The event loop: a request source and the channels it feeds, from event to event.

It jumps over the clocks at which nothing can happen, and issues exactly the commands that a loop ticking every clock would.
"""

from __future__ import annotations

from edensim.kernels.codes import ACT, CAPPED, HALT, PREAB, RD, RDA, REFAB, WR, WRA
from edensim.kernels.compile import entry, jit
from edensim.kernels.controller.issue import issue_maintenance, issue_request
from edensim.kernels.controller.queues import find_write
from edensim.kernels.controller.scheduler import (
    accept,
    plan,
    queue_closings,
    queue_halts,
    queue_refreshes,
)
from edensim.kernels.controller.state import (
    COMMANDS_FULL,
    DEADLOCK,
    DONE,
    EXPOSURE_BINS,
    FOREVER,
    HALTED,
    NEED_INPUT,
    PRIORITY,
    PRIORITY_OVERFLOW,
    TENSOR_ACTIVATIONS,
    TENSOR_COUNTERS,
    TENSOR_READS,
    TENSOR_WRITES,
)
from edensim.kernels.sources.trace_core import (
    RUNNING,
    last_cycle_before,
    next_tick,
    receive,
    run_core_until,
)


@jit(forceinline=True)
def tick(s, t, clock, loop, commands, exposures):
    """Run one channel at one clock; returns 1 if a queue slot became free. Sets `due` to the next clock that needs a look."""
    if s["halted"]:
        s["due"] = FOREVER
        return 0
    if clock >= s["next_refresh"]:
        queue_refreshes(s, t, clock)
        s["planned"] = 0
    if clock >= s["halt_at"]:
        queue_halts(s, t, clock)
        s["planned"] = 0
    if t["row_policy"] == CAPPED and (s["planned"] == 0 or clock >= s["close_at"]):
        queue_closings(s, t, clock)
        s["planned"] = 0
    if s["planned"] == 0:
        plan(s, t, clock)
    if s["plan_at"] > clock:
        s["due"] = min(s["plan_at"], min(s["next_refresh"], s["halt_at"]))
        if t["row_policy"] == CAPPED:
            s["due"] = min(s["due"], s["close_at"])
        if loop["alone"] == 0 or loop["blocked"] == 0 or s["plan_at"] >= loop["limit"]:
            return 0
        if s["due"] < s["plan_at"] or s["plan_at"] == FOREVER or s["plan_at"] == s["next_refresh"]:
            return 0
        # Nothing else can happen before this channel's next command: go there at once.
        clock = s["plan_at"]
        if clock == s["halt_at"] or (t["row_policy"] == CAPPED and clock == s["close_at"]):
            return 0
        loop["tick"] = clock
    waiting = s["length"][0] + s["length"][1]
    slot = 0
    node = 0
    command = int(s["plan_command"])
    if s["plan_kind"] == PRIORITY:
        node = issue_maintenance(s, t, command, clock)
    else:
        slot = s["plan_slot"]
        node = s["slots"][slot]["bank"]
        command = issue_request(s, t, s["plan_kind"], slot, command, clock)
    s["planned"] = 0
    s["due"] = clock + 1
    if command == HALT:
        return 0
    s["last_command"] = clock
    if loop["record"]:
        record(s, t, command, node, slot, clock, loop, commands)
    if loop["expose"]:
        if command == RD or command == RDA:
            expose(s, node, slot, clock, loop, exposures)
        if loop["tensors"] > 0 and slot > 0:
            count_for_tensor(s, command, node, slot, loop, exposures)
    return waiting - (s["length"][0] + s["length"][1])


@jit
def expose(s, bank, slot, clock, loop, exposures):
    """Count how long after its row's activation a read came. (A released slot still holds its request.)"""
    bin = min(clock - s["banks"][bank]["opened_at"], EXPOSURE_BINS - 1)
    exposures[(s["index"] * loop["cells"] + s["cell"][bank]) * EXPOSURE_BINS + bin] += 1
    tensor = s["slots"][slot]["tensor"]
    if 0 <= tensor < loop["tensors"]:
        exposures[(loop["channels"] * loop["cells"] + tensor) * EXPOSURE_BINS + bin] += 1


@jit
def count_for_tensor(s, command, bank, slot, loop, exposures):
    """Count a request's command for its tensor, at the operating point of its rows. The row it opened is its tensor's until that is closed."""
    tensor = loop["tensors"]
    if 0 <= s["slots"][slot]["tensor"] < tensor:
        tensor = s["slots"][slot]["tensor"]
    at = (loop["channels"] * loop["cells"] + loop["tensors"]) * EXPOSURE_BINS
    at += (tensor * loop["points"] + s["cell_point"][s["cell"][bank]]) * TENSOR_COUNTERS
    if command == RD or command == RDA:
        exposures[at + TENSOR_READS] += 1
    elif command == WR or command == WRA:
        exposures[at + TENSOR_WRITES] += 1
    elif command == ACT:
        exposures[at + TENSOR_ACTIVATIONS] += 1
        s["owner"][bank] = tensor


@jit
def record(s, t, command, node, slot, clock, loop, commands):
    """Write the issued command to the output. (A released slot still holds its request.)"""
    at = loop["recorded"]
    loop["recorded"] = at + 1
    c = commands[at]
    c["clock"] = clock
    c["command"] = command
    c["channel"] = s["index"]
    c["row"] = -1
    c["column"] = -1
    if command == PREAB or command == REFAB:
        c["rank"] = node
        c["bankgroup"] = -1
        c["bank"] = -1
        return
    group = t["group_of"][node]
    c["rank"] = t["rank_of"][node]
    c["bankgroup"] = (
        group - t["rank_of"][node] * t["groups_per_rank"] if t["groups_per_rank"] > 1 else -1
    )
    c["bank"] = node - group * t["banks_per_group"]
    if slot > 0:
        c["row"] = s["slots"][slot]["row"]
        c["column"] = s["slots"][slot]["column"]


@jit
def is_refused(channels, t, request):
    """Whether a request's queue has no room for it. (One that the write queue answers takes no room.)"""
    s = channels[request["channel"]]
    queue = request["is_write"]
    return s["length"][queue] >= t["queue_size"][queue] and not find_write(
        s, request["bank"], request["line"]
    )


@jit
def is_drained(channels):
    """Whether nothing is left to do."""
    for c in range(channels.shape[0]):
        s = channels[c]
        if s["length"][0] + s["length"][1] + s["actives"] + s["priorities"] > 0:
            return False
    return True


@entry("CHANNEL[:]", "TIMING[:]", "LOOP[:]", "PLACED[:]", "i8", "COMMAND[:]", "i8[:]")
def run_requests(channels, timing, loops, requests, count, commands, exposures):
    """Saturating and timed sources: one request a clock, in order, each offered until its queue takes it."""
    t = timing[0]
    loop = loops[0]
    clock = loop["tick"]
    position = loop["position"]
    while True:
        if loop["record"] and loop["recorded"] + channels.shape[0] > commands.shape[0]:
            loop["tick"] = clock
            loop["position"] = position
            return COMMANDS_FULL
        offer_at = FOREVER
        if loop["blocked"] == 0:
            if position < count:
                r = requests[position]
                if loop["timed"] and r["clock"] > clock - 1:
                    offer_at = r["clock"] + 1
                elif accept(
                    channels[r["channel"]],
                    t,
                    r["is_write"],
                    r["bank"],
                    r["row"],
                    r["column"],
                    r["line"],
                    clock - 1,
                    0,
                    r["tensor"],
                ):
                    s = channels[r["channel"]]
                    if s["planned"] == 0:
                        s["due"] = min(s["due"], clock)
                    position += 1
                    offer_at = clock + 1
                    if (
                        loop["timed"] == 0
                        and position < count
                        and is_refused(channels, t, requests[position])
                    ):
                        loop["blocked"] = 1
                        offer_at = FOREVER
                else:
                    loop["blocked"] = 1
            elif loop["final"] == 0:
                loop["tick"] = clock
                loop["position"] = position
                return NEED_INPUT
        wake = offer_at
        freed = 0
        halted = 0
        loop["tick"] = clock
        for c in range(channels.shape[0]):
            s = channels[c]
            if s["due"] <= clock:
                freed += tick(s, t, clock, loop, commands, exposures)
                if s["overflow"]:
                    return PRIORITY_OVERFLOW
            wake = min(wake, s["due"])
            halted += s["halted"]
        clock = loop["tick"]  # a channel alone may have gone ahead
        if loop["blocked"] and freed > 0:
            loop["blocked"] = 0
            wake = clock + 1
        if halted == channels.shape[0]:
            loop["tick"] = clock + 1
            loop["position"] = position
            return HALTED
        if position >= count and loop["final"] and is_drained(channels):
            loop["position"] = position
            return DONE
        if wake >= FOREVER:
            return DEADLOCK
        clock = wake


@entry(
    "CHANNEL[:]",
    "TIMING[:]",
    "LOOP[:]",
    "CORE[:]",
    "i8[:]",
    "MAPPING[:]",
    "REQUEST[:]",
    "i8",
    "COMMAND[:]",
    "i8[:]",
)
def run_core(channels, timing, loops, cores, cache, mappings, records, count, commands, exposures):
    """A core as the source, in closed loop: a read that comes back later holds the core up."""
    t = timing[0]
    loop = loops[0]
    core = cores[0]
    m = mappings[0]
    clock = loop["tick"]
    while True:
        loop["tick"] = clock
        if loop["record"] and loop["recorded"] + channels.shape[0] > commands.shape[0]:
            return COMMANDS_FULL
        status = run_core_until(
            core, cache, loop, records, count, channels, t, m, last_cycle_before(core, clock), clock
        )
        if status != RUNNING:
            return status
        wake = FOREVER
        halted = 0
        for c in range(channels.shape[0]):
            s = channels[c]
            deliver(s, core, cache, clock)
            if s["due"] <= clock:
                tick(s, t, clock, loop, commands, exposures)
            wake = min(wake, s["due"])
            halted += s["halted"]
            for i in range(s["returns"]):
                wake = min(wake, s["return_at"][i])
            if s["overflow"]:
                return PRIORITY_OVERFLOW
        if halted == channels.shape[0]:
            loop["tick"] = clock + 1
            return HALTED
        clock = max(clock + 1, min(wake, next_tick(core, clock)))
        if clock >= FOREVER:
            return DEADLOCK


@jit
def deliver(s, core, cache, clock):
    """Hand reads that are back to the core."""
    kept = 0
    for i in range(s["returns"]):
        if s["return_at"][i] <= clock:
            receive(core, cache, s["return_tag"][i])
        else:
            s["return_at"][kept] = s["return_at"][i]
            s["return_tag"][kept] = s["return_tag"][i]
            kept += 1
    s["returns"] = kept
