"""Walks over the demands of a systolic array, as SCALE-Sim 3.0 counts its DRAM traffic: words read into a buffer, words drained from one.

Both are written from the rules in words (shared/reference/front-ends.md section 1, `edensim.machines.systolic.scalesim`), and checked against the peer.
"""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry, jit, register

#: Fields of the parameters of `reads`.
HEIGHT, WIDTH, HALF, PASSES, SKEW, RAGGED, READ_PARAMETERS = range(7)
#: Fields of the parameters of `writes`.
LINE_WORDS, TOTAL, DRAIN, FOLD_CYCLES, PREFIX, HIGH, WRITE_PARAMETERS = range(7)
#: Status of `writes`: more lines with gaps wait than there is room to remember.
FULL = -1

#: A write buffer: words free (the peer counts padding as freed); words in the line being filled; lines begun, and sent; words sent, padding
#: included where the peer does; cycle until which lines are being sent; gaps remembered: first and end.
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
    """Find a key (>= 0) in a table of (key + 1, flushes, turn) or add it. Returns the entry's place if it was there, -1 if added, -2 if full."""
    size = seen.shape[0] // 3
    at = (key * 40503) % size
    for _ in range(size):
        found = seen[3 * at]
        if found == key + 1:
            return at
        if found == 0:
            seen[3 * at] = key + 1
            seen[3 * at + 1] = flushes
            seen[3 * at + 2] = turn
            return -1
        at = (at + 1) % size
    return -2


@entry("i8[:]", "i4[:]", "i4[:]", "i8[:]", "i4[:]", "i4[:]", "i8[:]", "i4[:]", "i8[:]", "i8[:]")
def reads(
    stream, stream_row, stream_column, lane, lane_row, lane_column, blocks, stamps, seen, parameters
):
    """Words that enter a read buffer which is emptied whenever HALF of them have entered.

    The word of stream index t and lane l lies at stream[t] + lane[l], in row stream_row[t] + lane_row[l] and column likewise (RAGGED: it is not
    there outside HEIGHT x WIDTH). blocks: [4 each] first and end lane, first and end stream index; a block is asked for step by step, lane
    after lane, with lane l SKEW * l steps behind. All blocks, PASSES times. stamps: [words] zeros; seen: table for `remember`, zeros.
    What follows an emptying depends on nothing but its place: when the same place comes again, whole turns between are only counted.
    """
    height, width, half, passes = (
        parameters[HEIGHT],
        parameters[WIDTH],
        parameters[HALF],
        parameters[PASSES],
    )
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
                    if ragged and (
                        stream_row[t] + lane_row[at] >= height
                        or stream_column[t] + lane_column[at] >= width
                    ):
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
                    if known != -1:
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
    """Send the oldest lines to memory, one a cycle. The peer takes off the gaps of the last of them only. Returns 0, or FULL."""
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
    """A partial line is padded to a whole one. Returns 0, or FULL."""
    if state["partial"] == 0:
        return 0
    size = gaps.shape[0] // 2
    if state["gap_end"] - state["gap_first"] == size:
        return FULL
    at = state["gap_end"] % size
    gaps[2 * at], gaps[2 * at + 1] = state["lines"], words - state["partial"]
    state["gap_end"] += 1
    state["lines"] += 1
    state["partial"] = 0
    return 0


@jit
def add_words(state, words, count):
    """Words enter the buffer, line after line."""
    state["free"] -= count
    partial = state["partial"] + count
    state["lines"] += partial // words
    state["partial"] = partial % words


@entry("WRITE_BUFFER[:]", "i8[:]", "i8[:]", "i8[:]")
def writes(states, folds, gaps, parameters):
    """Words that leave a write buffer of TOTAL words, in states[0]. Returns 0, or FULL (gaps: [2 each] too small).

    folds: [2 each] columns in use, and LOW. A fold lasts FOLD_CYCLES; from PREFIX on, column c of step s writes one word if LOW <= s - c < HIGH.
    Whenever less than the active part is free and no lines are being sent, DRAIN words, in whole lines, begin to be. The array never waits: while
    n lines are sent, at most n - 1 lines enter, and there was room for n.
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
                    and drain(state, parameters, gaps, clock) == FULL
                ):
                    return FULL
    if finish_line(state, gaps, words) == FULL:
        return FULL
    while state["drained"] < state["lines"]:
        drain(state, parameters, gaps, 0)
    return 0
