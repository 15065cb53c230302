"""Open-loop request sources: as fast as the queues take them, or at stated clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edensim.reference.records import Request

#: Offer a request after a tick and before the next; False: refused, the queue is full.
Offer = Callable[[Request, int], bool]


class OpenLoopSource:
    """Offers the head of the stream once per memory cycle, from its clock on (0 where the source is saturating), until it is accepted."""

    def __init__(self, requests: Sequence[Request], clocks: Sequence[int], offer: Offer) -> None:
        self.requests = requests
        self.clocks = clocks
        self.offer = offer
        self.accepted = 0
        self.last_accepted_clock = -1

    @property
    def exhausted(self) -> bool:
        """Every request is accepted."""
        return self.accepted == len(self.requests)

    def tick(self, clock: int) -> None:
        """One attempt; `clock` is the number of memory ticks so far."""
        if self.exhausted or clock < self.clocks[self.accepted]:
            return
        if self.offer(self.requests[self.accepted], clock):
            self.accepted += 1
            self.last_accepted_clock = clock
