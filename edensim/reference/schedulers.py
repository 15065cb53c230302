"""Schedulers of the reference engine: which request of a queue is served next.

A scheduler is a function of a `Queue`. It returns requests of the queue in order of preference, and
the controller issues the next command of the first one for which that command is legal. It does so
once per cycle in which no open row waits for its first access and no maintenance is due. A command
that would close a row before its first access is never issued.

A function of this kind can be given to `edensim.simulate(..., engine="reference", scheduler=...)`.
Another package gives it a name by an entry point of the group `edensim.schedulers`, and then
`controller.scheduler` takes that name.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edensim.reference.records import Request
from edensim.vocabulary import Command


@dataclass(frozen=True, slots=True)
class Queue:
    """The requests that a scheduler chooses from, and the state of their channel.

    Attributes
    ----------
    requests : sequence of Request
        The reads or the writes that wait, the oldest first.
    clock : int
        The memory cycle.
    open_rows : sequence of int or None
        The row that each bank of the channel (`Request.bank`) has open; None for a closed bank.
    next_command : callable
        Returns the next command of a request: ACT, PREpb, or a column command.
    is_legal : callable
        Tells whether the next command of a request is legal in this cycle.
    """

    requests: Sequence[Request]
    clock: int
    open_rows: Sequence[int | None]
    next_command: Callable[[Request], Command]
    is_legal: Callable[[Request], bool]

    def is_hit(self, request: Request) -> bool:
        """Tell whether the row of a request is open."""
        return self.open_rows[request.bank] == request.target.row


#: What a scheduler is.
Scheduler = Callable[[Queue], Iterable[Request]]


def frfcfs(queue: Queue) -> Sequence[Request]:
    """Serve the oldest request whose next command is legal: first ready, first come.

    References
    ----------
    Rixner et al., "Memory access scheduling", ISCA 2000.
    """
    return queue.requests


def frfcfs_row_hit(queue: Queue) -> Iterable[Request]:
    """Serve the oldest ready request, but close no row while an older request hits it."""
    for request in queue.requests:
        if queue.next_command(request) != Command.PREpb or not any(
            other.bank == request.bank and queue.is_hit(other) and other.arrive <= request.arrive
            for other in queue.requests
        ):
            yield request


def fcfs(queue: Queue) -> Sequence[Request]:
    """Serve requests strictly in order of their age."""
    return queue.requests[:1]
