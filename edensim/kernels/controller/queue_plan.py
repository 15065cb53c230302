"""The next command of the queue in service, kept as long as nothing can come before it.

There is one such plan for closed banks and one for open banks. A plan survives the commands of
active requests, which can only make queued commands later.
"""

from edensim.kernels.codes import ACT, PREPB
from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.queues import openness
from edensim.kernels.controller.row_policy import reserves_row
from edensim.kernels.controller.timing import legal_at

HELD_BACK = -1  # no command


@jit
def next_command(channel, timing, slot):
    """Return the command that brings a queued request forward, or HELD_BACK."""
    request = channel["slots"][slot]
    bank = request["bank"]
    state = channel["banks"][bank]
    if state["open_row"] < 0:
        return ACT
    if state["open_row"] == request["row"]:
        if reserves_row(channel, timing, bank):
            return HELD_BACK
        return int(timing["column_command"][request["queue"]])
    return HELD_BACK if state["active_slot"] > 0 else PREPB


@jit
def set_queue_plan(channel, opened, at, slot, command):
    """Set the plan for closed or open banks; clock FOREVER means that there is nothing to do."""
    channel["queue_plan_valid"][opened] = 1
    channel["queue_plan_at"][opened] = at
    channel["queue_plan_slot"][opened] = slot
    channel["queue_plan_command"][opened] = command


@jit
def improve_queue_plan(channel, opened, at, slot, command):
    """Replace a plan by a candidate that is earlier, or older and at the same clock."""
    planned_at = channel["queue_plan_at"][opened]
    planned = channel["slots"][channel["queue_plan_slot"][opened]]
    if at < planned_at or (at == planned_at and channel["slots"][slot]["age"] < planned["age"]):
        set_queue_plan(channel, opened, at, slot, command)


@jit
def forget_queue_plans(channel):
    """Drop both plans, because anything may have changed."""
    channel["queue_plan_valid"][0] = 0
    channel["queue_plan_valid"][1] = 0


@jit
def is_stale(channel, timing, opened, clock):
    """Return whether a plan has to be made again.

    That is so if its clock has passed, because others may be legal and older by now, or if its
    command has been put off.
    """
    at = channel["queue_plan_at"][opened]
    if channel["queue_plan_valid"][opened] == 0 or at < clock:
        return True
    bank = channel["slots"][channel["queue_plan_slot"][opened]]["bank"]
    return (
        at < FOREVER and legal_at(channel, timing, bank, channel["queue_plan_command"][opened]) > at
    )


@jit
def offer_to_queue_plan(channel, timing, slot, clock):
    """Let a request that may be its bank's next one improve the plan."""
    bank = channel["slots"][slot]["bank"]
    opened = openness(channel, bank)
    command = next_command(channel, timing, slot)
    if command == HELD_BACK or channel["queue_plan_valid"][opened] == 0:
        return
    at = max(clock, legal_at(channel, timing, bank, command))
    improve_queue_plan(channel, opened, at, slot, command)
