"""What a caller wants to know of a run while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edensim.engine.records import Records


@dataclass(frozen=True)
class Monitor:
    """What is reported of a run, and to whom. By default nothing is.

    Attributes
    ----------
    commands : callable or None
        Receives the issued commands in chunks, as COMMAND records.
    progress : callable or None
        Receives the number of requests consumed so far.
    locate : callable or None
        Returns the place of a request, given by its number, in the file that it comes from. It is
        used in messages.
    exposure_tensors : int or None
        Count how long after its ACT each read came, by bank and for that many tensors, and the
        commands of those tensors. None counts nothing.
    """

    commands: Callable[[Records], None] | None = None
    progress: Callable[[int], None] | None = None
    locate: Callable[[int], str] | None = None
    exposure_tensors: int | None = None

    def report_progress(self, done: int) -> None:
        """Report how many requests have been consumed, if anybody wants to know."""
        if self.progress is not None:
            self.progress(done)

    def place_of(self, request: int) -> str:
        """Return where a request comes from."""
        return self.locate(request) if self.locate else f"request {request}"
