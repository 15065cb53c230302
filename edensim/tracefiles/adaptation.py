"""Adapt the requests of a trace to a run: order of clocks, stores of a core, real addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from edensim.exceptions import TraceError
from edensim.tracefiles.formats import Records
from edensim.vocabulary import SourceKind

#: What becomes of addresses beyond the memory's capacity (`trace_addresses`).
ADDRESS_RULES: Final = ("refuse", "wrap", "offset", "pages")
#: The largest number of instructions before one record.
LARGEST_GAP: Final = (1 << 31) - 1
MASK_64: Final = (1 << 64) - 1


@dataclass(frozen=True)
class Adaptation:
    """How the requests of a trace are changed for a run, and what is checked in them.

    Parameters
    ----------
    kind : SourceKind
        The source that the requests feed. Clocks of a timed source must not go backwards. Stores
        of a core become write-backs without a load, and count as one instruction each.
    capacity_bytes : int
        The capacity of the memory.
    rule : str
        `refuse` leaves addresses as they are, so that the engine refuses those beyond the
        capacity. `wrap` takes addresses modulo the capacity. `offset` moves the page of the lowest
        address to address 0, and `pages` gives each page a random free page of the memory when it
        is first touched, as an operating system does.
    page_bytes : int
        The size of a page.
    seed : int
        Chooses the pages.
    """

    kind: SourceKind
    capacity_bytes: int
    rule: str = "refuse"
    page_bytes: int = 4096
    seed: int = 0

    def applied(
        self,
        chunks: Callable[[], Iterable[Records]],
        place: Callable[[int], str],
    ) -> Iterator[Records]:
        """Yield the adapted requests.

        Parameters
        ----------
        chunks : callable
            Returns the chunks of the trace from its start. It is called twice for `offset`.
        place : callable
            Names the place of a record (from 0) in its file, for messages.

        Raises
        ------
        TraceError
            If clocks go backwards, or if the memory has too few pages.
        """
        translate = self._translation(chunks)
        first, last_clock = 0, 0
        for records in chunks():
            if self.kind == SourceKind.TIMED and len(records):
                _check_clocks(records["clock"], last_clock, partial(_shifted, place, first))
                last_clock = int(records["clock"][-1])
            is_store = records["is_write"] == 1
            if self.kind == SourceKind.CORE and is_store.any():
                records = _with_stores(records, is_store)
            if translate is not None:
                records = _translated(records, translate, partial(_shifted, place, first))
            first += len(records)
            yield records

    def _translation(
        self, chunks: Callable[[], Iterable[Records]]
    ) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None:
        """Return the function that translates arrays of addresses in the order of their use."""
        if self.rule == "wrap":
            return lambda addresses: addresses % self.capacity_bytes
        if self.rule == "offset":
            return self._offset(chunks())
        if self.rule == "pages":
            return PageTable(self.capacity_bytes, self.page_bytes, self.seed).translate
        return None

    def _offset(
        self, chunks: Iterable[Records]
    ) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
        """Return a function that subtracts the page of the lowest address."""
        lowest, highest = 1 << 62, 0
        for records in chunks:
            used = _addresses(records)
            used = used[used >= 0]
            lowest = min(lowest, int(used.min(initial=lowest)))
            highest = max(highest, int(used.max(initial=highest)))
        base = lowest // self.page_bytes * self.page_bytes
        if highest - base >= self.capacity_bytes:
            raise TraceError(
                f"trace_addresses: offset: the addresses from {lowest:#x} to {highest:#x} span "
                f"more than the capacity of {self.capacity_bytes:#x} bytes; expected "
                "trace_addresses: wrap or pages"
            )
        return lambda addresses: addresses - base


class PageTable:
    """Pages of a memory, given out at random to the pages of a program as it touches them."""

    def __init__(self, capacity_bytes: int, page_bytes: int, seed: int) -> None:
        self.page_bytes = page_bytes
        self.free = capacity_bytes // page_bytes
        self.size = self.free
        self.seed = seed
        self.frames: dict[int, int] = {}
        #: Free frames that are not at their own place in the list of free frames, which is never
        #: built: it would hold one entry for each frame of the memory.
        self.moved: dict[int, int] = {}

    def translate(self, addresses: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Translate addresses [n], in the order in which they are used.

        Raises TraceError if the memory has no free page left.
        """
        pages, first_use, indices = np.unique(
            addresses // self.page_bytes, return_index=True, return_inverse=True
        )
        frames = np.empty(len(pages), np.int64)
        for index in np.argsort(first_use).tolist():
            frames[index] = self._frame(int(pages[index]))
        return frames[indices] * self.page_bytes + addresses % self.page_bytes

    def _frame(self, page: int) -> int:
        frame = self.frames.get(page)
        if frame is None:
            if not self.free:
                raise TraceError(
                    f"the trace touches more than the {self.size} pages of {self.page_bytes} bytes "
                    "that the memory has; expected a larger memory, smaller pages "
                    "(trace_page_KiB) or trace_addresses: wrap"
                )
            # One step of a Fisher-Yates shuffle of the free frames.
            choice = _random_bits(self.seed, len(self.frames)) % self.free
            self.free -= 1
            frame = self.moved.get(choice, choice)
            last = self.moved.pop(self.free, self.free)
            if choice != self.free:
                self.moved[choice] = last
            self.frames[page] = frame
        return frame


def _random_bits(seed: int, counter: int) -> int:
    """Return 64 random bits: splitmix64 of Steele, Lea and Flood (OOPSLA 2014)."""
    bits = (seed * 0xD1342543DE82EF95 + (counter + 1) * 0x9E3779B97F4A7C15) & MASK_64
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK_64
    return bits ^ (bits >> 31)


def _check_clocks(
    clocks: npt.NDArray[np.int64], last_clock: int, place: Callable[[int], str]
) -> None:
    backwards = np.flatnonzero(np.diff(clocks, prepend=last_clock) < 0)
    if len(backwards):
        index = int(backwards[0])
        before = int(clocks[index - 1]) if index else last_clock
        raise TraceError(
            f"{place(index)}: clock {int(clocks[index])} comes after clock {before}; expected "
            "clocks that never decrease: sort the trace, or ignore its clocks "
            "(source.kind: saturating)"
        )


def _with_stores(records: Records, is_store: npt.NDArray[np.bool_]) -> Records:
    """Turn stores into records of a core that only write; the store itself is an instruction."""
    changed = records.copy()
    changed["writeback"][is_store] = records["address"][is_store]
    changed["address"][is_store] = -1
    changed["gap"][is_store] = np.minimum(records["gap"][is_store], LARGEST_GAP - 1) + 1
    return changed


def _shifted(place: Callable[[int], str], first: int, index: int) -> str:
    return place(first + index)


def _addresses(records: Records) -> npt.NDArray[np.int64]:
    """Return load and write-back addresses, alternating; -1 stands for none."""
    both = np.empty((len(records), 2), np.int64)
    both[:, 0], both[:, 1] = records["address"], records["writeback"]
    return both.reshape(-1)


def _translated(
    records: Records,
    translate: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]],
    place: Callable[[int], str],
) -> Records:
    addresses = _addresses(records)
    used = addresses >= 0
    try:
        addresses[used] = translate(addresses[used])
    except TraceError as problem:
        raise TraceError(f"{place(0)} or later: {problem}") from None
    changed = records.copy()
    changed["address"], changed["writeback"] = addresses[0::2], addresses[1::2]
    return changed
