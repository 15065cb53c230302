"""A tiled machine (an accelerator or a GPU): tile after tile is fetched, computed, written back.

Reads are offered in order, tile after tile. Those of tile n are offered only when fewer than
`depth` tiles are fetched or computed before it is done; those behind a barrier (unless they are
marked as ahead) only when all earlier tiles are computed and their writes accepted. A tile computes
when all its reads are back and the tile before it has computed. Its writes are then offered, in
order.

Before each memory clock as many requests may be offered as there are channels: reads while they
are accepted, then writes. A channel whose write queue has become full gets no write until half of
it is free again, unless no read waits there; otherwise a stream of writes would keep the channel
writing. A line that repeats the line before it in the same transfer is requested once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edensim.kernels.codes import READ, WRITE
from edensim.kernels.compile import entry, jit, register
from edensim.kernels.controller.address import BATCH, PLACED, fill_place, gather
from edensim.kernels.controller.limits import FOREVER
from edensim.kernels.controller.memory import MEMORY, Memory, is_drained
from edensim.kernels.controller.scheduler import accept, is_refused
from edensim.kernels.sources.event_loop import event_loop
from edensim.kernels.status import Status
from edensim.vocabulary import TILE, TRANSFER

MAX_DEPTH = 64
MAX_CHANNELS = 64
COUNTED = -1  # tag of a read on its way back that the tile has counted already

register("TILE", TILE)
register("TRANSFER", TRANSFER)

#: A machine between two calls. An array of [2] is for [reads, writes].
TILER = register(
    "TILER",
    np.dtype(
        [
            ("depth", np.int64),
            ("outstanding_allowed", np.int64),
            ("offers", np.int64),  # requests per memory clock
            # Clock cycles of the machine and of the memory in one unit of time.
            ("machine_step", np.int64),
            ("memory_step", np.int64),
            # Tiles computed; whether the next one is being computed, and until when in units of
            # time. If none is, `ends_at` is the end of the tile before.
            ("computed", np.int64),
            ("busy", np.int64),
            ("ends_at", np.int64),
            ("outstanding", np.int64),
            # Channels whose write queue was full and has not been half empty since.
            ("throttled", np.int64, (MAX_CHANNELS,)),
            # Reads of a tile that are not back yet, and when the last one will be, by
            # tile % MAX_DEPTH.
            ("remaining", np.int64, (MAX_DEPTH,)),
            ("ready_at", np.int64, (MAX_DEPTH,)),
            # How far the enumeration of lines is: tile, transfer of the tile, run of the transfer,
            # next line of the run (-1 at its begin).
            ("tile", np.int64, (2,)),
            ("transfer", np.int64, (2,)),
            ("run", np.int64, (2,)),
            ("line", np.int64, (2,)),
            ("last_line", np.int64, (2,)),
            # Lines enumerated and placed, in order, that are not accepted yet.
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


class TileSource(NamedTuple):
    """The source: TILER, the tiles of a schedule and their transfers.

    `stalls` reports the memory clocks for which each tile waited for its data.
    """

    tiler: Any
    tiles: Any
    transfers: Any
    stalls: Any


@jit
def enumerate_lines(memory, source, kind, until):
    """Fill the batch of a kind with the next lines of tiles before `until`, and place them."""
    tiler, mapping = source.tiler, memory.mapping
    count = 0
    at = tiler["tile"][kind]
    while count < BATCH and at < until:
        tile = source.tiles[at]
        transfer_index = tiler["transfer"][kind]
        if transfer_index >= (tile["reads"] if kind == READ else tile["writes"]):
            at += 1
            tiler["tile"][kind] = at
            tiler["transfer"][kind] = 0
            tiler["run"][kind] = 0
            tiler["line"][kind] = -1
            tiler["last_line"][kind] = -1
            continue
        first_transfer = tile["first_transfer"] + (tile["reads"] if kind == WRITE else 0)
        transfer = source.transfers[first_transfer + transfer_index]
        start = transfer["address"] + tiler["run"][kind] * transfer["stride_bytes"]
        last = (start + transfer["run_bytes"] - 1) >> mapping["offset_bits"]
        line = tiler["line"][kind]
        if line < 0:
            line = start >> mapping["offset_bits"]
            if line == tiler["last_line"][kind]:
                line += 1
        while line <= last and count < BATCH:
            mapping["address"][count] = line << mapping["offset_bits"]
            request = tiler["placed"][kind, count]
            request["line"] = line
            request["tensor"] = transfer["tensor"]
            tiler["tile_of"][kind, count] = at
            tiler["ahead"][kind, count] = transfer["ahead"]
            count += 1
            line += 1
        tiler["line"][kind] = line
        if line > last:
            tiler["line"][kind] = -1
            tiler["last_line"][kind] = last
            tiler["run"][kind] += 1
            if tiler["run"][kind] >= transfer["count"]:
                tiler["run"][kind] = 0
                tiler["last_line"][kind] = -1
                tiler["transfer"][kind] += 1
    gather(mapping, count)
    for i in range(count):
        fill_place(mapping, i, tiler["placed"][kind, i])
    tiler["first"][kind] = 0
    tiler["count"][kind] = count


@jit
def are_writes_accepted(tiler):
    """Return whether the writes of all computed tiles are with the controllers."""
    return tiler["count"][WRITE] == 0 and tiler["tile"][WRITE] >= tiler["computed"]


@jit
def may_fetch(source, at):
    """Return whether the next read, at `at` in the batch, may be offered now."""
    tiler = source.tiler
    tile = tiler["tile_of"][READ, at]
    allowed = tiler["outstanding_allowed"]
    if tile >= tiler["computed"] + tiler["depth"] or (
        allowed > 0 and tiler["outstanding"] >= allowed
    ):
        return False
    if source.tiles[tile]["barrier"] and tiler["ahead"][READ, at] == 0:
        return tiler["computed"] >= tile and are_writes_accepted(tiler)
    return True


@jit
def is_throttled(memory, source, channel_index):
    """Return whether a channel gets no writes, because its write queue was full."""
    tiler = source.tiler
    if tiler["throttled"][channel_index] == 0:
        return False
    channel = memory.channels[channel_index]
    if 2 * channel["length"][WRITE] > memory.timing["queue_size"][WRITE]:
        return channel["length"][READ] > 0
    tiler["throttled"][channel_index] = 0
    return False


@jit
def next_offer(memory, source, kind):
    """Return the index in the batch of a kind's next request, -1 if it would not be accepted."""
    tiler = source.tiler
    if tiler["count"][kind] == 0:
        until = source.tiles.shape[0] if kind == READ else tiler["computed"]
        enumerate_lines(memory, source, kind, until)
        if tiler["count"][kind] == 0:
            return -1
    at = tiler["first"][kind]
    if kind == READ and not may_fetch(source, at):
        return -1
    request = tiler["placed"][kind, at]
    if kind == WRITE and is_throttled(memory, source, request["channel"]):
        return -1
    channel = memory.channels[request["channel"]]
    return -1 if is_refused(channel, memory.timing, request, kind) else at


@jit
def offer(memory, source):
    """Offer what may be offered before this clock; return whether more would be accepted."""
    tiler, timing = source.tiler, memory.timing
    accepted = 0
    for kind in range(2):
        while accepted < tiler["offers"]:
            at = next_offer(memory, source, kind)
            if at < 0:
                break
            request = tiler["placed"][kind, at]
            channel = memory.channels[request["channel"]]
            tag = tiler["tile_of"][kind, at] % MAX_DEPTH
            if kind == READ:
                tiler["remaining"][tag] += 1
                tiler["outstanding"] += 1
                tiler["reads"] += 1
            else:
                tiler["writes"] += 1
            accept(channel, timing, request, kind, memory.loop["clock"] - 1, tag)
            if kind == WRITE and channel["length"][WRITE] >= timing["queue_size"][WRITE]:
                tiler["throttled"][request["channel"]] = 1
            tiler["first"][kind] = at + 1
            tiler["count"][kind] -= 1
            accepted += 1
    return accepted > 0 and (
        next_offer(memory, source, READ) >= 0 or next_offer(memory, source, WRITE) >= 0
    )


@jit
def is_all_read(tiler, tile):
    """Return whether every read of a tile has been accepted."""
    if tiler["count"][READ] > 0:
        return tiler["tile_of"][READ, tiler["first"][READ]] > tile
    return tiler["tile"][READ] > tile


@jit
def list_writes(memory, source):
    """Enumerate the next writes of computed tiles, if there are any."""
    tiler = source.tiler
    if tiler["count"][WRITE] == 0 and tiler["tile"][WRITE] < tiler["computed"]:
        enumerate_lines(memory, source, WRITE, tiler["computed"])


@jit
def compute(memory, source):
    """Finish and start tiles up to this clock; return whether a layer's last tile is computed."""
    tiler, tiles = source.tiler, source.tiles
    step = tiler["memory_step"]
    while tiler["computed"] < tiles.shape[0]:
        tile = tiler["computed"]
        slot = tile % MAX_DEPTH
        if tiler["busy"]:
            if tiler["ends_at"] > memory.loop["clock"] * step:
                return False
            tiler["busy"] = 0
            tiler["ready_at"][slot] = 0
            tiler["computed"] = tile + 1
            list_writes(memory, source)
            if tile + 1 == tiles.shape[0] or tiles[tile + 1]["layer"] != tiles[tile]["layer"]:
                return True
            continue
        if not is_all_read(tiler, tile) or tiler["remaining"][slot] > 0:
            return False
        if tiles[tile]["barrier"] and not are_writes_accepted(tiler):
            return False
        started = max(tiler["ends_at"], tiler["ready_at"][slot] * step)
        source.stalls[tile] = (started - tiler["ends_at"]) // step
        tiler["ends_at"] = started + tiles[tile]["compute_cycles"] * tiler["machine_step"]
        tiler["busy"] = 1
    return False


@jit
def give(memory, source):
    """Compute what can be computed by this clock, and offer reads and writes."""
    tiler, loop = source.tiler, memory.loop
    tiles = source.tiles.shape[0]
    if tiler["count"][READ] == 0 and tiler["tile"][READ] < tiles:
        enumerate_lines(memory, source, READ, tiles)  # tiles without reads are passed over
    list_writes(memory, source)
    if compute(memory, source):
        return Status.LAYER_DONE, FOREVER
    loop["blocked"] = 1
    loop["limit"] = FOREVER
    if offer(memory, source):
        loop["blocked"] = 0
        return Status.RUNNING, loop["clock"] + 1
    if tiler["busy"]:
        loop["limit"] = -(-tiler["ends_at"] // tiler["memory_step"])
    elif tiler["computed"] < tiles and tiler["remaining"][tiler["computed"] % MAX_DEPTH] == 0:
        loop["blocked"] = 0  # the tile starts at the next clock, if all of it is read
    return Status.RUNNING, FOREVER


@jit
def take(memory, source, freed, wake):
    """Take note of places that became free, and of reads on their way back.

    When a read comes back is known once it has been issued, and the start of a tile needs no more
    than that. If the number of outstanding reads is limited, a read makes room for another when it
    is back.
    """
    if freed > 0:
        wake = min(wake, memory.loop["clock"] + 1)
    for c in range(memory.channels.shape[0]):
        channel = memory.channels[c]
        if channel["return_count"] > 0:
            wake = min(wake, count_returns(channel, source.tiler, memory.loop["clock"]))
    return wake


@jit
def count_returns(channel, tiler, clock):
    """Count the reads that a channel returns; return the clock at which one makes room."""
    left = 0
    wake = FOREVER
    for i in range(channel["return_count"]):
        at = channel["return_at"][i]
        tag = channel["return_tag"][i]
        if tag != COUNTED:
            tiler["remaining"][tag] -= 1
            tiler["ready_at"][tag] = max(tiler["ready_at"][tag], at)
        if at <= clock or tiler["outstanding_allowed"] == 0:
            tiler["outstanding"] -= 1
            wake = min(wake, clock + 1)
        else:
            channel["return_at"][left] = at
            channel["return_tag"][left] = COUNTED
            left += 1
            wake = min(wake, at)
    channel["return_count"] = left
    return wake


@jit
def go_on(memory, source, wake):
    """Wake up when a tile can start or ends; stop when all is computed and written."""
    tiler = source.tiler
    tile = tiler["computed"]
    if tiler["busy"]:
        wake = min(wake, -(-tiler["ends_at"] // tiler["memory_step"]))
    elif tile == source.tiles.shape[0]:
        if are_writes_accepted(tiler) and is_drained(memory.channels):
            return Status.DONE, wake
    elif tiler["remaining"][tile % MAX_DEPTH] == 0 and is_all_read(tiler, tile):
        wake = min(wake, memory.loop["clock"] + 1)
    return Status.RUNNING, wake


run = event_loop(give, take, go_on)


@entry(*MEMORY, "TILER[:]", "TILE[:]", "TRANSFER[:]", "i8[:]")
def run_tiles(  # noqa: PLR0913 (a compiled entry takes every array by itself)
    channels,
    timings,
    loops,
    mappings,
    commands,
    exposures,
    tilers,
    tiles,
    transfers,
    stalls,
):
    """Run a schedule until a layer is done or the memory is drained."""
    memory = Memory(channels, timings[0], loops[0], mappings[0], commands, exposures)
    return run(memory, TileSource(tilers[0], tiles, transfers, stalls))
