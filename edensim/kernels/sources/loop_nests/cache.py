"""The tags of three cache levels: least recently used, write-back, write-allocate.

The levels are neither inclusive nor exclusive. A tag is line << 2 | ON_WAY | DIRTY, and the ways of
a set are in order of use, the most recent first. A missing line takes its place at once; what it
displaces goes down before the line comes up. ON_WAY marks lines that memory may not have delivered
yet.
"""

from edensim.kernels.compile import jit

L1, L2, L3 = range(3)
DIRTY, ON_WAY, ABSENT_TAG = 1, 2, -1
FLAGS = DIRTY | ON_WAY


@jit(forceinline=True)
def first_tag(machine, level, copy, line):
    """Return the index of the first tag of a line's set, in a core's copy of a level."""
    sets = machine["sets"][level]
    mask = machine["mask"][level]
    index = copy * sets + (line & mask if mask else line % sets)
    return machine["start"][level] + index * machine["ways"][level]


@jit(forceinline=True)
def look_up(tags, first, ways, line, dirty):
    """Touch a line; return its flags from before, -1 if it is not there."""
    tag = tags[first]
    if tag >> 2 == line:
        tags[first] = tag | dirty
        return tag & FLAGS
    for way in range(1, ways):
        tag = tags[first + way]
        if tag >> 2 == line:
            for i in range(first + way, first, -1):
                tags[i] = tags[i - 1]
            tags[first] = tag | dirty
            return tag & FLAGS
    return -1


@jit(forceinline=True)
def insert_tag(tags, first, ways, tag):
    """Insert a tag as the most recent one; return the tag that it displaces."""
    victim = tags[first + ways - 1]
    for i in range(first + ways - 1, first, -1):
        tags[i] = tags[i - 1]
    tags[first] = tag
    return victim


@jit
def is_dirty(tag):
    """Return whether a displaced tag is of a line that has to be written down."""
    return tag >= 0 and tag & DIRTY != 0


@jit
def write_to_l3(machine, tags, line):
    """Write a line to the last level; return the written line that it displaces, -1 if none."""
    first = first_tag(machine, L3, 0, line)
    ways = machine["ways"][L3]
    if look_up(tags, first, ways, line, DIRTY) >= 0:
        return -1
    victim = insert_tag(tags, first, ways, line << 2 | DIRTY)
    return victim >> 2 if is_dirty(victim) else -1


@jit
def write_to_l2(machine, tags, copy, line):
    """Write a line to the second level; return a line to write to memory, -1 if none."""
    first = first_tag(machine, L2, copy, line)
    ways = machine["ways"][L2]
    if look_up(tags, first, ways, line, DIRTY) >= 0:
        return -1
    victim = insert_tag(tags, first, ways, line << 2 | DIRTY)
    return write_to_l3(machine, tags, victim >> 2) if is_dirty(victim) else -1
