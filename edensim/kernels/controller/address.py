"""Map byte addresses to places in DRAM.

Each field of a place is gathered from slices of the address; some fields are then XORed with bits
of the column.
"""

import numpy as np

from edensim.kernels.compile import entry, jit, register
from edensim.vocabulary import REQUEST

MAX_SLICES = 64
BATCH = 256  # addresses gathered field by field, which the compiler vectorizes
#: Fields in the order of the records.
FIELDS = ("channel", "rank", "bankgroup", "bank", "row", "column")
CHANNEL, RANK, BANKGROUP, BANK, ROW, COLUMN = range(6)

register("REQUEST", REQUEST)

#: A request with its place in DRAM.
PLACED = register(
    "PLACED",
    np.dtype(
        [
            ("line", np.int64),
            ("clock", np.int64),
            ("row", np.int32),
            ("column", np.int32),
            ("tensor", np.int32),
            ("bank", np.uint16),
            ("channel", np.uint16),
            ("is_write", np.uint32),
        ],
        align=True,
    ),
)

#: How addresses are mapped. A field has the slices start to stop, each of which gives
#: ((address >> address_bit) & mask) << field_bit.
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
            # Blocks of 2 ** way_bits bytes go to `ways` groups of channels in turn.
            ("ways", np.int64),
            ("way_bits", np.int64),
            # Scratch for one batch: addresses, and the value of each field.
            ("address", np.int64, (BATCH,)),
            ("value", np.int64, (6, BATCH)),
            ("way", np.int64, (BATCH,)),
            ("request", PLACED),  # scratch for one request
        ],
        align=True,
    ),
)


@jit
def gather(mapping, count):
    """Gather the fields of the first `count` addresses in the scratch."""
    ways = mapping["ways"]
    bits = mapping["way_bits"]
    if ways > 1:
        for i in range(count):
            address = mapping["address"][i]
            block = address >> bits
            mapping["way"][i] = block % ways
            mapping["address"][i] = ((block // ways) << bits) | (address & ((1 << bits) - 1))
    for which in range(6):
        for i in range(count):
            mapping["value"][which, i] = 0
        for part in range(mapping["start"][which], mapping["stop"][which]):
            bit = mapping["address_bit"][part]
            mask = mapping["mask"][part]
            field_bit = mapping["field_bit"][part]
            for i in range(count):
                mapping["value"][which, i] |= ((mapping["address"][i] >> bit) & mask) << field_bit
    for which in range(COLUMN):
        if mapping["xor_mask"][which]:
            bit = mapping["xor_bit"][which]
            mask = mapping["xor_mask"][which]
            for i in range(count):
                mapping["value"][which, i] ^= (mapping["value"][COLUMN, i] >> bit) & mask
    if ways > 1:
        for i in range(count):
            mapping["value"][CHANNEL, i] = mapping["value"][CHANNEL, i] * ways + mapping["way"][i]
            address = mapping["address"][i]
            block = (address >> bits) * ways + mapping["way"][i]
            mapping["address"][i] = (block << bits) | (address & ((1 << bits) - 1))


@jit(forceinline=True)
def fill_place(mapping, i, request):
    """Write the place of address i of the scratch into a PLACED record."""
    value = mapping["value"]
    group = value[RANK, i] * mapping["groups_per_rank"] + value[BANKGROUP, i]
    request["bank"] = group * mapping["banks_per_group"] + value[BANK, i]
    request["row"] = value[ROW, i]
    request["column"] = value[COLUMN, i]
    request["channel"] = value[CHANNEL, i]


@jit
def locate(mapping, address, request):
    """Write the line and the place of one address into a PLACED record."""
    mapping["address"][0] = address
    gather(mapping, 1)
    request["line"] = address >> mapping["offset_bits"]
    fill_place(mapping, 0, request)


@entry("REQUEST[:]", "MAPPING[:]", "PLACED[:]")
def place(requests, mappings, places):
    """Place a chunk of requests.

    Returns -1, or the index of the first address beyond the capacity.
    """
    mapping = mappings[0]
    first = 0
    while first < requests.shape[0]:
        count = min(BATCH, requests.shape[0] - first)
        for i in range(count):
            address = requests[first + i]["address"]
            if address < 0 or address >= mapping["capacity"]:
                return first + i
            mapping["address"][i] = address
        gather(mapping, count)
        for i in range(count):
            request = requests[first + i]
            result = places[first + i]
            result["line"] = request["address"] >> mapping["offset_bits"]
            result["clock"] = request["clock"]
            result["tensor"] = request["tensor"]
            result["is_write"] = request["is_write"]
            fill_place(mapping, i, result)
        first += count
    return -1
