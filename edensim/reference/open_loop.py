"""Open-loop sources, which offer requests as fast as the queues take them or at given clocks."""

from collections.abc import Callable, Sequence

from edensim.reference.records import Request

#: Offers a request after a tick and before the next one; returns False if the queue is full.
Offer = Callable[[Request, int], bool]


class OpenLoopSource:
    """Offer the first request of a stream once per memory cycle, from its clock on.

    The clocks of a saturating source are all 0.
    """

    def __init__(self, requests: Sequence[Request], clocks: Sequence[int], offer: Offer) -> None:
        self.requests = requests
        self.clocks = clocks
        self.offer = offer
        self.accepted = 0
        self.last_accepted_clock = -1

    @property
    def exhausted(self) -> bool:
        """Whether every request is accepted."""
        return self.accepted == len(self.requests)

    def tick(self, clock: int) -> None:
        """Offer once; `clock` is the number of memory ticks so far."""
        if self.exhausted or clock < self.clocks[self.accepted]:
            return
        if self.offer(self.requests[self.accepted], clock):
            self.accepted += 1
            self.last_accepted_clock = clock
