"""Power-down: a rank for which nothing waits powers down after a while, and takes a while to come back."""

from __future__ import annotations

from edensim.core.jit import jit
from edensim.core.state import RANK_BASE
from edensim.core.timing import push
from edensim.vocabulary import COMMANDS


@jit
def asleep_since(s, t, rank):
    """Clock from which an idle rank is in power-down."""
    quiet = s["rank_quiet_at"][rank]
    if s["rank_open"][rank] == 0:
        quiet = max(quiet, s["rank_closed_at"][rank])  # an auto-precharge may still be at work
    return quiet + t["idle_cycles"]


@jit
def book_sleep(s, t, rank, clock):
    """Count the power-down of an idle rank up to `clock`; returns its length."""
    slept = max(0, clock - asleep_since(s, t, rank))
    if s["rank_open"][rank] > 0:
        s["rank_slept_open"][rank] += slept
    else:
        s["rank_slept_closed"][rank] += slept
    return slept


@jit
def add_work(s, t, rank, clock):
    """Something waits for the rank from `clock` on: if it slept, its commands wait until it is awake."""
    if s["rank_work"][rank] == 0 and book_sleep(s, t, rank, clock) > 0:
        for command in range(COMMANDS):
            push(s, RANK_BASE + rank * COMMANDS + command, clock + t["exit_cycles"])
    s["rank_work"][rank] += 1


@jit
def end_work(s, t, rank, command, clock):
    """Something that waited for the rank is done, with this command."""
    s["rank_work"][rank] -= 1
    s["rank_quiet_at"][rank] = max(s["rank_quiet_at"][rank], clock + t["quiet_after"][command])
