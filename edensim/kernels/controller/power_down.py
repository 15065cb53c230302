"""Power-down and self-refresh: a rank for which nothing waits goes to sleep after a while, and takes a while to come back."""

from __future__ import annotations

from edensim.kernels.compile import jit
from edensim.kernels.controller.state import NEVER, RANK_BASE
from edensim.kernels.controller.timing import push
from edensim.vocabulary import COMMANDS


@jit
def idle_since(s, rank):
    """Clock from which a rank without work has been quiet."""
    quiet = s["rank_quiet_at"][rank]
    if s["rank_open"][rank] == 0:
        quiet = max(quiet, s["rank_closed_at"][rank])  # an auto-precharge may still be at work
    return quiet


@jit
def self_refreshed_since(s, t, rank):
    """Clock from which an idle rank is in self-refresh: only with all banks closed."""
    return idle_since(s, rank) + (t["self_idle_cycles"] if s["rank_open"][rank] == 0 else NEVER)


@jit
def is_self_refreshed(s, t, rank, clock):
    """Whether a rank is in self-refresh."""
    return (
        t["power_down"] != 0
        and s["rank_work"][rank] == 0
        and clock > self_refreshed_since(s, t, rank)
    )


@jit
def book_sleep(s, t, rank, clock):
    """Count the sleep of an idle rank up to `clock`; returns how many clocks it takes to wake."""
    deeper = self_refreshed_since(s, t, rank)
    slept = max(0, min(clock, deeper) - (idle_since(s, rank) + t["idle_cycles"]))
    if s["rank_open"][rank] > 0:
        s["rank_slept_open"][rank] += slept
    else:
        s["rank_slept_closed"][rank] += slept
    if clock > deeper:
        s["rank_self_refreshed"][rank] += clock - deeper
        return t["self_exit_cycles"]
    return t["exit_cycles"] if slept > 0 else 0


@jit
def add_work(s, t, rank, clock):
    """Something waits for the rank from `clock` on: if it slept, its commands wait until it is awake."""
    if s["rank_work"][rank] == 0:
        exit_cycles = book_sleep(s, t, rank, clock)
        if exit_cycles > 0:
            for command in range(COMMANDS):
                push(s, RANK_BASE + rank * COMMANDS + command, clock + exit_cycles)
    s["rank_work"][rank] += 1


@jit
def end_work(s, t, rank, command, clock):
    """Something that waited for the rank is done, with this command."""
    s["rank_work"][rank] -= 1
    s["rank_quiet_at"][rank] = max(s["rank_quiet_at"][rank], clock + t["quiet_after"][command])
