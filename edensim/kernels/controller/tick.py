"""One clock of one channel: refreshes and halts fall due, and a command is planned and issued."""

from edensim.kernels.codes import CAPPED_PAGE, HALT
from edensim.kernels.compile import jit
from edensim.kernels.controller.channel import MAINTENANCE
from edensim.kernels.controller.issue import issue_maintenance, issue_request
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.maintenance import queue_halts
from edensim.kernels.controller.monitoring import count_exposure, record_command
from edensim.kernels.controller.refresh import queue_refreshes
from edensim.kernels.controller.row_policy import queue_capped_precharges
from edensim.kernels.controller.scheduler import plan


@jit(forceinline=True)
def tick(memory, channel, clock):
    """Run a channel at one clock, and set `due` to the next clock at which it has to be run.

    If nothing but this channel can act before the clock of its plan, it goes there at once, which
    moves the event loop's clock. Returns how many queue places became free.
    """
    loop, timing = memory.loop, memory.timing
    is_capped = timing["row_policy"] == CAPPED_PAGE
    if channel["halted"]:
        channel["due"] = FOREVER
        return 0
    if clock >= channel["next_refresh"]:
        queue_refreshes(channel, timing, clock)
        channel["planned"] = 0
    if clock >= channel["halt_at"]:
        queue_halts(channel, timing, clock)
        channel["planned"] = 0
    if is_capped and (channel["planned"] == 0 or clock >= channel["precharge_at"]):
        queue_capped_precharges(channel, timing, clock)
        channel["planned"] = 0
    if channel["planned"] == 0:
        plan(channel, timing, clock)
    plan_at = channel["plan_at"]
    if plan_at > clock:
        due = min(plan_at, min(channel["next_refresh"], channel["halt_at"]))
        if is_capped:
            due = min(due, channel["precharge_at"])
        channel["due"] = due
        if loop["alone"] == 0 or loop["blocked"] == 0 or plan_at >= loop["limit"]:
            return 0
        if due < plan_at or plan_at == FOREVER or plan_at == channel["next_refresh"]:
            return 0
        if plan_at == channel["halt_at"] or (is_capped and plan_at == channel["precharge_at"]):
            return 0
        clock = plan_at
        loop["clock"] = clock
    return issue(memory, channel, clock)


@jit(forceinline=True)
def issue(memory, channel, clock):
    """Issue the planned command; return how many queue places became free."""
    loop, timing = memory.loop, memory.timing
    waiting = channel["length"][0] + channel["length"][1]
    slot = 0
    node = 0
    command = int(channel["plan_command"])
    if channel["plan_kind"] == MAINTENANCE:
        node = issue_maintenance(channel, timing, command, clock)
    else:
        slot = channel["plan_slot"]
        node = channel["slots"][slot]["bank"]
        command = issue_request(channel, timing, channel["plan_kind"], slot, command, clock)
    channel["planned"] = 0
    channel["due"] = clock + 1
    if command == HALT:
        return 0
    channel["last_command"] = clock
    if loop["record"]:
        record_command(memory, channel, command, node, slot)
    if loop["expose"]:
        count_exposure(memory, channel, command, node, slot)
    return waiting - (channel["length"][0] + channel["length"][1])
