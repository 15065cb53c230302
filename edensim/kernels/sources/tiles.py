"""A tiled machine (accelerator, GPU) as the source, in closed loop: tile after tile is fetched, computed and written back.

Rules: reads are offered in order, tile after tile; those of tile n only when fewer than `depth` tiles are fetched or computed before it is done,
those behind a barrier (unless marked ahead) only when all earlier tiles are computed and their writes accepted. A tile computes when all its reads
are back and the tile before has computed; its writes are then offered, in order. Before each memory tick as many requests may be offered as there
are channels: reads while they are accepted, then writes. A channel whose write queue has become full gets no write until half of it is free again,
unless no read waits there (else a stream of writes would keep the channel writing). A line that repeats the line before it in the same transfer is
asked once.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry, jit, register
from edensim.kernels.controller.address import BATCH, COLUMN, ROW, flat_bank, gather
from edensim.kernels.controller.address import CHANNEL as CHANNEL_FIELD
from edensim.kernels.controller.queues import find_write
from edensim.kernels.controller.scheduler import accept
from edensim.kernels.controller.state import (
    COMMANDS_FULL,
    DEADLOCK,
    DONE,
    FOREVER,
    HALTED,
    PLACED,
    PRIORITY_OVERFLOW,
)
from edensim.kernels.sources.event_loop import is_drained, tick
from edensim.vocabulary import TILE, TRANSFER

MAX_DEPTH = 64
MAX_CHANNELS = 64
MARK = 7  # a layer's last tile has been computed
READS, WRITES = 0, 1

register("TILE", TILE)
register("TRANSFER", TRANSFER)

#: A machine between two calls. [2] is reads, writes.
TILER = register(
    "TILER",
    np.dtype(
        [
            ("depth", np.int64),
            ("outstanding_allowed", np.int64),
            ("offers", np.int64),  # requests per memory tick
            ("machine_step", np.int64),  # machine and memory clock cycles in one unit of time
            ("memory_step", np.int64),
            # Progress: tiles computed; whether the next is being computed, and until when (units of time); end of the one before.
            ("computed", np.int64),
            ("busy", np.int64),
            ("ends_at", np.int64),
            ("outstanding", np.int64),
            (
                "held",
                np.int64,
                (MAX_CHANNELS,),
            ),  # 1: its write queue was full, and has not been half empty since
            # Reads of a tile that are not back yet, by tile % MAX_DEPTH.
            ("remaining", np.int64, (MAX_DEPTH,)),
            ("ready_at", np.int64, (MAX_DEPTH,)),
            # Where the enumeration of lines stands: tile, transfer of the tile, run of the transfer, next line of the run (-1: at its begin).
            ("tile", np.int64, (2,)),
            ("transfer", np.int64, (2,)),
            ("run", np.int64, (2,)),
            ("line", np.int64, (2,)),
            ("last_line", np.int64, (2,)),
            # Lines enumerated and placed, in order, not accepted yet.
            ("first", np.int64, (2,)),
            ("count", np.int64, (2,)),
            ("placed", PLACED, (2, BATCH)),
            ("tile_of", np.int64, (2, BATCH)),
            ("ahead", np.int64, (2, BATCH)),
            ("reads", np.int64),  # requests accepted
            ("writes", np.int64),
        ],
        align=True,
    ),
)


@jit
def enumerate_lines(q, m, tiles, transfers, kind, until):
    """Fill the batch of a kind with the next lines of tiles before `until`, and place them."""
    count = 0
    at = q["tile"][kind]
    while count < BATCH and at < until:
        tile = tiles[at]
        transfer = q["transfer"][kind]
        if transfer >= (tile["reads"] if kind == READS else tile["writes"]):
            at += 1
            q["tile"][kind] = at
            q["transfer"][kind] = 0
            q["run"][kind] = 0
            q["line"][kind] = -1
            q["last_line"][kind] = -1
            continue
        f = transfers[tile["first_transfer"] + transfer + (tile["reads"] if kind == WRITES else 0)]
        start = f["address"] + q["run"][kind] * f["stride_bytes"]
        last = (start + f["run_bytes"] - 1) >> m["offset_bits"]
        line = q["line"][kind]
        if line < 0:
            line = start >> m["offset_bits"]
            if line == q["last_line"][kind]:
                line += 1
        while line <= last and count < BATCH:
            m["address"][count] = line << m["offset_bits"]
            p = q["placed"][kind, count]
            p["line"] = line
            p["tensor"] = f["tensor"]
            q["tile_of"][kind, count] = at
            q["ahead"][kind, count] = f["ahead"]
            count += 1
            line += 1
        q["line"][kind] = line
        if line > last:
            q["line"][kind] = -1
            q["last_line"][kind] = last
            q["run"][kind] += 1
            if q["run"][kind] >= f["count"]:
                q["run"][kind] = 0
                q["last_line"][kind] = -1
                q["transfer"][kind] += 1
    gather(m, count)
    for i in range(count):
        p = q["placed"][kind, i]
        p["row"] = m["value"][ROW, i]
        p["column"] = m["value"][COLUMN, i]
        p["bank"] = flat_bank(m, i)
        p["channel"] = m["value"][CHANNEL_FIELD, i]
        p["is_write"] = kind
    q["first"][kind] = 0
    q["count"][kind] = count


@jit
def writes_accepted(q):
    """Whether the writes of all computed tiles are with the controllers."""
    return q["count"][WRITES] == 0 and q["tile"][WRITES] >= q["computed"]


@jit
def may_fetch(q, tiles, at):
    """Whether the next read, at `at` in the batch, may be offered now."""
    tile = q["tile_of"][READS, at]
    if tile >= q["computed"] + q["depth"] or (
        q["outstanding_allowed"] > 0 and q["outstanding"] >= q["outstanding_allowed"]
    ):
        return False
    if tiles[tile]["barrier"] and q["ahead"][READS, at] == 0:
        return q["computed"] >= tile and writes_accepted(q)
    return True


@jit
def next_offer(q, m, t, tiles, transfers, channels, kind):
    """Place in the batch of the next request of a kind, if it would be accepted now, else -1."""
    if q["count"][kind] == 0:
        enumerate_lines(
            q, m, tiles, transfers, kind, tiles.shape[0] if kind == READS else q["computed"]
        )
        if q["count"][kind] == 0:
            return -1
    at = q["first"][kind]
    if kind == READS and not may_fetch(q, tiles, at):
        return -1
    p = q["placed"][kind, at]
    s = channels[p["channel"]]
    waiting = s["length"][kind]
    if kind == WRITES and q["held"][p["channel"]]:
        if 2 * waiting > t["queue_size"][WRITES]:
            if s["length"][READS] > 0:
                return -1
        else:
            q["held"][p["channel"]] = 0
    if waiting >= t["queue_size"][kind] and not find_write(s, p["bank"], p["line"]):
        return -1
    return at


@jit
def offer(q, m, t, tiles, transfers, channels, clock):
    """Offer what may be offered before memory tick `clock`; returns 0 if nothing was, 1 if nothing more would be accepted, else 2."""
    accepted = 0
    for kind in range(2):
        while accepted < q["offers"]:
            at = next_offer(q, m, t, tiles, transfers, channels, kind)
            if at < 0:
                break
            p = q["placed"][kind, at]
            s = channels[p["channel"]]
            slot = q["tile_of"][kind, at] % MAX_DEPTH
            if kind == READS:
                q["remaining"][slot] += 1
                q["outstanding"] += 1
                q["reads"] += 1
            else:
                q["writes"] += 1
            accept(
                s,
                t,
                kind,
                p["bank"],
                p["row"],
                p["column"],
                p["line"],
                clock - 1,
                slot,
                p["tensor"],
            )
            if s["planned"] == 0:
                s["due"] = min(s["due"], clock)
            if kind == WRITES and s["length"][WRITES] >= t["queue_size"][WRITES]:
                q["held"][p["channel"]] = 1
            q["first"][kind] = at + 1
            q["count"][kind] -= 1
            accepted += 1
    if accepted == 0:
        return 0
    for kind in range(2):
        if next_offer(q, m, t, tiles, transfers, channels, kind) >= 0:
            return 2
    return 1


@jit
def all_read(q, tile):
    """Whether every read of a tile has been accepted."""
    if q["count"][READS] > 0:
        return q["tile_of"][READS, q["first"][READS]] > tile
    return q["tile"][READS] > tile


@jit
def list_writes(q, m, tiles, transfers):
    """Have the next writes of computed tiles at hand, where there are any."""
    if q["count"][WRITES] == 0 and q["tile"][WRITES] < q["computed"]:
        enumerate_lines(q, m, tiles, transfers, WRITES, q["computed"])


@jit
def compute(q, m, tiles, transfers, done_at, stalls, clock):
    """Finish and start tiles up to memory tick `clock`; returns 1 where a layer's last tile has been computed."""
    while q["computed"] < tiles.shape[0]:
        tile = q["computed"]
        slot = tile % MAX_DEPTH
        if q["busy"]:
            if q["ends_at"] > clock * q["memory_step"]:
                return 0
            q["busy"] = 0
            done_at[tile] = -(-q["ends_at"] // q["memory_step"])
            q["ready_at"][slot] = 0
            q["computed"] = tile + 1
            list_writes(q, m, tiles, transfers)
            if tile + 1 == tiles.shape[0] or tiles[tile + 1]["layer"] != tiles[tile]["layer"]:
                return 1
            continue
        if not all_read(q, tile) or q["remaining"][slot] > 0:
            return 0
        if tiles[tile]["barrier"] and not writes_accepted(q):
            return 0
        started = max(q["ends_at"], q["ready_at"][slot] * q["memory_step"])
        stalls[tile] = (started - q["ends_at"]) // q["memory_step"]
        q["ends_at"] = started + tiles[tile]["compute_cycles"] * q["machine_step"]
        q["busy"] = 1
    return 0


@jit
def deliver(s, q, clock):
    """Take note of reads on their way back; returns the clock at which one of them makes room for another, FOREVER where nothing limits them.

    When a read comes back is known once it has been issued, and a tile's start needs no more than that.
    """
    kept = 0
    wake = FOREVER
    for i in range(s["returns"]):
        at = s["return_at"][i]
        slot = s["return_tag"][i]
        if slot >= 0:
            q["remaining"][slot] -= 1
            q["ready_at"][slot] = max(q["ready_at"][slot], at)
        if at <= clock or q["outstanding_allowed"] == 0:
            q["outstanding"] -= 1
            wake = min(wake, clock + 1)
        else:
            s["return_at"][kept] = at
            s["return_tag"][kept] = -1
            kept += 1
            wake = min(wake, at)
    s["returns"] = kept
    return wake


@entry(
    "CHANNEL[:]",
    "TIMING[:]",
    "LOOP[:]",
    "TILER[:]",
    "MAPPING[:]",
    "TILE[:]",
    "TRANSFER[:]",
    "i8[:]",
    "i8[:]",
    "COMMAND[:]",
    "i8[:]",
)
def run_tiles(
    channels,
    timing,
    loops,
    tilers,
    mappings,
    tiles,
    transfers,
    done_at,
    stalls,
    commands,
    exposures,
):
    """Run a schedule to its end. done_at, stalls: per tile, memory clock at which it was computed and clocks it waited for its data."""
    t = timing[0]
    loop = loops[0]
    q = tilers[0]
    m = mappings[0]
    clock = loop["tick"]
    while True:
        loop["tick"] = clock
        if loop["record"] and loop["recorded"] + channels.shape[0] > commands.shape[0]:
            return COMMANDS_FULL
        wake = FOREVER
        if q["count"][READS] == 0 and q["tile"][READS] < tiles.shape[0]:
            enumerate_lines(
                q, m, tiles, transfers, READS, tiles.shape[0]
            )  # tiles without reads are passed over
        list_writes(q, m, tiles, transfers)
        if compute(q, m, tiles, transfers, done_at, stalls, clock):
            return MARK
        loop["blocked"] = 1
        loop["limit"] = FOREVER
        offered = offer(q, m, t, tiles, transfers, channels, clock)
        if offered == 2:
            wake = clock + 1
            loop["blocked"] = 0
        elif q["busy"]:
            loop["limit"] = -(-q["ends_at"] // q["memory_step"])
        elif q["computed"] < tiles.shape[0] and q["remaining"][q["computed"] % MAX_DEPTH] == 0:
            loop["blocked"] = 0  # it starts at the next clock, if all of it is read
        halted = 0
        for c in range(channels.shape[0]):
            s = channels[c]
            if s["due"] <= clock:
                if tick(s, t, clock, loop, commands, exposures) > 0:
                    wake = loop["tick"] + 1
                clock = loop["tick"]  # a channel alone may have gone ahead
                if s["overflow"]:
                    return PRIORITY_OVERFLOW
            if s["returns"] > 0:
                wake = min(wake, deliver(s, q, clock))
            wake = min(wake, s["due"])
            halted += s["halted"]
        if halted == channels.shape[0]:
            loop["tick"] = clock + 1
            return HALTED
        if q["busy"]:
            wake = min(wake, -(-q["ends_at"] // q["memory_step"]))
        elif q["computed"] == tiles.shape[0]:
            if writes_accepted(q) and is_drained(channels):
                return DONE
        elif q["remaining"][q["computed"] % MAX_DEPTH] == 0 and all_read(q, q["computed"]):
            wake = clock + 1
        if wake >= FOREVER:
            return DEADLOCK
        clock = max(clock + 1, wake)
