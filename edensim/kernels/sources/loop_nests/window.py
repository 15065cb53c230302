"""A core's instruction window: what may go on, and what has to wait for memory.

Instructions are dispatched at one a slot. The window holds a number of them, which retire in order,
so that a load that takes long keeps the window from moving past it. Stores retire at once, but take
a miss register while their line comes. The slot at which a load's data are there may not be known
yet (FOREVER).
"""

from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.sources.loop_nests.state import (
    MAX_OUT,
    MAX_WINDOW,
    NOT_STALLED,
    WAITS_FOR_DATA,
    WAITS_FOR_ROOM,
)


@jit
def clock_of(machine, slot):
    """Return the first memory clock that is not before a slot."""
    return -(-slot * machine["clocks"] // machine["slots"])


@jit
def slot_of(machine, clock):
    """Return the first slot that is not before a memory clock."""
    return -(-clock * machine["slots"] // machine["clocks"])


@jit(forceinline=True)
def dispatch(machine, core):
    """Dispatch the instructions before the next access.

    Returns False if the window is full behind a load whose end is not known.
    """
    while core["loads"] > 0:
        at = core["first_load"]
        done = core["load_done"][at]
        if done > core["now"]:
            room = core["load_index"][at] + machine["window"] - core["instructions"]
            if core["gap"] < room:
                break
            room = max(0, room)
            core["now"] += room
            core["instructions"] += room
            core["gap"] -= room
            if done == FOREVER:
                core["stalled"] = WAITS_FOR_DATA
                return False
            if done > core["now"]:
                wait_until(machine, core, done, core["load_activated"][at])
        core["first_load"] = (at + 1) % MAX_WINDOW
        core["loads"] -= 1
    core["now"] += core["gap"]
    core["instructions"] += core["gap"]
    core["gap"] = 0
    return True


@jit
def add_load(machine, core, done, tag, activated):
    """Add a load to the window that takes until `done`, if it takes long."""
    if done - core["now"] <= machine["hidden"]:
        return
    at = (core["first_load"] + core["loads"]) % MAX_WINDOW
    core["load_index"][at] = core["instructions"]
    core["load_done"][at] = done
    core["load_tag"][at] = tag
    core["load_activated"][at] = activated
    core["loads"] += 1


@jit
def is_way_full(machine, core):
    """Return whether too much is on its way to memory; the core then waits for room."""
    if machine["pending_count"] < machine["pending_limit"]:
        return False
    core["stalled"] = WAITS_FOR_ROOM
    return True


@jit
def has_room(machine, core):
    """Return whether a miss can be sent.

    It needs a free miss register, and room on the way to memory. If the return of a line is known,
    the core's time goes on until then.
    """
    if is_way_full(machine, core):
        return False
    if core["busy"] < machine["misses_allowed"] or free_registers(machine, core):
        return True
    first = 0
    for register in range(1, machine["misses_allowed"]):
        if core["out_done"][register] < core["out_done"][first]:
            first = register
    if core["out_done"][first] == FOREVER:
        core["stalled"] = WAITS_FOR_DATA
        return False
    wait_until(machine, core, core["out_done"][first], core["out_activated"][first])
    return free_registers(machine, core)


@jit
def free_returned(core, first, stop):
    """Free the registers of lines that are back; return how many there were."""
    count = 0
    for register in range(first, stop):
        if core["out_line"][register] >= 0 and core["out_done"][register] <= core["now"]:
            core["out_line"][register] = -1
            count += 1
    return count


@jit
def free_registers(machine, core):
    """Free the registers of misses that are back; return whether one is free."""
    core["busy"] -= free_returned(core, 0, machine["misses_allowed"])
    return core["busy"] < machine["misses_allowed"]


@jit
def wait_until(machine, core, slot, activated):
    """Let the core do nothing but wait for memory."""
    machine["memory_stall_slots"] += slot - core["now"]
    if activated:
        machine["exposed_activations"] += 1
        machine["exposed_slots"] += min(slot - core["now"], machine["trcd"])
    core["now"] = slot


@jit
def wait_for_dependence(machine, core):
    """Wait for the dependent load before; return False if its end is not known."""
    if core["depends_on"] == FOREVER:
        core["stalled"] = WAITS_FOR_DATA
        return False
    if core["depends_on"] > core["now"]:
        wait_until(machine, core, core["depends_on"], 0)
    core["depends_on"] = 0
    return True


@jit
def note_return(machine, cores, tag, slot):
    """Note that a part of a line is back, or will be at a slot."""
    owner = cores[tag // MAX_OUT]
    register = tag % MAX_OUT
    owner["out_parts"][register] -= 1
    if owner["out_parts"][register] > 0:
        return
    owner["out_done"][register] = slot
    for c in range(machine["cores"]):
        core = cores[c]
        if core["stalled"] == WAITS_FOR_DATA:
            core["stalled"] = NOT_STALLED
        for i in range(core["loads"]):
            at = (core["first_load"] + i) % MAX_WINDOW
            if core["load_tag"][at] == tag and core["load_done"][at] == FOREVER:
                core["load_done"][at] = slot
                core["load_activated"][at] = owner["out_activated"][register]
        if core["depends_on"] == FOREVER and core["depends_tag"] == tag:
            core["depends_on"] = slot
