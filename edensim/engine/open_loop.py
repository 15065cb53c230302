"""Open-loop sources: chunks of requests to the compiled event loop, as fast as the queues take them or at stated clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from edensim.engine.engine import Engine, Listeners
from edensim.engine.records import Records
from edensim.exceptions import TraceError
from edensim.kernels.controller import state
from edensim.kernels.controller.address import place
from edensim.kernels.sources.event_loop import run_requests
from edensim.vocabulary import REQUEST

#: What can be done about an address beyond the capacity.
WAY_OUT = (
    "expected an address below it, or trace_addresses: wrap, offset or pages, which fit the "
    "addresses of real programs into the memory"
)


def run_stream(engine: Engine, requests: Iterable[Records], timed: bool) -> None:
    """Feed the event loop chunk by chunk."""
    engine.loop["timed"] = timed
    engine.loop["alone"] = len(engine.channels) == 1
    done = 0
    for placed, final in with_last(placed_chunks(requests, engine.mapping, engine.listeners)):
        engine.loop["position"], engine.loop["final"] = 0, final
        engine.drive(
            partial(
                run_requests,
                engine.channels,
                engine.timing,
                engine.loop,
                placed,
                len(placed),
                engine.commands,
                engine.exposures,
            )
        )
        done += len(placed)
        if engine.listeners.progress is not None:
            engine.listeners.progress(done)


def refuse(
    chunk: Records, index: int, field: str, first: int, mapping: Records, listeners: Listeners
) -> None:
    """Raise for an address beyond the capacity."""
    where = listeners.locate(first + index) if listeners.locate else f"request {first + index}"
    capacity = int(mapping[0]["capacity"])
    raise TraceError(
        f"{where}: address {int(chunk[index][field]):#x} is beyond the capacity of {capacity:#x} "
        f"bytes; {WAY_OUT}"
    )


def placed_chunks(
    requests: Iterable[Records], mapping: Records, listeners: Listeners
) -> Iterator[Records]:
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
