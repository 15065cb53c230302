"""Cores that walk nests of loops through their caches, in closed loop with the memory.

The event loop goes from one memory clock at which something can happen to the next. In between,
each core runs ahead as far as what it knows allows: the return of a read is known when its command
issues. A core that finishes a nest waits for the others.
"""

from edensim.kernels.codes import READ, WRITE
from edensim.kernels.compile import entry, jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.memory import MEMORY, Memory
from edensim.kernels.controller.scheduler import accept
from edensim.kernels.sources.event_loop import event_loop
from edensim.kernels.sources.loop_nests.state import (
    FINISHED,
    MAX_OUT,
    NOT_STALLED,
    STARTING,
    WAITS_FOR_ROOM,
    Caches,
    LoopNests,
)
from edensim.kernels.sources.loop_nests.traffic import IS_WRITE
from edensim.kernels.sources.loop_nests.walk import walk
from edensim.kernels.sources.loop_nests.window import clock_of, note_return, slot_of
from edensim.kernels.status import Status


@jit
def send_pending(memory, machine):
    """Offer the requests that are due; what finds its queue full stays until a place is free."""
    clock = memory.loop["clock"]
    left = 0
    machine["next_due"] = FOREVER
    for i in range(machine["pending_count"]):
        request = machine["pending"][i]
        if request["clock"] > clock:
            machine["next_due"] = min(machine["next_due"], request["clock"])
        elif offer(memory, request, machine["pending_tag"][i]):
            continue
        if left < i:
            move_request(request, machine["pending"][left])
            machine["pending_tag"][left] = machine["pending_tag"][i]
        left += 1
    machine["pending_count"] = left


@jit
def move_request(request, target):
    """Copy a PLACED record."""
    target["line"] = request["line"]
    target["clock"] = request["clock"]
    target["row"] = request["row"]
    target["column"] = request["column"]
    target["tensor"] = request["tensor"]
    target["bank"] = request["bank"]
    target["channel"] = request["channel"]


@jit
def offer(memory, request, tag):
    """Offer one request to its channel; return whether it was taken."""
    channel = memory.channels[request["channel"]]
    queue = WRITE if tag == IS_WRITE else READ
    # A full queue takes nothing, not even what the write queue could answer.
    if channel["length"][queue] >= memory.timing["queue_size"][queue]:
        return False
    return accept(channel, memory.timing, request, queue, memory.loop["clock"] - 1, tag)


@jit
def resume_cores(memory, machine, cores):
    """Let cores go on that waited for room on the way to memory."""
    if machine["pending_count"] >= machine["pending_limit"]:
        return
    for c in range(machine["cores"]):
        core = cores[c]
        if core["stalled"] == WAITS_FOR_ROOM:
            core["stalled"] = NOT_STALLED
            now = slot_of(machine, memory.loop["clock"])
            if now > core["now"]:
                machine["memory_stall_slots"] += now - core["now"]
                core["now"] = now


@jit
def note_activation(channel, machine, cores):
    """Mark the read for which the channel has just opened a row."""
    request = channel["slots"][channel["activated_slot"]]
    tag = request["tag"]
    if channel["activated_slot"] > 0 and request["queue"] == READ and tag >= 0:
        cores[tag // MAX_OUT]["out_activated"][tag % MAX_OUT] = 1
        machine["read_activations"] += 1
    channel["activated_slot"] = 0


@jit
def run_ahead(source, until):
    """Let every core go on until a slot; return whether all nests are finished.

    No core passes another's nest.
    """
    machine, cores = source.caches.machine, source.caches.cores
    while True:
        finished = 0
        latest = 0
        for c in range(machine["cores"]):
            core = cores[c]
            if core["stalled"] == NOT_STALLED or machine["functional"]:
                walk(source, core, until)
            finished += core["state"] == FINISHED and core["gap"] == 0
            latest = max(latest, core["now"])
        if finished < machine["cores"]:
            return False
        if cores[0]["nest"] + 1 >= source.nests.shape[0]:
            return True
        for c in range(machine["cores"]):
            core = cores[c]
            core["now"] = latest
            core["nest"] += 1
            core["state"] = STARTING
            core["line"] = 0
            core["last_line"] = -1


@jit
def latest_slot(machine, cores):
    """Return the slot that the core furthest ahead has reached."""
    latest = 0
    for c in range(machine["cores"]):
        latest = max(latest, cores[c]["now"])
    return latest


@jit
def give(memory, source):
    """Offer what is due, when it becomes due or a place in a queue became free."""
    machine = source.caches.machine
    if machine["freed"] > 0 or machine["next_due"] <= memory.loop["clock"]:
        send_pending(memory, machine)
        resume_cores(memory, machine, source.caches.cores)
    return Status.RUNNING, FOREVER


@jit
def take(memory, source, freed, wake):
    """Take note of the rows opened for reads, and of reads on their way back."""
    machine, cores = source.caches.machine, source.caches.cores
    machine["freed"] = freed
    for c in range(memory.channels.shape[0]):
        channel = memory.channels[c]
        note_activation(channel, machine, cores)
        for i in range(channel["return_count"]):
            returns_at = slot_of(machine, channel["return_at"][i])
            note_return(machine, cores, channel["return_tag"][i], returns_at)
        channel["return_count"] = 0
    return wake


@jit
def go_on(memory, source, wake):
    """Let the cores run ahead, up to the next clock at which memory acts.

    No core gets further ahead of another than a quantum.
    """
    machine, cores = source.caches.machine, source.caches.cores
    clock = memory.loop["clock"]
    horizon = min(max(wake, clock + 1), clock + machine["quantum"])
    is_finished = run_ahead(source, slot_of(machine, horizon))
    wake = min(wake, machine["next_due"])
    if machine["freed"] > 0 and machine["pending_count"] > 0:
        wake = min(wake, clock + 1)
    if is_finished:
        # Memory comes along to where the cores are, so that all counters stand at one clock.
        end = max(clock + 1, clock_of(machine, latest_slot(machine, cores)))
        if wake < end:
            return Status.RUNNING, wake
        memory.loop["clock"] = end
        return Status.DONE, wake
    for c in range(machine["cores"]):
        if cores[c]["stalled"] == NOT_STALLED and cores[c]["state"] != FINISHED:
            wake = min(wake, clock + machine["quantum"])
    return Status.RUNNING, wake


run = event_loop(give, take, go_on)


@entry(*MEMORY, "CPUS[:]", "CPU[:]", "i8[:]", "i8[:]", "i8[:]", "NEST[:]", "REF[:]", "REQUEST[:]")
def run_cpu(  # noqa: PLR0913 (a compiled entry takes every array by itself)
    channels,
    timings,
    loops,
    mappings,
    commands,
    exposures,
    machines,
    cores,
    tags,
    regions,
    moved,
    nests,
    refs,
    records,
):
    """Run all nests on all cores, and the memory with them, which is not drained."""
    memory = Memory(channels, timings[0], loops[0], mappings[0], commands, exposures)
    caches = Caches(machines[0], cores, tags, memory.mapping, regions, moved)
    source = LoopNests(caches, nests, refs, records)
    if machines[0]["functional"]:
        run_ahead(source, memory.loop["clock"] + FOREVER // 2)
        return Status.DONE
    machines[0]["freed"] = 1  # what is left from a run before is offered
    return run(memory, source)
