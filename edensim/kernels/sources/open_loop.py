"""Requests that do not wait for data: as fast as the queues take them, or at stated clocks."""

from edensim.kernels.compile import entry, jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.memory import MEMORY, Memory, is_drained
from edensim.kernels.controller.scheduler import accept, is_refused
from edensim.kernels.sources.event_loop import event_loop
from edensim.kernels.status import Status


@jit(forceinline=True)
def give(memory, requests):
    """Offer the next request; one that is refused is offered again when a place is free."""
    loop = memory.loop
    if loop["blocked"]:
        return Status.RUNNING, FOREVER
    position = loop["position"]
    if position >= requests.shape[0]:
        return Status.RUNNING if loop["final"] else Status.NEED_INPUT, FOREVER
    request = requests[position]
    clock = loop["clock"]
    if loop["timed"] and request["clock"] >= clock:
        return Status.RUNNING, request["clock"] + 1
    channel = memory.channels[request["channel"]]
    if not accept(channel, memory.timing, request, request["is_write"], clock - 1, 0):
        loop["blocked"] = 1
        return Status.RUNNING, FOREVER
    position += 1
    loop["position"] = position
    if loop["timed"] == 0 and position < requests.shape[0]:
        request = requests[position]
        channel = memory.channels[request["channel"]]
        if is_refused(channel, memory.timing, request, request["is_write"]):
            loop["blocked"] = 1
            return Status.RUNNING, FOREVER
    return Status.RUNNING, clock + 1


@jit(forceinline=True)
def take(memory, requests, freed, wake):
    """Go on offering when a place became free."""
    loop = memory.loop
    if loop["blocked"] and freed > 0:
        loop["blocked"] = 0
        return min(wake, loop["clock"] + 1)
    return wake


@jit(forceinline=True)
def go_on(memory, requests, wake):
    """Stop when the last request is served."""
    loop = memory.loop
    is_last = loop["final"] and loop["position"] >= requests.shape[0]
    return Status.DONE if is_last and is_drained(memory.channels) else Status.RUNNING, wake


run = event_loop(give, take, go_on)


@entry(*MEMORY, "PLACED[:]")
def run_requests(channels, timings, loops, mappings, commands, exposures, requests):
    """Feed a chunk of requests to the channels: one a clock, in order."""
    return run(Memory(channels, timings[0], loops[0], mappings[0], commands, exposures), requests)
