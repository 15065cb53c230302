"""Byte addresses to places in DRAM: fields are gathered from slices of the address, then some are XORed with column bits."""

from __future__ import annotations

import numpy as np

from edensim.kernels.compile import entry, jit, register
from edensim.kernels.controller.state import PLACED  # noqa: F401  (registers the dtype)

MAX_SLICES = 64
BATCH = 256  # addresses gathered field by field, which the compiler vectorizes
#: Fields in the order of the records.
FIELDS = ("channel", "rank", "bankgroup", "bank", "row", "column")
CHANNEL, RANK, BANKGROUP, BANK, ROW, COLUMN = range(6)

#: Slices in order of field: value |= ((address >> address_bit) & mask) << field_bit; then fields in `xors` are XORed with a slice of the column.
MAPPING = register(
    "MAPPING",
    np.dtype(
        [
            ("offset_bits", np.int64),
            ("capacity", np.int64),
            ("groups_per_rank", np.int64),
            ("banks_per_group", np.int64),
            ("start", np.int64, (6,)),
            ("stop", np.int64, (6,)),
            ("address_bit", np.int64, (MAX_SLICES,)),
            ("mask", np.int64, (MAX_SLICES,)),
            ("field_bit", np.int64, (MAX_SLICES,)),
            ("xor_bit", np.int64, (6,)),
            ("xor_mask", np.int64, (6,)),
            (
                "ways",
                np.int64,
            ),  # blocks of 2 ** way_bits bytes go to so many groups of channels in turn
            ("way_bits", np.int64),
            # Scratch of one batch: addresses, then the value of each field.
            ("address", np.int64, (BATCH,)),
            ("value", np.int64, (6, BATCH)),
            ("way", np.int64, (BATCH,)),
        ],
        align=True,
    ),
)


@jit
def gather(m, count):
    """Fields of the `count` addresses in the scratch."""
    ways = m["ways"]
    bits = m["way_bits"]
    if ways > 1:
        for i in range(count):
            address = m["address"][i]
            block = address >> bits
            m["way"][i] = block % ways
            m["address"][i] = ((block // ways) << bits) | (address & ((1 << bits) - 1))
    for which in range(6):
        for i in range(count):
            m["value"][which, i] = 0
        for part in range(m["start"][which], m["stop"][which]):
            bit = m["address_bit"][part]
            mask = m["mask"][part]
            field_bit = m["field_bit"][part]
            for i in range(count):
                m["value"][which, i] |= ((m["address"][i] >> bit) & mask) << field_bit
    for which in range(COLUMN):
        if m["xor_mask"][which]:
            bit = m["xor_bit"][which]
            mask = m["xor_mask"][which]
            for i in range(count):
                m["value"][which, i] ^= (m["value"][COLUMN, i] >> bit) & mask
    if ways > 1:
        for i in range(count):
            m["value"][CHANNEL, i] = m["value"][CHANNEL, i] * ways + m["way"][i]
            address = m["address"][i]
            m["address"][i] = (((address >> bits) * ways + m["way"][i]) << bits) | (
                address & ((1 << bits) - 1)
            )


@jit
def flat_bank(m, i):
    """Bank within the channel of the scratch's address i."""
    return (m["value"][RANK, i] * m["groups_per_rank"] + m["value"][BANKGROUP, i]) * m[
        "banks_per_group"
    ] + m["value"][BANK, i]


@entry("REQUEST[:]", "MAPPING[:]", "PLACED[:]")
def place(requests, mappings, placed):
    """Place a chunk of requests; returns -1, or the index of the first address beyond the capacity."""
    m = mappings[0]
    first = 0
    while first < requests.shape[0]:
        count = min(BATCH, requests.shape[0] - first)
        for i in range(count):
            address = requests[first + i]["address"]
            if address < 0 or address >= m["capacity"]:
                return first + i
            m["address"][i] = address
        gather(m, count)
        for i in range(count):
            r = requests[first + i]
            p = placed[first + i]
            p["line"] = r["address"] >> m["offset_bits"]
            p["clock"] = r["clock"]
            p["row"] = m["value"][ROW, i]
            p["column"] = m["value"][COLUMN, i]
            p["tensor"] = r["tensor"]
            p["bank"] = flat_bank(m, i)
            p["channel"] = m["value"][CHANNEL, i]
            p["is_write"] = r["is_write"]
        first += count
    return -1
