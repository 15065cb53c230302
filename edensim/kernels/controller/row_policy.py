"""Row policies: when a row is closed although no other request asks for it.

Open rows stay open, which takes no code. Closed rows: every column command carries an
auto-precharge. Capped rows: once a row has served `row_cap` column commands, the next one carries
an auto-precharge, or a precharge is put before all requests.
"""

from edensim.kernels.codes import CLOSED_PAGE, PREPB, RD, RDA, WRA
from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.maintenance import queue_maintenance
from edensim.kernels.controller.timing import legal_at


@jit
def reserves_row(channel, timing, bank):
    """Return whether only the active request may use the open row.

    With closed rows the first column command closes the row, and must be that request's.
    """
    return timing["row_policy"] == CLOSED_PAGE and channel["banks"][bank]["active_slot"] > 0


@jit
def queue_capped_precharges(channel, timing, clock):
    """Queue a precharge for each row past the cap, as soon as it is legal.

    `precharge_at` becomes the clock at which the next one will be.
    """
    channel["precharge_at"] = FOREVER
    for bank in range(timing["banks"]):
        state = channel["banks"][bank]
        if state["served"] >= timing["row_cap"] and state["precharge_queued"] == 0:
            at = legal_at(channel, timing, bank, PREPB)
            if at <= clock:
                queue_maintenance(channel, timing, PREPB, bank, clock)
                state["precharge_queued"] = 1
            else:
                channel["precharge_at"] = min(channel["precharge_at"], at)


@jit
def with_capped_precharge(channel, timing, slot, command, clock):
    """Return the column command, with auto-precharge if the row is past its cap.

    It stays as it is while another active request still needs the row.
    """
    bank = channel["slots"][slot]["bank"]
    state = channel["banks"][bank]
    if state["served"] < timing["row_cap"]:
        return command
    active = state["active_slot"]
    closing = RDA if command == RD else WRA
    if (active > 0 and active != slot) or legal_at(channel, timing, bank, closing) > clock:
        return command
    return closing


@jit
def auto_precharge_at(channel, timing, bank, command, clock):
    """Return when the auto-precharge of a column command that issues at `clock` closes the row."""
    timing_class = channel["bank_class"][bank]
    wait = timing["close_after_write"][timing_class]
    if command == RDA:
        wait = timing["close_after_read"][timing_class]
    opened_at = channel["banks"][bank]["opened_at"]
    return max(clock + wait, opened_at + timing["close_after_act"][timing_class])
