"""FR-FCFS with row hits first: a request does not close a row that an older row hit needs.

Plain FR-FCFS precharges a row as soon as that is legal, even if a row hit of the same bank waits
for its column command to become legal. Here a request that needs a precharge waits for a row hit
of its bank that arrived no later.
"""

from edensim.kernels.codes import FR_FCFS_ROW_HIT
from edensim.kernels.compile import jit


@jit
def waits_for_row_hit(channel, timing, hit, other):
    """Return whether a request for another row has to wait for a row hit of its bank.

    Slot 0, which is no request, never arrives.
    """
    slots = channel["slots"]
    return timing["scheduler"] == FR_FCFS_ROW_HIT and slots[hit]["arrive"] <= slots[other]["arrive"]


@jit
def may_void_precharge(timing, hit, other):
    """Return whether the arrival of either request may void a planned precharge of their bank."""
    return timing["scheduler"] == FR_FCFS_ROW_HIT and hit > 0 and other > 0
