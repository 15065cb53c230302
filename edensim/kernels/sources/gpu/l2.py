"""Model a sectored L2 cache that all multiprocessors share.

Its requests to memory are compact TRANSFER records, collected in one array: reads from its begin,
writes from its end backwards.

A line has 128 bytes in sectors of 32, and a miss fetches only the sectors that are needed. The
least recently used line leaves first; its dirty sectors are written back. A sector that is written
is not fetched before: stores carry byte masks, and no kernel reads what it has written in part
before it has written all of it.
"""

import numpy as np

from edensim.kernels.compile import jit, register
from edensim.vocabulary import TRANSFER

SECTOR_BITS = 256
SECTOR_BYTES = 32
LINE_BYTES = 128
#: Entries of the table of slots where lines were last found. Most accesses are to lines used
#: shortly before, and need no search.
HINTS = 1 << 15
#: A tag is (line + 1) << VALID_BITS | valid sectors, lowest bit first; 0: empty.
VALID_BITS = 4
READS, WRITES = 0, 1

register("TRANSFER", TRANSFER)

#: Lines that a cache can have: 32 MB.
MAX_LINES = 1 << 18

#: What must be written back of a line: its dirty sectors, lowest bit first, and their tensors.
GPU_LINE = np.dtype([("owner", np.int32, (4,)), ("dirty", np.int32)], align=True)

GPU_L2 = register(
    "GPU_L2",
    np.dtype(
        [
            ("sets", np.int64),
            ("ways", np.int64),
            ("clock", np.int64),
            ("last_sector", np.int64),  # of the warp's access so far: lanes in one sector ask once
            # Sectors.
            ("read", np.int64),
            ("missed", np.int64),
            ("written", np.int64),
            ("written_back", np.int64),
            # Transfers under construction, one of reads and one of writes: the run that grows, and
            # the transfer that equal runs at equal distances join.
            ("count", np.int64, (2,)),
            ("run_address", np.int64, (2,)),
            ("run_bytes", np.int64, (2,)),
            ("run_tensor", np.int64, (2,)),
            ("address", np.int64, (2,)),
            ("bytes", np.int64, (2,)),
            ("stride", np.int64, (2,)),
            ("runs", np.int64, (2,)),
            ("last", np.int64, (2,)),
            ("tensor", np.int64, (2,)),
            # By place in the cache: set after set.
            ("hints", np.int32, (HINTS,)),
            ("tags", np.int64, (MAX_LINES,)),
            ("used", np.int64, (MAX_LINES,)),
            ("lines", GPU_LINE, (MAX_LINES,)),
        ],
        align=True,
    ),
)


@jit
def push(l2, transfers, kind):
    """Write out the transfer under construction."""
    if l2["runs"][kind] == 0:
        return
    at = l2["count"][kind]
    f = transfers[at if kind == READS else transfers.shape[0] - 1 - at]
    f["address"] = l2["address"][kind]
    f["run_bytes"] = l2["bytes"][kind]
    f["stride_bytes"] = l2["stride"][kind]
    f["count"] = l2["runs"][kind]
    f["tensor"] = l2["tensor"][kind]
    f["ahead"] = 0
    l2["count"][kind] = at + 1
    l2["runs"][kind] = 0


@jit
def end_run(l2, transfers, kind):
    """Complete the run under construction: it joins the transfer before it, or begins another."""
    size = l2["run_bytes"][kind]
    if size == 0:
        return
    address = l2["run_address"][kind]
    runs = l2["runs"][kind]
    step = address - l2["last"][kind]
    if (
        runs > 0
        and l2["bytes"][kind] == size
        and l2["tensor"][kind] == l2["run_tensor"][kind]
        and step > 0
    ):
        if runs == 1 or step == l2["stride"][kind]:
            l2["stride"][kind] = step
            l2["runs"][kind] = runs + 1
            l2["last"][kind] = address
            l2["run_bytes"][kind] = 0
            return
    push(l2, transfers, kind)
    l2["address"][kind] = address
    l2["last"][kind] = address
    l2["bytes"][kind] = size
    l2["stride"][kind] = 0
    l2["runs"][kind] = 1
    l2["tensor"][kind] = l2["run_tensor"][kind]
    l2["run_bytes"][kind] = 0


@jit
def finish(l2, transfers, kind):
    """Complete what is under construction: the tile ends."""
    end_run(l2, transfers, kind)
    push(l2, transfers, kind)


@jit
def emit(l2, transfers, kind, address, size, tensor):
    """Move bytes between memory and the cache."""
    if (
        l2["run_bytes"][kind] > 0
        and address == l2["run_address"][kind] + l2["run_bytes"][kind]
        and tensor == l2["run_tensor"][kind]
    ):
        l2["run_bytes"][kind] += size
        return
    end_run(l2, transfers, kind)
    l2["run_address"][kind] = address
    l2["run_bytes"][kind] = size
    l2["run_tensor"][kind] = tensor


@jit
def first_slot(l2, line):
    """Return the first slot of a line's set.

    Neighbouring lines lie in neighbouring sets; lines at power-of-two distances are spread.
    """
    sets = l2["sets"]
    return (line + 37 * (line // sets)) % sets * l2["ways"]


@jit
def find(l2, line):
    """Return the slot of a line, -1 if it is absent."""
    slot = np.int64(l2["hints"][line & (HINTS - 1)])
    if l2["tags"][slot] >> VALID_BITS == line + 1:
        return slot
    base = first_slot(l2, line)
    for slot in range(base, base + l2["ways"]):
        if l2["tags"][slot] >> VALID_BITS == line + 1:
            l2["hints"][line & (HINTS - 1)] = slot
            return slot
    return np.int64(-1)


@jit
def write_back(l2, transfers, slot):
    """Send a line's dirty sectors to memory."""
    dirty = l2["lines"][slot]["dirty"]
    line = (l2["tags"][slot] >> VALID_BITS) - 1
    for sector in range(4):
        if dirty >> sector & 1:
            emit(
                l2,
                transfers,
                WRITES,
                line * LINE_BYTES + sector * SECTOR_BYTES,
                SECTOR_BYTES,
                l2["lines"][slot]["owner"][sector],
            )
            l2["written_back"] += 1
    l2["lines"][slot]["dirty"] = 0


@jit
def allocate(l2, transfers, line):
    """Make room for a line; return its slot."""
    base = first_slot(l2, line)
    victim = base
    for slot in range(base + 1, base + l2["ways"]):
        if l2["used"][slot] < l2["used"][victim]:
            victim = slot
    if l2["lines"][victim]["dirty"]:
        write_back(l2, transfers, victim)
    l2["tags"][victim] = (line + 1) << VALID_BITS
    l2["hints"][line & (HINTS - 1)] = victim
    return victim


@jit
def fetch_each(l2, transfers, line, missing, tensor):
    """Fetch some sectors of a line."""
    for sector in range(4):
        if missing >> sector & 1:
            emit(
                l2,
                transfers,
                READS,
                line * LINE_BYTES + sector * SECTOR_BYTES,
                SECTOR_BYTES,
                tensor,
            )
            l2["missed"] += 1


@jit
def read_sectors(l2, transfers, first, last, tensor):
    """Read sectors [first, last]."""
    l2["read"] += last - first + 1
    for line in range(first >> 2, (last >> 2) + 1):
        begin = max(first - (line << 2), 0)
        end = min(last - (line << 2), 3)
        mask = (2 << end) - (1 << begin)
        slot = find(l2, line)
        if slot < 0:
            slot = allocate(l2, transfers, line)
        missing = mask & ~l2["tags"][slot]
        if missing:
            l2["tags"][slot] |= mask
            if missing == mask:
                emit(
                    l2,
                    transfers,
                    READS,
                    line * LINE_BYTES + begin * SECTOR_BYTES,
                    (end - begin + 1) * SECTOR_BYTES,
                    tensor,
                )
                l2["missed"] += end - begin + 1
            else:
                fetch_each(l2, transfers, line, missing, tensor)
        l2["clock"] += 1
        l2["used"][slot] = l2["clock"]


@jit
def write_sectors(l2, transfers, first, last, tensor):
    """Write sectors [first, last]."""
    l2["written"] += last - first + 1
    for line in range(first >> 2, (last >> 2) + 1):
        begin = max(first - (line << 2), 0)
        end = min(last - (line << 2), 3)
        mask = (2 << end) - (1 << begin)
        slot = find(l2, line)
        if slot < 0:
            slot = allocate(l2, transfers, line)
        l2["tags"][slot] |= mask
        l2["lines"][slot]["dirty"] |= mask
        for sector in range(begin, end + 1):
            l2["lines"][slot]["owner"][sector] = tensor
        l2["clock"] += 1
        l2["used"][slot] = l2["clock"]


@jit
def begin_warp(l2):
    """Begin another warp instruction, to which the next loads or stores belong."""
    l2["last_sector"] = -1


@jit
def load(l2, transfers, address, first, count, bits, tensor):
    """Read elements [first, first + count) of the array at a byte address by lanes of a warp.

    The addresses of a warp do not fall.
    """
    begin = address * 8 + first * bits
    low = max(begin // SECTOR_BITS, l2["last_sector"] + 1)
    high = (begin + count * bits - 1) // SECTOR_BITS
    if low <= high:
        l2["last_sector"] = high
        read_sectors(l2, transfers, low, high, tensor)


@jit
def store(l2, transfers, address, first, count, bits, tensor):
    """Write elements [first, first + count) of the array at a byte address by lanes of a warp.

    The addresses of a warp do not fall.
    """
    begin = address * 8 + first * bits
    low = max(begin // SECTOR_BITS, l2["last_sector"] + 1)
    high = (begin + count * bits - 1) // SECTOR_BITS
    if low <= high:
        l2["last_sector"] = high
        write_sectors(l2, transfers, low, high, tensor)
