"""Open-loop sources: chunks of requests to the compiled event loop, as fast as the queues take them or at stated clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edensim.core import state
from edensim.core.channel import run_requests
from edensim.core.placing import place
from edensim.exceptions import ProtocolError, TraceError
from edensim.memory.records import Records
from edensim.vocabulary import COMMAND, REQUEST

#: Commands handed out at once.
COMMAND_CHUNK = 65_536


@dataclass(frozen=True)
class Listeners:
    """Who wants to know what: commands as they issue, requests consumed so far, the place of a request in its file."""

    commands: Callable[[Records], None] | None = None
    progress: Callable[[int], None] | None = None
    locate: Callable[[int], str] | None = None


def run_stream(records: Records, timing: Records, mapping: Records, requests: Iterable[Records], timed: bool, listeners: Listeners) -> None:
    """Feed the event loop chunk by chunk."""
    loop = np.zeros(1, state.LOOP)
    loop["tick"], loop["timed"], loop["record"] = 1, timed, listeners.commands is not None
    out = np.zeros(COMMAND_CHUNK if listeners.commands else 0, COMMAND)
    done = 0
    for placed, final in with_last(placed_chunks(requests, mapping, listeners)):
        loop["position"], loop["final"] = 0, final
        status = state.COMMANDS_FULL
        while status == state.COMMANDS_FULL:
            status = run_requests(records, timing, loop, placed, len(placed), out)
            hand_out(loop, out, listeners)
        check_status(status, loop)
        done += len(placed)
        if listeners.progress is not None:
            listeners.progress(done)


def hand_out(loop: Records, out: Records, listeners: Listeners) -> None:
    """Give recorded commands to whoever wants them."""
    count = int(loop[0]["recorded"])
    if listeners.commands is not None and count:
        listeners.commands(out[:count].copy())
        loop["recorded"] = 0


def check_status(status: int, loop: Records) -> None:
    """Raise what the loop could not."""
    if status == state.PRIORITY_OVERFLOW:
        raise ProtocolError(
            f"more than {state.MAX_PRIORITY} refreshes wait at clock {loop[0]['tick']}: the refresh interval leaves no time to do them"
        )
    if status == state.DEADLOCK:
        raise ProtocolError(f"nothing can happen any more after clock {loop[0]['tick']}, but requests wait: please report this run")


def refuse(chunk: Records, index: int, field: str, first: int, mapping: Records, listeners: Listeners) -> None:
    """Raise for an address beyond the capacity."""
    where = listeners.locate(first + index) if listeners.locate else f"request {first + index}"
    capacity = int(mapping[0]["capacity"])
    raise TraceError(f"{where}: address {int(chunk[index][field]):#x} is beyond the capacity of {capacity:#x} bytes; expected an address below it")


def placed_chunks(requests: Iterable[Records], mapping: Records, listeners: Listeners) -> Iterator[Records]:
    """Chunks of REQUEST to chunks of PLACED."""
    first = 0
    for chunk in requests:
        if chunk.dtype != REQUEST:
            raise TypeError(f"expected REQUEST records, found {chunk.dtype}")
        placed = np.empty(len(chunk), state.PLACED)
        bad = place(chunk, mapping, placed)
        if bad >= 0:
            refuse(chunk, bad, "address", first, mapping, listeners)
        first += len(chunk)
        yield placed


def with_last(chunks: Iterable[Records]) -> Iterator[tuple[Records, bool]]:
    """Each chunk, and whether it is the last; an empty stream gives one empty last chunk."""
    previous: Records | None = None
    for chunk in chunks:
        if previous is not None:
            yield previous, False
        previous = chunk
    yield (np.empty(0, state.PLACED) if previous is None else previous), True
