"""Walk over the demands of a systolic array, and count its DRAM traffic as SCALE-Sim 3.0 does.

One function counts the words read into a buffer, one the words drained from a buffer. The rules are
written down in `edensim.machines.systolic.scalesim`; golden counts of SCALE-Sim check them.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry, jit, register
from edensim.kernels.status import Status

#: Fields of the parameters of `reads`.
HEIGHT, WIDTH, HALF, PASSES, SKEW, RAGGED, READ_PARAMETERS = range(7)
#: Fields of the parameters of `writes`.
LINE_WORDS, TOTAL, DRAIN, FOLD_CYCLES, PREFIX, HIGH, WRITE_PARAMETERS = range(7)
# What `remember` returns instead of the place of a key.
NEW_KEY, TABLE_FULL = -1, -2

#: A write buffer: free words (SCALE-Sim counts padding as freed); words in the line being filled;
#: lines begun and lines sent; words sent, padding included if SCALE-Sim includes it; the cycle
#: until which lines are being sent; first and end of the gaps remembered.
WRITE_BUFFER = register(
    "WRITE_BUFFER",
    np.dtype(
        [
            (name, np.int64)
            for name in (
                "free",
                "partial",
                "lines",
                "drained",
                "sent",
                "until",
                "gap_first",
                "gap_end",
            )
        ],
        align=True,
    ),
)


@jit
def remember(seen, key, flushes, turn):
    """Find a key (>= 0) in a table of (key + 1, flushes, turn), or add it.

    Returns the place of the key in the table, NEW_KEY if it was added, or TABLE_FULL.
    """
    size = seen.shape[0] // 3
    at = (key * 40503) % size
    for _ in range(size):
        entry_key = seen[3 * at]
        if entry_key == key + 1:
            return at
        if entry_key == 0:
            seen[3 * at] = key + 1
            seen[3 * at + 1] = flushes
            seen[3 * at + 2] = turn
            return NEW_KEY
        at = (at + 1) % size
    return TABLE_FULL


@entry("i8[:]", "i4[:]", "i4[:]", "i8[:]", "i4[:]", "i4[:]", "i8[:]", "i4[:]", "i8[:]", "i8[:]")
def reads(  # noqa: PLR0913 (a compiled entry takes every array by itself)
    stream, stream_row, stream_column, lane, lane_row, lane_column, blocks, stamps, seen, parameters
):
    """Count the words that enter a read buffer, which is emptied whenever HALF have entered.

    The word of stream index t and lane l lies at stream[t] + lane[l], in row
    stream_row[t] + lane_row[l], and in a column found likewise. If RAGGED, words outside
    HEIGHT x WIDTH do not exist. A block is requested step by step and lane after lane, where lane l
    is SKEW * l steps behind; all blocks are requested PASSES times. What follows an emptying
    depends only on the place in that order. When the same place comes again, whole turns between
    are therefore only counted.

    Each of `blocks` [blocks, 4] has its first and end lane, and its first and end stream index.
    `stamps` [words] and `seen` [entries, 3], the table of `remember`, are zeros.
    """
    half, passes = parameters[HALF], parameters[PASSES]
    skew, ragged = parameters[SKEW], parameters[RAGGED] != 0
    flushes, inside, turn, epoch = 0, 0, 0, 1
    looking = True
    while turn < passes:
        place, before = 0, flushes * half + inside
        for block in range(blocks.shape[0] // 4):
            first_lane, first_index = blocks[4 * block], blocks[4 * block + 2]
            lanes, length = blocks[4 * block + 1] - first_lane, blocks[4 * block + 3] - first_index
            for step in range(length + skew * (lanes - 1)):
                low = max(0, step - length + 1) if skew else 0
                high = min(lanes, step + 1) if skew else lanes
                for c in range(low, high):
                    t, at = first_index + step - skew * c, first_lane + c
                    row, column = stream_row[t] + lane_row[at], stream_column[t] + lane_column[at]
                    if ragged and (row >= parameters[HEIGHT] or column >= parameters[WIDTH]):
                        continue
                    word = stream[t] + lane[at]
                    if stamps[word] == epoch:
                        continue
                    stamps[word] = epoch
                    inside += 1
                    if inside < half:
                        continue
                    inside = 0
                    flushes += 1
                    epoch += 1
                    if not looking:
                        continue
                    known = remember(seen, place + (np.int64(step) * lanes + c), flushes, turn)
                    if known != NEW_KEY:
                        looking = False
                    if known >= 0:
                        period = turn - seen[3 * known + 2]
                        repeats = (passes - 1 - turn) // period if period > 0 else 0
                        flushes += repeats * (flushes - seen[3 * known + 1])
                        turn += repeats * period
            place += (length + skew * lanes) * lanes
        if flushes * half + inside == before:
            break
        turn += 1
    return flushes * half + inside


@jit
def drain(state, parameters, gaps, clock):
    """Send the oldest lines to memory, one a cycle; return a status.

    SCALE-Sim subtracts the gaps of the last of these lines only.
    """
    words = parameters[LINE_WORDS]
    status = finish_line(state, gaps, words)
    lines = min(-(-parameters[DRAIN] // words), state["lines"] - state["drained"])
    last = state["drained"] + lines - 1
    sent = lines * words
    size = gaps.shape[0] // 2
    while state["gap_first"] < state["gap_end"] and gaps[2 * (state["gap_first"] % size)] <= last:
        if gaps[2 * (state["gap_first"] % size)] == last:
            sent -= gaps[2 * (state["gap_first"] % size) + 1]
        state["gap_first"] += 1
    state["drained"] += lines
    state["sent"] += sent
    state["free"] += sent
    state["until"] = clock + lines - 1
    return status


@jit
def finish_line(state, gaps, words):
    """Pad a partial line to a whole one; return a status."""
    if state["partial"] == 0:
        return Status.DONE
    size = gaps.shape[0] // 2
    if state["gap_end"] - state["gap_first"] == size:
        return Status.OUTPUT_FULL
    at = state["gap_end"] % size
    gaps[2 * at], gaps[2 * at + 1] = state["lines"], words - state["partial"]
    state["gap_end"] += 1
    state["lines"] += 1
    state["partial"] = 0
    return Status.DONE


@jit
def add_words(state, words, count):
    """Let words enter the buffer, line after line."""
    state["free"] -= count
    partial = state["partial"] + count
    state["lines"] += partial // words
    state["partial"] = partial % words


@entry("WRITE_BUFFER[:]", "i8[:]", "i8[:]", "i8[:]")
def writes(states, folds, gaps, parameters):
    """Count the words that leave a write buffer of TOTAL words, in states[0].

    A fold lasts FOLD_CYCLES. From PREFIX on, column c of step s writes one word if
    LOW <= s - c < HIGH. Whenever less than the active part of the buffer is free and no lines are
    being sent, DRAIN words, in whole lines, begin to be sent. The array never waits: while n lines
    are sent, at most n - 1 lines enter, and there was room for n.

    Parameters
    ----------
    states : [1] WRITE_BUFFER
    folds : [folds, 2], flat
        Columns in use, and LOW, of each fold.
    gaps : [gaps, 2], flat
        Room for the lines with gaps that wait.
    parameters : [WRITE_PARAMETERS]

    Returns
    -------
    Status
        DONE, or OUTPUT_FULL if more lines with gaps wait than `gaps` has room for.
    """
    state = states[0]
    words, high = parameters[LINE_WORDS], parameters[HIGH]
    active = parameters[TOTAL] - parameters[DRAIN]
    for fold in range(folds.shape[0] // 2):
        columns, low = folds[2 * fold], folds[2 * fold + 1]
        begin = fold * parameters[FOLD_CYCLES] + parameters[PREFIX]
        if state["free"] - columns * (high - low) >= active:
            add_words(state, words, columns * (high - low))
            continue
        for step in range(low, high + columns - 1):
            count = min(columns - 1, step - low) - max(0, step - high + 1) + 1
            clock = begin + step
            if state["free"] - count >= active or clock < state["until"]:
                add_words(state, words, count)
                continue
            for _ in range(count):
                add_words(state, words, 1)
                if (
                    clock >= state["until"]
                    and state["free"] < active
                    and drain(state, parameters, gaps, clock) == Status.OUTPUT_FULL
                ):
                    return Status.OUTPUT_FULL
    if finish_line(state, gaps, words) == Status.OUTPUT_FULL:
        return Status.OUTPUT_FULL
    while state["drained"] < state["lines"]:
        drain(state, parameters, gaps, 0)
    return Status.DONE
