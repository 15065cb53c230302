"""Issue a command: what it does to constraints, banks, queues and counts."""

from edensim.kernels.codes import (
    ACT,
    CAPPED_PAGE,
    FCFS,
    HALT,
    PREAB,
    PREPB,
    RD,
    RDA,
    READ,
    REFAB,
    REFPB,
    ROW_CONFLICT,
    ROW_HIT,
    ROW_MISS,
    WR,
    WRA,
)
from edensim.kernels.compile import jit
from edensim.kernels.controller.channel import ACTIVE, CLOSED, OPEN
from edensim.kernels.controller.limits import MAX_MAINTENANCE
from edensim.kernels.controller.maintenance import rank_of_node
from edensim.kernels.controller.power_down import end_work
from edensim.kernels.controller.queue_plan import forget_queue_plans, offer_to_queue_plan
from edensim.kernels.controller.queues import (
    find_hits,
    find_others,
    forget_hits,
    next_hit,
    release,
    relist_bank,
    unlink,
)
from edensim.kernels.controller.row_policy import auto_precharge_at, with_capped_precharge
from edensim.kernels.controller.scheduler import count_departure
from edensim.kernels.controller.timing import constrain_bank, constrain_rank

ALL_ROWS = -1


@jit
def enter_row(channel, timing, bank, row):
    """Give a divided bank the timings of a row, and count its commands for the row's range.

    With ALL_ROWS the bank has the timings of its rows in no range.
    """
    channel["bank_class"][bank] = channel["whole_class"][bank]
    channel["cell"][bank] = bank
    for r in range(channel["range_start"][bank], channel["range_stop"][bank]):
        if channel["range_first"][r] <= row and row <= channel["range_last"][r]:
            channel["bank_class"][bank] = channel["range_class"][r]
            channel["cell"][bank] = timing["banks"] + r


@jit
def open_bank(channel, timing, bank, row, clock):
    """Open a row."""
    rank = timing["rank_of"][bank]
    state = channel["banks"][bank]
    state["open_row"] = row
    state["opened_at"] = clock
    state["served"] = 0
    state["row_command"] = PREPB
    closed_at = channel["rank_closed_at"][rank]
    if channel["rank_open"][rank] == 0 and clock > closed_at:
        channel["rank_active_cycles"][rank] += closed_at - channel["rank_opened_at"][rank]
        channel["rank_opened_at"][rank] = clock
    channel["rank_open"][rank] += 1
    find_hits(channel, bank, row)
    relist_bank(channel, bank, OPEN)


@jit
def close_bank(channel, timing, bank, clock):
    """Close a bank; `clock`, when its row is closed, may lie ahead after an auto-precharge."""
    state = channel["banks"][bank]
    state["served"] = 0
    state["precharge_queued"] = 0
    if state["open_row"] < 0:
        return
    rank = timing["rank_of"][bank]
    state["open_row"] = -1
    state["row_command"] = ACT
    channel["precharges"][channel["cell"][bank]] += 1
    channel["rank_open"][rank] -= 1
    channel["rank_closed_at"][rank] = max(clock, channel["rank_closed_at"][rank])
    forget_hits(channel, bank)
    relist_bank(channel, bank, CLOSED)


@jit
def issue_maintenance(channel, timing, command, clock):
    """Issue a command for the head of the maintenance queue; return its rank or bank."""
    forget_queue_plans(channel)
    node = channel["maintenance_node"][channel["maintenance_head"]]
    if command == channel["maintenance_command"][channel["maintenance_head"]]:
        if timing["power_down"]:
            rank = rank_of_node(timing, command, node)
            end_work(channel, timing, rank, PREPB if command == HALT else command, clock)
        channel["maintenance_head"] = (channel["maintenance_head"] + 1) % MAX_MAINTENANCE
        channel["maintenance_count"] -= 1
    if command == HALT:
        channel["halting"] -= 1
        channel["halted"] = channel["halting"] == 0
    elif command == PREAB or command == REFAB:
        issue_to_rank(channel, timing, node, command, clock)
    else:
        if command == REFPB and channel["ranges"] > 0:
            enter_row(channel, timing, node, ALL_ROWS)
        channel["commands"][channel["cell"][node], command] += 1
        constrain_bank(channel, timing, node, command, clock)
        if command == PREPB:
            close_bank(channel, timing, node, clock)
    return node


@jit
def issue_to_rank(channel, timing, rank, command, clock):
    """Issue a command to all banks of a rank. It is counted for the first of them."""
    first = rank * timing["banks_per_rank"]
    channel["commands"][first, command] += 1
    constrain_rank(channel, timing, rank, command, clock)
    if command == REFAB:
        channel["rank_refreshed_at"][rank] = clock
    else:
        for bank in range(first, first + timing["banks_per_rank"]):
            close_bank(channel, timing, bank, clock)


@jit
def count_row_state(channel, slot):
    """Count a request as row hit, miss or conflict when its first command issues."""
    request = channel["slots"][slot]
    request["state_counted"] = 1
    open_row = channel["banks"][request["bank"]]["open_row"]
    state = ROW_CONFLICT
    if open_row < 0:
        state = ROW_MISS
    elif open_row == request["row"]:
        state = ROW_HIT
    channel["row_states"][request["queue"], state] += 1


@jit(forceinline=True)
def issue_request(channel, timing, kind, slot, command, clock):
    """Issue a request's next command; return the command that went out."""
    request = channel["slots"][slot]
    bank = request["bank"]
    if request["state_counted"] == 0:
        count_row_state(channel, slot)
    if timing["row_policy"] == CAPPED_PAGE and (command == RD or command == WR):
        command = with_capped_precharge(channel, timing, slot, command, clock)
    if command == ACT and channel["ranges"] > 0:
        enter_row(channel, timing, bank, request["row"])
    channel["commands"][channel["cell"][bank], command] += 1
    constrain_bank(channel, timing, bank, command, clock)
    queue = request["queue"]
    if command == ACT:
        activate(channel, timing, slot, clock)
    elif command == PREPB:
        close_bank(channel, timing, bank, clock)
        channel["queue_plan_valid"][OPEN] = 0
        offer_to_queue_plan(channel, timing, channel["banks"][bank]["head"][queue], clock + 1)
    else:
        closes = command == RDA or command == WRA
        finish_request(channel, timing, kind, slot, closes, clock)
        if closes:
            closed_at = auto_precharge_at(channel, timing, bank, command, clock)
            close_bank(channel, timing, bank, closed_at)
            forget_queue_plans(channel)
        else:
            channel["banks"][bank]["served"] += 1
    if timing["scheduler"] == FCFS:
        forget_queue_plans(channel)
    return command


@jit(forceinline=True)
def activate(channel, timing, slot, clock):
    """Make a request active: its row is opened, and its column command follows."""
    request = channel["slots"][slot]
    bank = request["bank"]
    queue = request["queue"]
    unlink(channel, slot)
    channel["active"][channel["active_count"]] = slot
    channel["active_count"] += 1
    channel["activated_slot"] = slot
    channel["banks"][bank]["active_slot"] = slot
    channel["rank_actives"][timing["rank_of"][bank]] += 1
    open_bank(channel, timing, bank, request["row"], clock)
    channel["queue_plan_valid"][CLOSED] = 0
    hit = channel["banks"][bank]["hit"][queue]
    if hit > 0:
        offer_to_queue_plan(channel, timing, hit, clock + 1)


@jit(forceinline=True)
def finish_request(channel, timing, kind, slot, closes, clock):
    """Let a request leave whose column command was issued; a read's data follow."""
    request = channel["slots"][slot]
    bank = request["bank"]
    queue = request["queue"]
    if kind == ACTIVE:
        retire_active(channel, timing, slot)
        if not closes:
            find_others(channel, bank, channel["banks"][bank]["open_row"])
            readmit_other(channel, timing, bank, clock + 1)
    else:
        state = channel["banks"][bank]
        state["hit"][queue] = next_hit(channel, request["next"], state["open_row"])
        unlink(channel, slot)
        channel["queue_plan_valid"][OPEN] = 0
    if timing["power_down"]:
        end_work(channel, timing, timing["rank_of"][bank], RD if queue == READ else WR, clock)
    if queue == READ:
        departure = clock + timing["read_latency"]
        count_departure(channel, request["arrive"], departure, request["tag"])
    release(channel, slot)


@jit
def retire_active(channel, timing, slot):
    """Take a request off the list of active ones, which stays in the order of activation."""
    at = 0
    while channel["active"][at] != slot:
        at += 1
    last = channel["active_count"] - 1
    for i in range(at, last):
        channel["active"][i] = channel["active"][i + 1]
    channel["active_count"] = last
    bank = channel["slots"][slot]["bank"]
    channel["banks"][bank]["active_slot"] = 0
    channel["rank_actives"][timing["rank_of"][bank]] -= 1


@jit
def readmit_other(channel, timing, bank, clock):
    """Consider the bank's request for another row again, which the active request held back.

    If the bank has row hits, too, the request is weighed against them by planning anew.
    """
    state = channel["banks"][bank]
    other = state["other"][channel["write_mode"]]
    if other > 0:
        if state["hit"][channel["write_mode"]] > 0:
            channel["queue_plan_valid"][OPEN] = 0
        else:
            offer_to_queue_plan(channel, timing, other, clock)
