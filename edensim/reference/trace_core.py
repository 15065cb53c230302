"""A closed-loop source: a core with an instruction window and a last-level cache.

Its rules are those of the simple core of Ramulator 2 (Luo et al., IEEE CAL 2023).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edensim.config.models import SourceConfig
from edensim.exceptions import ConfigError

#: The counters of a cache, by the names that results have for them.
COUNTERS = (
    "llc_reads",
    "llc_writes",
    "llc_read_misses",
    "llc_write_misses",
    "llc_writebacks",
    "dram_reads",
    "dram_writes",
)


@dataclass(slots=True, eq=False)
class Instruction:
    """A slot of the window.

    It is a load that waits for the data of its address, or a bubble, whose address is -1 and which
    is ready at once.
    """

    address: int
    ready: bool


@dataclass(slots=True, eq=False)
class CacheLine:
    """A line of the cache; it is not ready, and locked, while its data are on their way."""

    line: int
    dirty: bool
    ready: bool = False


@dataclass(slots=True, eq=False)
class MissEntry:
    """An outstanding miss and the byte addresses that wait for it."""

    cache_line: CacheLine
    waiting: list[int]


@dataclass(slots=True, eq=False)
class Transfer:
    """What the cache sends to memory after its latency: the fetch of a line, or a dirty victim."""

    due: int
    line: int
    is_write: bool


class LastLevelCache:
    """A write-back, write-allocate cache that evicts the least recently used line.

    `counters` counts accesses, misses (lines fetched; an access to a line already on its way is
    none), dirty victims and accepted transfers, under the names of the result's `frontend`.
    """

    def __init__(
        self,
        config: SourceConfig,
        line_bytes: int,
        on_data: Callable[[int], None],
        to_memory: Callable[[Transfer], bool],
    ) -> None:
        self.line_bytes = line_bytes
        self.ways = config.llc_ways
        self.latency = config.llc_latency_cycles
        self.miss_entries = config.mshr
        self.number_of_sets = config.llc_kB * 1024 // (line_bytes * config.llc_ways)
        if self.number_of_sets < 1:
            raise ConfigError(
                f"source.llc_kB: {config.llc_kB} kB hold no set of {config.llc_ways} ways of "
                f"{line_bytes} bytes"
            )
        self.on_data = on_data
        self.to_memory = to_memory
        self.sets: dict[int, list[CacheLine]] = {}
        self.misses: dict[int, MissEntry] = {}
        self.transfers: list[Transfer] = []
        self.hits: list[tuple[int, int]] = []  # core cycle and byte address
        self.counters = dict.fromkeys(COUNTERS, 0)

    def tick(self, cycle: int) -> None:
        """Send what is due to memory, in order; answer the hits that are due."""
        self.transfers = [
            transfer
            for transfer in self.transfers
            if transfer.due > cycle or not self._offer(transfer)
        ]
        for due, address in self.hits:
            if due <= cycle:
                self.on_data(address)
        self.hits = [hit for hit in self.hits if hit[0] > cycle]

    def _offer(self, transfer: Transfer) -> bool:
        accepted = self.to_memory(transfer)
        self.counters["dram_writes" if transfer.is_write else "dram_reads"] += accepted
        return accepted

    def send(self, address: int, is_write: bool, cycle: int) -> bool:
        """Take a load or a write-back from the core; False means that the core has to try again."""
        accepted = self._access(address, is_write, cycle)
        self.counters["llc_writes" if is_write else "llc_reads"] += accepted
        return accepted

    def _access(self, address: int, is_write: bool, cycle: int) -> bool:
        line = address // self.line_bytes
        ways = self.sets.setdefault(line % self.number_of_sets, [])
        for entry in ways:
            if entry.line == line and entry.ready:
                entry.dirty |= is_write
                ways.remove(entry)
                ways.append(entry)
                self.hits.append((cycle + self.latency, address))
                return True
        if line in self.misses:
            self.misses[line].cache_line.dirty |= is_write
            if not is_write:
                self.misses[line].waiting.append(address)
            return True
        if len(self.misses) == self.miss_entries:
            return False
        if len(ways) == self.ways and not self._evict(ways, cycle):
            return False
        self.counters["llc_write_misses" if is_write else "llc_read_misses"] += 1
        fetched = CacheLine(line, dirty=is_write)
        ways.append(fetched)
        self.misses[line] = MissEntry(fetched, [] if is_write else [address])
        self.transfers.append(Transfer(cycle + self.latency, line, is_write=False))
        return True

    def _evict(self, ways: list[CacheLine], cycle: int) -> bool:
        victim = next((entry for entry in ways if entry.ready), None)
        if victim is None:
            return False
        ways.remove(victim)
        if victim.dirty:
            self.counters["llc_writebacks"] += 1
            self.transfers.append(Transfer(cycle + self.latency, victim.line, is_write=True))
        return True

    def receive(self, line: int) -> None:
        """Take a fetched line that has arrived from memory."""
        entry = self.misses.pop(line)
        entry.cache_line.ready = True
        for address in entry.waiting:
            self.on_data(address)


def instruction_records(records: np.ndarray, loop: bool) -> Iterator[tuple[int, int, int]]:
    """Yield bubbles, load address and write-back address (or -1) of each record of a core trace."""
    while True:
        for record in records:
            yield int(record["gap"]), int(record["address"]), int(record["writeback"])
        if not loop or not len(records):
            return


class Core:
    """A core that retires from the old end of its window and inserts at the new end.

    It inserts the bubbles of a record, then its load and, one cycle later, its write-back.
    """

    def __init__(
        self,
        config: SourceConfig,
        records: np.ndarray,
        line_bytes: int,
        to_memory: Callable[[Transfer], bool],
    ) -> None:
        self.config = config
        loads = int(np.count_nonzero(records["address"] >= 0))
        once = int(records["gap"].sum(dtype=np.int64)) + loads
        self.instructions = once if config.instructions is None else config.instructions
        self.records = instruction_records(records, loop=config.instructions is not None)
        self.cache = LastLevelCache(config, line_bytes, self._data, to_memory)
        self.window: list[Instruction] = []
        self.retired = 0
        self.cycles = 0
        self.finished = not len(records)
        self.bubbles = 0
        self.load = -1
        self.writeback = -1
        self._next_record()

    def _next_record(self) -> None:
        self.bubbles, self.load, self.writeback = next(self.records, (0, -1, -1))

    def _data(self, address: int) -> None:
        """Give the data of a byte address to every load of that address in the window."""
        for instruction in self.window:
            if instruction.address == address:
                instruction.ready = True

    def tick(self) -> None:
        """Do one core cycle: the cache acts first, then instructions retire, then some enter."""
        self.cycles += 1
        self.cache.tick(self.cycles)
        for _ in range(self.config.issue_width):
            if self.window and self.window[0].ready:
                self.window.pop(0)
                self.retired += 1
        if self.retired >= self.instructions:
            self.finished = True
        else:
            self._insert()

    def _insert(self) -> None:
        inserted = 0
        while self.bubbles or self.load >= 0:
            if inserted == self.config.issue_width or len(self.window) == self.config.window:
                return
            if self.bubbles:
                self.bubbles -= 1
                self.window.append(Instruction(-1, ready=True))
                inserted += 1
                continue
            if not self.cache.send(self.load, False, self.cycles):
                return
            self.window.append(Instruction(self.load, ready=False))
            inserted += 1
            self.load = -1
            if self.writeback >= 0:
                return
        if self.writeback >= 0 and not self.cache.send(self.writeback, True, self.cycles):
            return
        self._next_record()
