"""Byte addresses to places in DRAM: fields are gathered from slices of the address, then some are XORed with column bits."""

from __future__ import annotations

import numpy as np

from edensim.core.jit import entry, jit, register
from edensim.core.state import PLACED  # noqa: F401  (registers the dtype)

MAX_SLICES = 64
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
        ],
        align=True,
    ),
)


@jit
def field(m, which, address):
    """One field of an address, before XOR."""
    value = 0
    for i in range(m["start"][which], m["stop"][which]):
        value |= ((address >> m["address_bit"][i]) & m["mask"][i]) << m["field_bit"][i]
    return value


@jit
def place_address(m, address, out):
    """Fill line, row, column, bank (flat) and channel of one placed request."""
    column = field(m, COLUMN, address)
    channel = field(m, CHANNEL, address) ^ ((column >> m["xor_bit"][CHANNEL]) & m["xor_mask"][CHANNEL])
    rank = field(m, RANK, address) ^ ((column >> m["xor_bit"][RANK]) & m["xor_mask"][RANK])
    group = field(m, BANKGROUP, address) ^ ((column >> m["xor_bit"][BANKGROUP]) & m["xor_mask"][BANKGROUP])
    bank = field(m, BANK, address) ^ ((column >> m["xor_bit"][BANK]) & m["xor_mask"][BANK])
    out["line"] = address >> m["offset_bits"]
    out["row"] = field(m, ROW, address) ^ ((column >> m["xor_bit"][ROW]) & m["xor_mask"][ROW])
    out["column"] = column
    out["channel"] = channel
    out["bank"] = (rank * m["groups_per_rank"] + group) * m["banks_per_group"] + bank


@entry("REQUEST[:]", "MAPPING[:]", "PLACED[:]")
def place(requests, mappings, placed):
    """Place a chunk of requests; returns -1, or the index of the first address beyond the capacity."""
    m = mappings[0]
    for i in range(requests.shape[0]):
        r = requests[i]
        if r["address"] < 0 or r["address"] >= m["capacity"]:
            return i
        p = placed[i]
        place_address(m, r["address"], p)
        p["clock"] = r["clock"]
        p["tensor"] = r["tensor"]
        p["is_write"] = r["is_write"]
    return -1
