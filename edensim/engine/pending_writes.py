"""Writes that a schedule leaves behind.

All its tiles are computed, but the memory has not yet taken all that they write. The next schedule
begins with these writes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edensim.engine.records import Records
from edensim.kernels.codes import WRITE
from edensim.vocabulary import TILE, TRANSFER


def pending_writes(
    record: Records, tiles: Records, transfers: Records, offset_bits: int
) -> Records:
    """Return the writes that are not accepted yet, in order, as [n] TRANSFER.

    `record` is the [1] TILER that ran the schedule until all its tiles were computed.
    """
    first, count, at, transfer, run, line, last_line = (
        int(record[0][name][WRITE])
        for name in ("first", "count", "tile", "transfer", "run", "line", "last_line")
    )
    placed = record[0]["placed"][WRITE][first : first + count]
    left = [_single_lines(placed["line"], placed["tensor"], offset_bits)]
    for tile in tiles[at:]:
        begin = int(tile["first_transfer"]) + int(tile["reads"])
        left.append(transfers[begin + transfer : begin + int(tile["writes"])])
        transfer = 0
    listed = np.concatenate(left[1:]) if len(left) > 1 else transfers[:0]
    if len(listed):  # the first of them may be under way
        lines = _lines_left(listed[0], run, line, last_line, offset_bits)
        left = [
            left[0],
            _single_lines(lines, np.full(len(lines), listed[0]["tensor"], np.int32), offset_bits),
            listed[1:],
        ]
    return np.concatenate(left)


def after_pending(pending: Records, tiles: Records, transfers: Records) -> tuple[Records, Records]:
    """Put a tile before a schedule that makes the pending writes and computes nothing."""
    if not len(pending):
        return tiles, transfers
    first = np.zeros(1, TILE)
    first["writes"], first["layer"] = len(pending), tiles[0]["layer"]
    moved = tiles.copy()
    moved["first_transfer"] += len(pending)
    return np.concatenate([first, moved]), np.concatenate([pending, transfers])


def _lines_left(
    transfer: np.void, run: int, line: int, last_line: int, offset_bits: int
) -> NDArray[np.int64]:
    """Return the lines of a transfer from a line of one of its runs on.

    Line -1 is the begin of the run. A line that repeats the line before it counts once.
    """
    lines: list[int] = []
    for number in range(run, int(transfer["count"])):
        start = int(transfer["address"]) + number * int(transfer["stride_bytes"])
        first, last = start >> offset_bits, (start + int(transfer["run_bytes"]) - 1) >> offset_bits
        begin = line if line >= 0 else first + (first == last_line)
        lines += range(begin, last + 1)
        line, last_line = -1, last
    return np.array(lines, np.int64)


def _single_lines(
    lines: NDArray[np.int64], tensors: NDArray[np.int32], offset_bits: int
) -> Records:
    """Return a transfer for each line."""
    result = np.zeros(len(lines), TRANSFER)
    result["address"], result["run_bytes"] = lines << offset_bits, 1 << offset_bits
    result["count"], result["tensor"] = 1, tensors
    return result
