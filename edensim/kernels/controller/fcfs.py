"""FCFS: first come, first served. Only the oldest request of the queue in service is considered."""

from edensim.kernels.compile import jit
from edensim.kernels.controller.channel import CLOSED, OPEN
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.queue_plan import HELD_BACK, next_command, set_queue_plan
from edensim.kernels.controller.queues import openness
from edensim.kernels.controller.timing import legal_at


@jit
def oldest_request(channel, queue):
    """Return the oldest request of a queue, 0 if it is empty."""
    oldest = 0
    for opened in range(2):
        for i in range(channel["occupied_count"][queue, opened]):
            slot = channel["banks"][channel["occupied"][queue, opened, i]]["head"][queue]
            if oldest == 0 or channel["slots"][slot]["age"] < channel["slots"][oldest]["age"]:
                oldest = slot
    return oldest


@jit
def plan_oldest(channel, timing, queue, clock):
    """Plan the next command of the oldest request of the queue."""
    set_queue_plan(channel, CLOSED, FOREVER, 0, 0)
    set_queue_plan(channel, OPEN, FOREVER, 0, 0)
    oldest = oldest_request(channel, queue)
    if oldest > 0:
        bank = channel["slots"][oldest]["bank"]
        command = next_command(channel, timing, oldest)
        if command != HELD_BACK:
            at = max(clock, legal_at(channel, timing, bank, command))
            set_queue_plan(channel, openness(channel, bank), at, oldest, command)
