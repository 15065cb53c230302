"""Cores that walk nests of loops through their caches, in closed loop with the memory.

The loop goes from one memory clock at which something can happen to the next. In between each core runs ahead as far as what it knows allows:
a read's return is known when its command issues. A core that finishes a nest waits for the others.
"""

from __future__ import annotations

from edensim.kernels.codes import ACT
from edensim.kernels.compile import entry, jit
from edensim.kernels.controller.scheduler import accept
from edensim.kernels.controller.state import (
    COMMANDS_FULL,
    DEADLOCK,
    DONE,
    FOREVER,
    HALTED,
    PRIORITY_OVERFLOW,
    QUEUED,
)
from edensim.kernels.sources.event_loop import tick
from edensim.kernels.sources.loop_nests.state import FINISHED, MAX_OUT, STARTING
from edensim.kernels.sources.loop_nests.walk import walk
from edensim.kernels.sources.loop_nests.window import settle, slot_of


@jit
def send_transfers(h, channels, t, clock):
    """Offer what is due to its channel; what finds its queue full stays, until a place is freed."""
    kept = 0
    h["next_due"] = FOREVER
    for i in range(h["transfers"]):
        if h["transfer_due"][i] <= clock:
            if offer(h, channels, t, i, clock):
                continue
        else:
            h["next_due"] = min(h["next_due"], h["transfer_due"][i])
        if kept < i:
            h["transfer_due"][kept] = h["transfer_due"][i]
            h["transfer_line"][kept] = h["transfer_line"][i]
            h["transfer_row"][kept] = h["transfer_row"][i]
            h["transfer_column"][kept] = h["transfer_column"][i]
            h["transfer_bank"][kept] = h["transfer_bank"][i]
            h["transfer_channel"][kept] = h["transfer_channel"][i]
            h["transfer_tensor"][kept] = h["transfer_tensor"][i]
            h["transfer_tag"][kept] = h["transfer_tag"][i]
        kept += 1
    h["transfers"] = kept


@jit
def offer(h, channels, t, i, clock):
    """Offer one request; whether it was taken."""
    s = channels[h["transfer_channel"][i]]
    tag = h["transfer_tag"][i]
    queue = 1 if tag < 0 else 0
    if s["length"][queue] >= t["queue_size"][queue]:
        return False
    bank = h["transfer_bank"][i]
    accept(
        s,
        t,
        queue,
        bank,
        h["transfer_row"][i],
        h["transfer_column"][i],
        h["transfer_line"][i],
        clock - 1,
        tag,
        h["transfer_tensor"][i],
    )
    if s["planned"] == 0:
        s["due"] = min(s["due"], clock)
    return True


@jit
def release(h, cores, clock):
    """Let cores go on that waited for room on the way to memory."""
    if h["transfers"] >= h["transfer_limit"]:
        return
    for c in range(h["cores"]):
        u = cores[c]
        if u["stalled"] == 2:
            u["stalled"] = 0
            now = slot_of(h, clock)
            if now > u["now"]:
                h["memory_stall_slots"] += now - u["now"]
                u["now"] = now


@jit
def note_activation(h, s, cores, clock):
    """Mark the read for which a row was just opened."""
    if s["last_command"] == clock and s["plan_kind"] == QUEUED and s["plan_command"] == ACT:
        tag = s["slots"][s["plan_slot"]]["tag"]
        if s["slots"][s["plan_slot"]]["queue"] == 0 and tag >= 0:
            cores[tag // MAX_OUT]["out_activated"][tag % MAX_OUT] = 1
            h["read_activations"] += 1


@jit
def run_ahead(h, cores, nests, count, refs, records, tags, m, regions, moved, until):
    """Let every core go on until a slot; 1 when all nests are finished. No core passes another's nest."""
    while True:
        finished = 0
        latest = 0
        for c in range(h["cores"]):
            u = cores[c]
            if u["stalled"] == 0 or h["functional"]:
                walk(h, u, cores, nests, count, refs, records, tags, m, regions, moved, until)
            finished += u["state"] == FINISHED and u["gap"] == 0
            latest = max(latest, u["now"])
        if finished < h["cores"]:
            return 0
        if cores[0]["nest"] + 1 >= count:
            return 1
        for c in range(h["cores"]):
            u = cores[c]
            u["now"] = latest
            u["nest"] += 1
            u["state"] = STARTING
            u["line"] = 0
            u["last_line"] = -1


@jit
def horizon(h, cores, wake, clock):
    """Slot up to which cores may run ahead: that of the next clock at which memory acts, and no core far ahead of another."""
    return slot_of(h, min(wake, clock + h["quantum"]))


@entry(
    "CHANNEL[:]",
    "TIMING[:]",
    "LOOP[:]",
    "CPUS[:]",
    "CPU[:]",
    "NEST[:]",
    "i8",
    "REF[:]",
    "REQUEST[:]",
    "i8[:]",
    "i8[:]",
    "i8[:]",
    "MAPPING[:]",
    "COMMAND[:]",
    "i8[:]",
)
def run_cpu(
    channels,
    timing,
    loops,
    machine,
    cores,
    nests,
    count,
    refs,
    records,
    tags,
    regions,
    moved,
    mappings,
    commands,
    exposures,
):
    """Run `count` nests on all cores, the memory with them; it is not drained."""
    t = timing[0]
    loop = loops[0]
    h = machine[0]
    m = mappings[0]
    clock = loop["tick"]
    if h["functional"]:
        run_ahead(
            h, cores, nests, count, refs, records, tags, m, regions, moved, clock + FOREVER // 2
        )  # an int64 as below, not a constant
        return DONE
    freed = 1
    while True:
        loop["tick"] = clock
        if loop["record"] and loop["recorded"] + channels.shape[0] > commands.shape[0]:
            return COMMANDS_FULL
        if freed > 0 or h["next_due"] <= clock:
            send_transfers(h, channels, t, clock)
            release(h, cores, clock)
        freed = 0
        wake = FOREVER
        halted = 0
        for c in range(channels.shape[0]):
            s = channels[c]
            if s["due"] <= clock:
                freed += tick(s, t, clock, loop, commands, exposures)
                note_activation(h, s, cores, clock)
                if s["overflow"]:
                    return PRIORITY_OVERFLOW
            for i in range(s["returns"]):
                settle(h, cores, s["return_tag"][i], slot_of(h, s["return_at"][i]))
            s["returns"] = 0
            wake = min(wake, s["due"])
            halted += s["halted"]
        if halted == channels.shape[0]:
            loop["tick"] = clock + 1
            return HALTED
        if run_ahead(
            h,
            cores,
            nests,
            count,
            refs,
            records,
            tags,
            m,
            regions,
            moved,
            horizon(h, cores, max(wake, clock + 1), clock),
        ):
            return DONE
        waiting = FOREVER
        for c in range(h["cores"]):
            if cores[c]["stalled"] == 0 and cores[c]["state"] != FINISHED:
                waiting = clock + h["quantum"]
        if freed > 0 and h["transfers"] > 0:
            waiting = clock + 1
        wake = min(wake, min(h["next_due"], waiting))
        if wake >= FOREVER:
            return DEADLOCK
        clock = max(clock + 1, wake)
