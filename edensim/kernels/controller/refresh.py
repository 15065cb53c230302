"""Refresh: all banks of a rank at once, or bank after bank."""

from edensim.kernels.codes import ALL_BANK, REFAB, REFPB
from edensim.kernels.compile import jit
from edensim.kernels.controller.maintenance import queue_maintenance
from edensim.kernels.controller.power_down import is_self_refreshed


@jit
def refresh_all_bank(channel, timing, clock):
    """Queue one REFab for every rank. A rank in self-refresh needs none."""
    for rank in range(timing["ranks"]):
        if not is_self_refreshed(channel, timing, rank, clock):
            queue_maintenance(channel, timing, REFAB, rank, clock)


@jit
def refresh_per_bank(channel, timing, clock):
    """Queue one REFpb for the bank whose turn it is, unless its rank is in self-refresh."""
    bank = channel["next_refresh_bank"]
    if not is_self_refreshed(channel, timing, timing["rank_of"][bank], clock):
        queue_maintenance(channel, timing, REFPB, bank, clock)
    channel["next_refresh_bank"] = (bank + 1) % timing["banks"]


@jit
def queue_refreshes(channel, timing, clock):
    """Queue the refreshes that are due at this clock, and set the clock of the next ones."""
    if timing["refresh"] == ALL_BANK:
        refresh_all_bank(channel, timing, clock)
    else:
        refresh_per_bank(channel, timing, clock)
    channel["next_refresh"] = clock + timing["nREFI"][channel["module_class"]]
