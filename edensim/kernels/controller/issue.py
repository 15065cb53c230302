"""Issuing a command: what it does to constraints, banks, queues and counts."""

from __future__ import annotations

from edensim.kernels.codes import (
    ACT,
    CAPPED,
    FCFS,
    HALT,
    PREAB,
    PREPB,
    RD,
    RDA,
    REFAB,
    REFPB,
    WR,
    WRA,
)
from edensim.kernels.compile import jit
from edensim.kernels.controller.planning import forget_plans, offer_to_plan
from edensim.kernels.controller.power_down import end_work
from edensim.kernels.controller.queues import (
    find_hits,
    find_others,
    forget_hits,
    next_hit,
    release,
    relist_bank,
    unlink,
)
from edensim.kernels.controller.scheduler import count_departure
from edensim.kernels.controller.state import ACTIVE, MAX_PRIORITY
from edensim.kernels.controller.timing import constrain_bank, constrain_rank, legal_at


@jit
def enter_row(s, t, bank, row):
    """From now on a divided bank has the timings of this row, and its commands count for the row's range; row -1: of the bank as a whole."""
    s["bank_class"][bank] = s["whole_class"][bank]
    s["cell"][bank] = bank
    for r in range(s["range_start"][bank], s["range_stop"][bank]):
        if s["range_first"][r] <= row and row <= s["range_last"][r]:
            s["bank_class"][bank] = s["range_class"][r]
            s["cell"][bank] = t["banks"] + r


@jit
def open_bank(s, t, bank, row, clock):
    rank = t["rank_of"][bank]
    s["banks"][bank]["open_row"] = row
    s["banks"][bank]["opened_at"] = clock
    s["banks"][bank]["served"] = 0
    s["banks"][bank]["row_command"] = PREPB
    if s["rank_open"][rank] == 0 and clock > s["rank_closed_at"][rank]:
        s["rank_active_cycles"][rank] += s["rank_closed_at"][rank] - s["rank_opened_at"][rank]
        s["rank_opened_at"][rank] = clock
    s["rank_open"][rank] += 1
    find_hits(s, bank, row)
    relist_bank(s, bank, 1)


@jit
def close_bank(s, t, bank, clock):
    """Close a bank; `clock` is when the row is closed, which an auto-precharge puts off."""
    s["banks"][bank]["served"] = 0
    s["banks"][bank]["close_queued"] = 0
    if s["banks"][bank]["open_row"] < 0:
        return
    rank = t["rank_of"][bank]
    s["banks"][bank]["open_row"] = -1
    s["banks"][bank]["row_command"] = ACT
    s["closings"][s["cell"][bank]] += 1
    s["rank_open"][rank] -= 1
    s["rank_closed_at"][rank] = max(clock, s["rank_closed_at"][rank])
    forget_hits(s, bank)
    relist_bank(s, bank, 0)


@jit
def issue_maintenance(s, t, command, clock):
    """Issue the next command of the maintenance queue's head; returns the rank or bank it addresses."""
    forget_plans(s)
    node = s["priority_node"][s["priority_head"]]
    if command == s["priority_command"][s["priority_head"]]:
        if t["power_down"]:
            rank = node if command == REFAB or command == HALT else t["rank_of"][node]
            end_work(s, t, rank, PREPB if command == HALT else command, clock)
        s["priority_head"] = (s["priority_head"] + 1) % MAX_PRIORITY
        s["priorities"] -= 1
    if command == HALT:
        s["halting"] -= 1
        s["halted"] = s["halting"] == 0
        return node
    if command == PREAB or command == REFAB:
        first = node * t["banks_per_rank"]
        s["commands"][first, command] += 1
        constrain_rank(s, t, node, command, clock)
        if command == REFAB:
            s["rank_refreshed_at"][node] = clock
        else:
            for bank in range(first, first + t["banks_per_rank"]):
                close_bank(s, t, bank, clock)
    else:
        if command == REFPB and s["ranges"] > 0:
            enter_row(s, t, node, -1)
        s["commands"][s["cell"][node], command] += 1
        constrain_bank(s, t, node, command, clock)
        if command == PREPB:
            close_bank(s, t, node, clock)
    return node


@jit
def count_row_state(s, slot):
    """Hit, miss or conflict: what the request's first command found."""
    s["slots"][slot]["seen"] = 1
    opened = s["banks"][s["slots"][slot]["bank"]]["open_row"]
    state = 1 if opened < 0 else (0 if opened == s["slots"][slot]["row"] else 2)
    s["row_states"][s["slots"][slot]["queue"], state] += 1


@jit
def with_auto_precharge(s, t, slot, bank, command, clock):
    """Capped rows: a column command past the cap closes its row, unless another active request still needs it."""
    if s["banks"][bank]["served"] < t["row_cap"]:
        return command
    owner = s["banks"][bank]["active_slot"]
    closing = RDA if command == RD else WRA
    if (owner > 0 and owner != slot) or legal_at(s, t, bank, closing) > clock:
        return command
    return closing


@jit(forceinline=True)
def issue_request(s, t, kind, slot, command, clock):
    """Issue a request's next command; returns the command that went out."""
    bank = s["slots"][slot]["bank"]
    if s["slots"][slot]["seen"] == 0:
        count_row_state(s, slot)
    if t["row_policy"] == CAPPED and (command == RD or command == WR):
        command = with_auto_precharge(s, t, slot, bank, command, clock)
    if command == ACT and s["ranges"] > 0:
        enter_row(s, t, bank, s["slots"][slot]["row"])
    s["commands"][s["cell"][bank], command] += 1
    constrain_bank(s, t, bank, command, clock)
    queue = s["slots"][slot]["queue"]
    if command == ACT:
        unlink(s, slot)
        s["active"][s["actives"]] = slot
        s["actives"] += 1
        s["banks"][bank]["active_slot"] = slot
        s["rank_actives"][t["rank_of"][bank]] += 1
        open_bank(s, t, bank, s["slots"][slot]["row"], clock)
        s["kept"][0] = 0
        if s["banks"][bank]["hit"][queue] > 0:
            offer_to_plan(s, t, s["banks"][bank]["hit"][queue], clock + 1)
    elif command == PREPB:
        close_bank(s, t, bank, clock)
        s["kept"][1] = 0
        offer_to_plan(s, t, s["banks"][bank]["head"][queue], clock + 1)
    else:
        closes = command == RDA or command == WRA
        finish_request(s, t, kind, slot, bank, closes, clock)
        if closes:
            k = s["bank_class"][bank]
            wait = t["close_after_read"][k] if command == RDA else t["close_after_write"][k]
            close_bank(
                s,
                t,
                bank,
                max(clock + wait, s["banks"][bank]["opened_at"] + t["close_after_act"][k]),
            )
            forget_plans(s)
        else:
            s["banks"][bank]["served"] += 1
    if t["scheduler"] == FCFS:
        forget_plans(s)
    return command


@jit(forceinline=True)
def finish_request(s, t, kind, slot, bank, closes, clock):
    """A column command was issued: the request leaves; a read's data follows."""
    queue = s["slots"][slot]["queue"]
    if kind == ACTIVE:
        last = s["actives"] - 1
        at = 0
        while s["active"][at] != slot:
            at += 1
        for i in range(at, last):  # the others stay in the order of their activation
            s["active"][i] = s["active"][i + 1]
        s["actives"] = last
        s["banks"][bank]["active_slot"] = 0
        s["rank_actives"][t["rank_of"][bank]] -= 1
        if not closes:
            find_others(s, bank, s["banks"][bank]["open_row"])
            release_other(s, t, s["banks"][bank]["other"][s["write_mode"]], bank, clock + 1)
    else:
        s["banks"][bank]["hit"][queue] = next_hit(
            s, s["slots"][slot]["next"], s["banks"][bank]["open_row"]
        )
        unlink(s, slot)
        s["kept"][1] = 0
    if t["power_down"]:
        end_work(s, t, t["rank_of"][bank], RD if queue == 0 else WR, clock)
    if queue == 0:
        count_departure(
            s, s["slots"][slot]["arrive"], clock + t["read_latency"], s["slots"][slot]["tag"]
        )
    release(s, slot)


@jit
def release_other(s, t, other, bank, clock):
    """A request for another row is no longer held back: into the plan with it, or plan again where it is weighed against row hits."""
    if other > 0:
        if s["banks"][bank]["hit"][s["write_mode"]] > 0:
            s["kept"][1] = 0
        else:
            offer_to_plan(s, t, other, clock)
