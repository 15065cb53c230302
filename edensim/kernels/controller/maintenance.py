"""The maintenance queue: refreshes, precharges of capped rows, and halts, in order of time.

A halt closes a rank and stops it until the operating point has changed.
"""

from edensim.kernels.codes import ACT, HALT, PREAB, PREPB, REFAB, REFPB
from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import FOREVER, MAX_MAINTENANCE
from edensim.kernels.controller.power_down import add_work
from edensim.kernels.controller.timing import legal_at, rank_legal_at, rank_quiet_at


@jit
def queue_maintenance(channel, timing, command, node, clock):
    """Append a maintenance command for a rank or a bank."""
    if channel["maintenance_count"] == MAX_MAINTENANCE:
        channel["overflow"] = 1
        return
    at = (channel["maintenance_head"] + channel["maintenance_count"]) % MAX_MAINTENANCE
    channel["maintenance_command"][at] = command
    channel["maintenance_node"][at] = node
    channel["maintenance_count"] += 1
    if timing["power_down"]:
        add_work(channel, timing, rank_of_node(timing, command, node), clock)


@jit
def rank_of_node(timing, command, node):
    """Return the rank that a maintenance command is for."""
    return node if command == REFAB or command == HALT else timing["rank_of"][node]


@jit
def queue_halts(channel, timing, clock):
    """Ask for every rank to be closed, because a change of operating point is due."""
    for rank in range(timing["ranks"]):
        queue_maintenance(channel, timing, HALT, rank, clock)
    channel["halting"] = timing["ranks"]
    channel["halt_at"] = FOREVER


@jit
def plan_maintenance(channel, timing, clock):
    """Return the next command for the head of the queue, and the earliest clock for it.

    An open row with an active request holds a precharge back.
    """
    command = channel["maintenance_command"][channel["maintenance_head"]]
    node = channel["maintenance_node"][channel["maintenance_head"]]
    if command == REFAB or command == HALT:
        if channel["rank_open"][node] > 0:
            if channel["rank_actives"][node] > 0:
                return PREAB, FOREVER
            return PREAB, max(clock, rank_legal_at(channel, timing, node, PREAB))
        if command == HALT:
            return HALT, max(clock, rank_quiet_at(channel, timing, node, ACT))
        return REFAB, max(clock, rank_legal_at(channel, timing, node, REFAB))
    if command == REFPB and channel["banks"][node]["open_row"] < 0:
        return REFPB, max(clock, legal_at(channel, timing, node, REFPB))
    if channel["banks"][node]["active_slot"] > 0:
        return PREPB, FOREVER
    return PREPB, max(clock, legal_at(channel, timing, node, PREPB))
