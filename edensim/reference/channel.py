"""The controller of one channel, written as the rules are, with one call of `tick` per cycle.

In a cycle, the channel first finds out which maintenance is due. Then it issues at most one
command: for a request whose row it has opened, for maintenance, or for a request of a queue.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edensim.config.models import ControllerConfig
from edensim.dram.standard import Standard
from edensim.exceptions import ConfigError, ProtocolError
from edensim.reference.history import IssueHistory, Target, bank_targets, flat_bank
from edensim.reference.records import Counters, Issued, Maintenance, Request, Speed
from edensim.reference.schedulers import Queue, Scheduler
from edensim.vocabulary import Command, RowState, cycles_from_ns

CLOSING_BANK = frozenset({Command.PREpb, Command.RDA, Command.WRA})
WITH_PRECHARGE = {Command.RD: Command.RDA, Command.WR: Command.WRA}


#: Cycles in which a scheduler may leave a queue without any command.
PATIENCE = 1_000_000


class Channel:
    """The queues, the state of the rows and the choice of commands of one channel."""

    def __init__(
        self,
        standard: Standard,
        config: ControllerConfig,
        scheduler: Scheduler,
        bank_gaps: Mapping[int, tuple[int, ...]] | None = None,
    ) -> None:
        self.standard = standard
        self.config = config
        self.scheduler = scheduler
        self.served_at = 0
        self.history = IssueHistory(standard, bank_gaps)
        self.banks = bank_targets(standard.organization)
        self.read_queue: list[Request] = []
        self.write_queue: list[Request] = []
        self.active: list[Request] = []
        self.priority: list[Maintenance] = []
        self.returning: list[Request] = []
        self.write_mode = False
        self.open_row: list[int | None] = [None] * len(self.banks)
        self.columns_served = [0] * len(self.banks)
        self.precharge_injected = [False] * len(self.banks)
        self.opened_at = [0] * len(self.banks)
        self.next_refresh_bank = 0
        self.refresh_interval = (
            0
            if config.refresh == "none"
            else standard.timings["nREFI" if config.refresh == "all-bank" else "nREFIpb"]
        )
        self.next_refresh = self.refresh_interval
        self.halt_at: int | None = None  # a change of operating point is due
        self.ranks_to_halt = 0
        self.halted = False
        self.active_since = [0] * standard.organization.ranks
        self.active_cycles = [0] * standard.organization.ranks
        self.closed_at = [0] * standard.organization.ranks
        self.quiet_at = [0] * standard.organization.ranks
        self.slept = np.zeros((standard.organization.ranks, 3), np.int64)
        self.counters = Counters()
        self.issued: list[Issued] = []
        self.last_departure = 0
        # Finds the speed of a row of a bank, or without a row that of the bank as a whole.
        self.speed_of: Callable[[int, int | None], Speed] | None = None
        self.timings = [standard.timings] * len(self.banks)
        self.on_return: Callable[[Request], None] = lambda _request: None
        self._check_standard()

    def _check_standard(self) -> None:
        needed = {"all-bank": (Command.REFab, "nREFI"), "per-bank": (Command.REFpb, "nREFIpb")}.get(
            self.config.refresh
        )
        if needed is not None and (
            needed[0] not in self.standard.commands or self.standard.timings.get(needed[1], 0) < 1
        ):
            raise ConfigError(
                f"controller.refresh: {self.config.refresh!r} needs {needed[0].name} and "
                f"{needed[1]}, which {self.standard.name} lacks"
            )
        if self.config.row_policy == "closed" and Command.RDA not in self.standard.commands:
            raise ConfigError(
                "controller.row_policy: 'closed' needs auto-precharge, which "
                f"{self.standard.name} lacks"
            )

    # -- Requests come in.

    def offer(self, request: Request, clock: int) -> bool:
        """Accept a request after tick `clock` and before the next one.

        Returns False if its queue is full.
        """
        in_write_queue = any(write.line == request.line for write in self.write_queue)
        queue, size = (
            (self.write_queue, self.config.write_queue)
            if request.is_write
            else (self.read_queue, self.config.read_queue)
        )
        if not in_write_queue and len(queue) >= size:
            return False
        request.age, request.arrive = self.counters.reads + self.counters.writes, clock
        if request.is_write:
            self.counters.writes += 1
            self.counters.coalesced += in_write_queue
        else:
            self.counters.reads += 1
            self.counters.forwarded += in_write_queue
        if not in_write_queue:
            queue.append(request)
            self._wake(request.target.rank, clock + 1)
        elif not request.is_write:
            self._send_data(request, clock + 1)
        return True

    def take_speed(self, bank: int, row: int | None) -> None:
        """Give a bank the timings of the row that it opens, or without a row its own ones."""
        if self.speed_of is not None:
            speed = self.speed_of(bank, row)
            self.history.bank_gaps[bank] = speed.gaps
            self.timings[bank] = speed.timings

    # -- Sleep. A rank for which nothing waits powers down `power_down_idle_cycles` after it has
    # become quiet. With all banks closed, it refreshes itself from `self_refresh_idle_cycles` on.

    def rank_cycles(self, clock: int) -> NDArray[np.int64]:
        """Count in which states each rank has been by `clock`.

        Returns an array [ranks, 4] of cycles with a bank open, of these in power-down, of cycles in
        power-down with all banks closed, and of cycles in self-refresh.
        """
        ranks = range(self.standard.organization.ranks)
        active = [
            self.active_cycles[rank] + self._active_until(rank, clock) - self.active_since[rank]
            for rank in ranks
        ]
        asleep = [
            (0, 0, 0) if self._waiting_for(rank) else self._asleep(rank, clock) for rank in ranks
        ]
        return np.column_stack([active, self.slept + asleep])

    def _active_until(self, rank: int, clock: int) -> int:
        """Find until when a rank has had a bank open; an auto-precharge may close it later."""
        return clock if self._has_open_bank(rank) else min(self.closed_at[rank], clock)

    def _asleep(self, rank: int, clock: int) -> tuple[int, int, int]:
        """Count the cycles that a rank for which nothing waits has slept since it became quiet."""
        quiet_at, deeper = self._quiet_since(rank)
        until = clock if deeper is None else min(clock, deeper)
        since = quiet_at + self.config.power_down_idle_cycles
        down = max(0, until - since) if self.config.power_down != "none" else 0
        refreshed = 0 if deeper is None else max(0, clock - deeper)
        return (down, 0, refreshed) if self._has_open_bank(rank) else (0, down, refreshed)

    def _has_open_bank(self, rank: int) -> bool:
        return any(
            row is not None and target.rank == rank
            for row, target in zip(self.open_row, self.banks, strict=True)
        )

    def _waiting_for(self, rank: int) -> int:
        requests = (*self.read_queue, *self.write_queue, *self.active)
        targets = [
            *(request.target for request in requests),
            *(wanted.target for wanted in self.priority),
        ]
        return sum(target.rank == rank for target in targets)

    def _wake(self, rank: int, clock: int) -> None:
        """Wake a rank for which something waits from `clock` on, if it is the first to wait.

        If the rank slept, no command to it is legal until it is awake.
        """
        if self._waiting_for(rank) > 1:
            return
        slept = self._asleep(rank, clock)
        self.slept[rank] += slept
        if slept[2]:  # tXS = tRFC + 10 ns
            exit_cycles = self.standard.timings["nRFC"] + cycles_from_ns(10.0, self.standard.tck_ps)
        else:
            exit_cycles = cycles_from_ns(self.config.power_down_exit_ns, self.standard.tck_ps)
        if any(slept):
            self.history.awake_at[rank] = clock + exit_cycles

    def _quiet_since(self, rank: int) -> tuple[int, int | None]:
        """Find since when an idle rank is quiet, and from when on it refreshes itself (or None)."""
        if self._has_open_bank(rank):
            return self.quiet_at[rank], None
        quiet_at, idle_cycles = (
            max(self.quiet_at[rank], self.closed_at[rank]),
            self.config.self_refresh_idle_cycles,
        )
        return quiet_at, None if idle_cycles is None else quiet_at + idle_cycles

    def _refreshes_itself(self, rank: int, clock: int) -> bool:
        since = self._quiet_since(rank)[1]
        return since is not None and clock > since and self._waiting_for(rank) == 0

    def _done(self, rank: int, command: Command, clock: int) -> None:
        """Note that something that waited for the rank is done, with this command."""
        timings = self.standard.timings
        busy = {
            Command.RD: self.standard.read_latency,
            Command.WR: self.standard.write_latency + timings["nWR"],
            Command.REFab: timings["nRFC"],
            Command.REFpb: timings.get("nRFCpb", timings["nRFC"]),
            Command.PREpb: timings["nRP"],
        }
        self.quiet_at[rank] = max(self.quiet_at[rank], clock + busy[command])

    def _want(self, wanted: Maintenance, clock: int) -> None:
        self.priority.append(wanted)
        self._wake(wanted.target.rank, clock)

    def _send_data(self, request: Request, depart: int) -> None:
        request.depart = depart
        self.last_departure = max(self.last_departure, depart)
        self.counters.read_latencies.append(depart - request.arrive)
        self.returning.append(request)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued, active or wanted."""
        return not (self.read_queue or self.write_queue or self.active or self.priority)

    # -- One cycle.

    def tick(self, clock: int) -> None:
        """Do everything that happens in this memory cycle (1, 2, 3, ...)."""
        for request in [request for request in self.returning if request.depart <= clock]:
            self.returning.remove(request)
            self.on_return(request)
        if self.halted:
            return
        self._want_refresh(clock)
        self._want_halt(clock)
        self._want_precharge(clock)
        if self._serve_active(clock):
            return
        if self.priority:
            self._serve_priority(clock)
        else:
            self._serve_queue(clock)

    def _want_refresh(self, clock: int) -> None:
        if self.config.refresh == "none" or clock < self.next_refresh:
            return
        self.next_refresh = clock + self.refresh_interval
        if self.config.refresh == "all-bank":
            for rank in range(self.standard.organization.ranks):
                if not self._refreshes_itself(rank, clock):
                    self._want(Maintenance(Command.REFab, Target(rank)), clock)
        else:
            if not self._refreshes_itself(self.banks[self.next_refresh_bank].rank, clock):
                self._want(Maintenance(Command.REFpb, self.banks[self.next_refresh_bank]), clock)
            self.next_refresh_bank = (self.next_refresh_bank + 1) % len(self.banks)

    def _want_halt(self, clock: int) -> None:
        """If a change of operating point is due, have every rank closed; then the channel stops."""
        if self.halt_at is not None and clock >= self.halt_at:
            for rank in range(self.standard.organization.ranks):
                self._want(Maintenance(None, Target(rank)), clock)
            self.ranks_to_halt = self.standard.organization.ranks
            self.halt_at = None

    def _want_precharge(self, clock: int) -> None:
        """Under the policy `capped`, have rows closed that have served their share of accesses."""
        if self.config.row_policy != "capped":
            return
        for bank, target in enumerate(self.banks):
            if (
                self.columns_served[bank] >= self.config.row_cap
                and not self.precharge_injected[bank]
            ):
                if self.history.legal(Command.PREpb, target, clock):
                    self._want(Maintenance(Command.PREpb, target), clock)
                    self.precharge_injected[bank] = True

    def _serve_active(self, clock: int) -> bool:
        # The first to arrive is served first. Of those that arrived in one clock (a core may send
        # several), that is the first whose row was activated.
        for request in sorted(self.active, key=lambda request: request.arrive):
            if self.history.legal(self._column_command(request), request.target, clock):
                self._issue_for(request, self._column_command(request), clock)
                return True
        return False

    def _serve_priority(self, clock: int) -> None:
        wanted = self.priority[0]
        closes = self._banks_of(wanted)
        command = wanted.command
        if command in (Command.REFab, None) and any(
            self.open_row[bank] is not None for bank in closes
        ):
            command = Command.PREab
        if command is None:
            if all(self.history.legal(Command.ACT, self.banks[bank], clock) for bank in closes):
                self.priority.pop(0)
                self._done(wanted.target.rank, Command.PREpb, clock)
                self.ranks_to_halt -= 1
                self.halted = self.ranks_to_halt == 0
            return
        if command == Command.REFpb and self.open_row[closes[0]] is not None:
            command = Command.PREpb
        if command in (Command.PREab, Command.PREpb) and any(
            self._is_active(bank) for bank in closes
        ):
            return
        if self.history.legal(command, wanted.target, clock):
            self._issue(command, wanted.target, clock)
            if command == wanted.command:
                self.priority.pop(0)
                self._done(wanted.target.rank, command, clock)

    def _serve_queue(self, clock: int) -> None:
        self._choose_mode()
        requests = self.write_queue if self.write_mode else self.read_queue
        if not requests:
            self.served_at = clock
            return

        def is_legal(request: Request) -> bool:
            command = self._next_command(request)
            if command in CLOSING_BANK and self._is_active(request.bank):
                return False
            return self.history.legal(command, request.target, clock)

        # A queue is in order of age: requests join it at the end.
        queue = Queue(tuple(requests), clock, self.open_row, self._next_command, is_legal)
        for request in self.scheduler(queue):
            if request not in requests:
                raise ProtocolError(
                    f"scheduler {self.scheduler!r} chose a request that is not in the queue, at "
                    f"clock {clock}"
                )
            if is_legal(request):
                self.served_at = clock
                self._issue_for(request, self._next_command(request), clock)
                return
        if clock - self.served_at > PATIENCE:
            raise ProtocolError(
                f"scheduler {self.scheduler!r} has chosen no request for {PATIENCE:,} "
                f"cycles, at clock {clock}, while {len(requests)} wait"
            )

    # -- The questions that those steps ask.

    def _choose_mode(self) -> None:
        writes, reads, size = len(self.write_queue), len(self.read_queue), self.config.write_queue
        if not self.write_mode:
            self.write_mode = writes > self.config.write_high_watermark * size or reads == 0
        elif (writes < self.config.write_low_watermark * size or writes == 0) and reads != 0:
            self.write_mode = False

    def _banks_of(self, wanted: Maintenance) -> list[int]:
        if wanted.command in (Command.REFab, None):
            return [
                bank for bank, target in enumerate(self.banks) if target.rank == wanted.target.rank
            ]
        return [flat_bank(self.standard.organization, wanted.target)]

    def _is_active(self, bank: int) -> bool:
        return any(request.bank == bank for request in self.active)

    def _is_hit(self, request: Request) -> bool:
        return self.open_row[request.bank] == request.target.row

    def _column_command(self, request: Request) -> Command:
        command = Command.WR if request.is_write else Command.RD
        return WITH_PRECHARGE[command] if self.config.row_policy == "closed" else command

    def _next_command(self, request: Request) -> Command:
        if self.open_row[request.bank] is None:
            return Command.ACT
        return self._column_command(request) if self._is_hit(request) else Command.PREpb

    # -- Effects.

    def _issue_for(self, request: Request, command: Command, clock: int) -> None:
        self._count_row_state(request)
        queue = (
            self.active
            if request in self.active
            else self.write_queue
            if request.is_write
            else self.read_queue
        )
        if command == Command.ACT:
            queue.remove(request)
            self.active.append(request)
        elif command != Command.PREpb:
            queue.remove(request)
            command = self._close_if_capped(command, request, clock)
            self._done(request.target.rank, Command.WR if request.is_write else Command.RD, clock)
            if not request.is_write:
                self._send_data(request, clock + self.standard.read_latency)
        self._issue(command, request.target, clock, request.tensor)

    def _close_if_capped(self, command: Command, request: Request, clock: int) -> Command:
        """Add auto-precharge to a column command if the row has served its share of accesses.

        It is not added if another request waits for its first access to the row.
        """
        if (
            self.config.row_policy != "capped"
            or self.columns_served[request.bank] < self.config.row_cap
            or self._is_active(request.bank)
        ):
            return command
        closing = WITH_PRECHARGE[command]
        return (
            closing
            if closing in self.standard.commands
            and self.history.legal(closing, request.target, clock)
            else command
        )

    def _note_closing(self, bank: int, command: Command, clock: int) -> None:
        """Note when a bank is closed: auto-precharge waits for tRAS, tRTP and write recovery."""
        if self.open_row[bank] is None:
            return
        if command in (Command.RDA, Command.WRA):
            timings = self.timings[bank]
            wait = (
                timings.get("nRTP", 0)
                if command == Command.RDA
                else self.standard.write_latency + timings.get("nWR", 0)
            )
            clock = max(clock + wait, self.opened_at[bank] + timings.get("nRAS", 0))
        rank = self.banks[bank].rank
        self.closed_at[rank] = max(self.closed_at[rank], clock)

    def _count_row_state(self, request: Request) -> None:
        if request.row_state is not None:
            return
        if self._is_hit(request):
            request.row_state = RowState.HIT
        elif self.open_row[request.bank] is None:
            request.row_state = RowState.MISS
        else:
            request.row_state = RowState.CONFLICT
        self.counters.row_states[request.is_write][request.row_state] += 1

    def _issue(self, command: Command, target: Target, clock: int, tensor: int = -1) -> None:
        """Put a command on the bus, and note its effects.

        The list of commands keeps the whole address of the request that a command is for.
        """
        if command in (Command.ACT, Command.REFpb):
            self.take_speed(
                flat_bank(self.standard.organization, target),
                target.row if command == Command.ACT else None,
            )
        self.history.issue(command, target, clock)
        self.issued.append(Issued(clock, command, target, tensor))
        closed: list[int] = []
        if command == Command.PREab:
            closed = [bank for bank, other in enumerate(self.banks) if other.rank == target.rank]
        elif command in CLOSING_BANK:
            closed = [flat_bank(self.standard.organization, target)]
        elif command == Command.ACT:
            if not self._has_open_bank(target.rank) and clock >= self.closed_at[target.rank]:
                active = self.closed_at[target.rank] - self.active_since[target.rank]
                self.active_cycles[target.rank] += active
                self.active_since[target.rank] = clock
            self.open_row[flat_bank(self.standard.organization, target)] = target.row
            self.opened_at[flat_bank(self.standard.organization, target)] = clock
        elif command in (Command.RD, Command.WR):
            self.columns_served[flat_bank(self.standard.organization, target)] += 1
        for bank in closed:
            self._note_closing(bank, command, clock)
            self.open_row[bank] = None
            self.columns_served[bank] = 0
            self.precharge_injected[bank] = False
