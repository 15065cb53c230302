"""Power-down and self-refresh of idle ranks.

A rank for which nothing waits goes to sleep after a number of cycles and takes some to come back.
"""

from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import NEVER, RANK_BASE
from edensim.kernels.controller.timing import delay_until
from edensim.vocabulary import COMMANDS


@jit
def idle_since(channel, rank):
    """Return the clock from which a rank without work has been quiet."""
    quiet = channel["rank_quiet_at"][rank]
    if channel["rank_open"][rank] == 0:  # an auto-precharge may still be at work
        quiet = max(quiet, channel["rank_closed_at"][rank])
    return quiet


@jit
def self_refreshed_since(channel, timing, rank):
    """Return the clock from which an idle rank is in self-refresh, if all its banks are closed."""
    if channel["rank_open"][rank] == 0:
        return idle_since(channel, rank) + timing["self_refresh_idle_cycles"]
    return idle_since(channel, rank) + NEVER


@jit
def is_self_refreshed(channel, timing, rank, clock):
    """Return whether a rank is in self-refresh."""
    return (
        timing["power_down"] != 0
        and channel["rank_work"][rank] == 0
        and clock > self_refreshed_since(channel, timing, rank)
    )


@jit
def count_sleep(channel, timing, rank, clock):
    """Count the sleep of an idle rank up to `clock`; return the cycles it takes to wake."""
    deeper = self_refreshed_since(channel, timing, rank)
    idle_until = idle_since(channel, rank) + timing["power_down_idle_cycles"]
    slept = max(0, min(clock, deeper) - idle_until)
    if channel["rank_open"][rank] > 0:
        channel["rank_powerdown_active_cycles"][rank] += slept
    else:
        channel["rank_powerdown_precharged_cycles"][rank] += slept
    if clock > deeper:
        channel["rank_selfrefresh_cycles"][rank] += clock - deeper
        return timing["self_refresh_exit_cycles"]
    return timing["power_down_exit_cycles"] if slept > 0 else 0


@jit
def add_work(channel, timing, rank, clock):
    """Note that something waits for a rank from `clock` on.

    If the rank slept, its commands wait until it is awake.
    """
    if channel["rank_work"][rank] == 0:
        exit_cycles = count_sleep(channel, timing, rank, clock)
        if exit_cycles > 0:
            for command in range(COMMANDS):
                delay_until(channel, RANK_BASE + rank * COMMANDS + command, clock + exit_cycles)
    channel["rank_work"][rank] += 1


@jit
def end_work(channel, timing, rank, command, clock):
    """Note that something which waited for a rank is done, with this command."""
    channel["rank_work"][rank] -= 1
    quiet_at = clock + timing["quiet_after"][command]
    channel["rank_quiet_at"][rank] = max(channel["rank_quiet_at"][rank], quiet_at)
