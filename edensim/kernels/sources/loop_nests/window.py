"""A core's window: what may go on, what must wait for memory.

Instructions are dispatched at one a slot; the window holds a number of them, retired in order. A load that takes long keeps the window from
moving past it; stores retire at once, but take a miss register while their line comes. A load's data may be known to come at a slot, or not be
known yet (FOREVER).
"""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.controller.state import FOREVER
from edensim.kernels.sources.loop_nests.state import MAX_OUT, MAX_WINDOW


@jit
def tick_of(h, slot):
    """First memory clock that is not before a slot."""
    return -(-slot * h["ticks"] // h["slots"])


@jit
def slot_of(h, tick):
    """First slot that is not before a memory clock."""
    return -(-tick * h["slots"] // h["ticks"])


@jit(forceinline=True)
def dispatch(h, u):
    """Dispatch the instructions that the walk owes; 0 if the window is full of a load that nobody knows the end of."""
    while u["loads"] > 0:
        at = u["first_load"]
        done = u["load_done"][at]
        if done > u["now"]:
            room = u["load_index"][at] + h["window"] - u["instructions"]
            if u["gap"] < room:
                break
            room = max(0, room)
            u["now"] += room
            u["instructions"] += room
            u["gap"] -= room
            if done == FOREVER:
                u["stalled"] = 1
                return 0
            if done > u["now"]:
                wait_until(h, u, done, u["load_activated"][at])
        u["first_load"] = (at + 1) % MAX_WINDOW
        u["loads"] -= 1
    u["now"] += u["gap"]
    u["instructions"] += u["gap"]
    u["gap"] = 0
    return 1


@jit
def add_load(h, u, done, tag, activated):
    """A load that takes until `done` enters the window."""
    if done - u["now"] <= h["hidden"]:
        return
    at = (u["first_load"] + u["loads"]) % MAX_WINDOW
    u["load_index"][at] = u["instructions"]
    u["load_done"][at] = done
    u["load_tag"][at] = tag
    u["load_activated"][at] = activated
    u["loads"] += 1


@jit
def has_room(h, u):
    """Whether a miss can be sent: a free register, and not too much waiting for memory. If all is known to come back, time goes on until then."""
    if h["transfers"] >= h["transfer_limit"]:
        u["stalled"] = 2
        return False
    if u["busy"] < h["misses_allowed"]:
        return True
    if free_registers(h, u):
        return True
    first = 0
    for o in range(1, h["misses_allowed"]):
        if u["out_done"][o] < u["out_done"][first]:
            first = o
    if u["out_done"][first] == FOREVER:
        u["stalled"] = 1
        return False
    wait_until(h, u, u["out_done"][first], u["out_activated"][first])
    return free_registers(h, u)


@jit
def free_registers(h, u):
    """Free the registers of what is back; whether one is free."""
    for o in range(h["misses_allowed"]):
        if u["out_line"][o] >= 0 and u["out_done"][o] <= u["now"]:
            u["out_line"][o] = -1
            u["busy"] -= 1
    return u["busy"] < h["misses_allowed"]


@jit
def wait_until(h, u, slot, activated):
    """Time in which the core does nothing but wait for memory."""
    h["memory_stall_slots"] += slot - u["now"]
    if activated:
        h["exposed_activations"] += 1
        h["exposed_slots"] += min(slot - u["now"], h["trcd"])
    u["now"] = slot


@jit
def depends(h, u):
    """A dependent load waits for the one before it; 0 if that one's end is not known."""
    if u["depends_on"] == FOREVER:
        u["stalled"] = 1
        return 0
    if u["depends_on"] > u["now"]:
        wait_until(h, u, u["depends_on"], 0)
    u["depends_on"] = 0
    return 1


@jit
def settle(h, cores, tag, slot):
    """A part of a line is back, or will be at a slot."""
    u = cores[tag // MAX_OUT]
    o = tag % MAX_OUT
    u["out_parts"][o] -= 1
    if u["out_parts"][o] > 0:
        return
    u["out_done"][o] = slot
    for c in range(h["cores"]):
        v = cores[c]
        if v["stalled"] == 1:
            v["stalled"] = 0
        for i in range(v["loads"]):
            at = (v["first_load"] + i) % MAX_WINDOW
            if v["load_tag"][at] == tag and v["load_done"][at] == FOREVER:
                v["load_done"][at] = slot
                v["load_activated"][at] = u["out_activated"][o]
        if v["depends_on"] == FOREVER and v["depends_tag"] == tag:
            v["depends_on"] = slot
