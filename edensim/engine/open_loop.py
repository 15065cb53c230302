"""Sources that do not wait for data: requests as fast as the queues take them, or at clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from edensim.engine.engine import Engine
from edensim.engine.monitor import Monitor
from edensim.engine.records import Records
from edensim.exceptions import TraceError
from edensim.kernels.controller.address import PLACED, place
from edensim.kernels.controller.limits import LAST_CLOCK
from edensim.kernels.sources.open_loop import run_requests
from edensim.vocabulary import REQUEST

#: What can be done about an address beyond the capacity.
WAY_OUT = (
    "expected an address below it, or trace_addresses: wrap, offset or pages, which fit the "
    "addresses of real programs into the memory"
)


def run_stream(engine: Engine, requests: Iterable[Records], timed: bool) -> None:
    """Feed the event loop chunk by chunk, and drain the memory."""
    engine.loop["timed"] = timed
    engine.loop["alone"] = len(engine.channels) == 1
    done = 0
    chunks = placed_chunks(requests, engine.mapping, engine.monitor)
    for placed, final in with_last(chunks):
        engine.loop["position"], engine.loop["final"] = 0, final
        engine.drive(run_requests, placed)
        done += len(placed)
        engine.monitor.report_progress(done)


def request_chunks(requests: Iterable[Records]) -> Iterator[tuple[int, Records]]:
    """Yield chunks with the number of their first request. Raises TypeError for other records."""
    first = 0
    for chunk in requests:
        if chunk.dtype != REQUEST:
            raise TypeError(f"expected REQUEST records, found {chunk.dtype}")
        yield first, chunk
        first += len(chunk)


def refuse(address: int, request: int, capacity: int, monitor: Monitor) -> None:
    """Raise TraceError for an address beyond the capacity."""
    raise TraceError(
        f"{monitor.place_of(request)}: address {address:#x} is beyond the capacity of "
        f"{capacity:#x} bytes; {WAY_OUT}"
    )


def placed_chunks(
    requests: Iterable[Records], mapping: Records, monitor: Monitor
) -> Iterator[Records]:
    """Turn chunks of REQUEST into chunks of PLACED."""
    for first, chunk in request_chunks(requests):
        placed = np.empty(len(chunk), PLACED)
        bad = place(chunk, mapping, placed)
        if bad >= 0:
            capacity = int(mapping[0]["capacity"])
            refuse(int(chunk[bad]["address"]), first + bad, capacity, monitor)
        late = np.flatnonzero(chunk["clock"] >= LAST_CLOCK)
        if len(late):
            raise TraceError(
                f"{monitor.place_of(first + int(late[0]))}: clock {int(chunk[late[0]]['clock']):,} "
                f"is beyond the last that can be simulated; expected less than {LAST_CLOCK:,}"
            )
        yield placed


def with_last(
    chunks: Iterable[Records], dtype: np.dtype[np.void] = PLACED
) -> Iterator[tuple[Records, bool]]:
    """Yield each chunk, and whether it is the last; no chunks give one empty last chunk."""
    previous: Records | None = None
    for chunk in chunks:
        if previous is not None:
            yield previous, False
        previous = chunk
    yield (np.empty(0, dtype) if previous is None else previous), True
