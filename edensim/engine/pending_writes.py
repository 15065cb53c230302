"""Writes that a schedule leaves behind: all its tiles are computed, memory has not yet taken all they write. The next schedule begins with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edensim.engine.records import Records
from edensim.kernels.sources.tiles import WRITES
from edensim.vocabulary import TILE, TRANSFER


def writes_left(record: Records, tiles: Records, transfers: Records, offset_bits: int) -> Records:
    """[n] TRANSFER of the writes not accepted yet, in order; record: the [1] TILER that ran the schedule until all tiles were computed."""
    first, count, at, transfer, run, line, last_line = (
        int(record[0][name][WRITES])
        for name in ("first", "count", "tile", "transfer", "run", "line", "last_line")
    )
    placed = record[0]["placed"][WRITES][first : first + count]
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


def behind(owed: Records, tiles: Records, transfers: Records) -> tuple[Records, Records]:
    """Tiles and transfers with a tile before them that writes what is owed and computes nothing."""
    if not len(owed):
        return tiles, transfers
    first = np.zeros(1, TILE)
    first["writes"], first["layer"] = len(owed), tiles[0]["layer"]
    moved = tiles.copy()
    moved["first_transfer"] += len(owed)
    return np.concatenate([first, moved]), np.concatenate([owed, transfers])


def _lines_left(
    transfer: np.void, run: int, line: int, last_line: int, offset_bits: int
) -> NDArray[np.int64]:
    """Lines of a transfer from a line of one of its runs on (-1: from the run's begin); one that repeats the line before it counts once."""
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
    """A transfer for each line."""
    result = np.zeros(len(lines), TRANSFER)
    result["address"], result["run_bytes"] = lines << offset_bits, 1 << offset_bits
    result["count"], result["tensor"] = 1, tensors
    return result
