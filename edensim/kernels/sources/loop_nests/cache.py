"""Three levels of cache: least recently used, write-back, write-allocate; neither inclusive nor exclusive.

A tag is line << 2 | ON_WAY | DIRTY; ways of a set are in order of use, the most recent first. A miss takes its place at once; what it displaces goes
down before the line comes up. ON_WAY marks lines that memory may still owe.
"""

from __future__ import annotations

from edensim.kernels.compile import jit

DIRTY, ON_WAY, ABSENT_TAG = 1, 2, -1


@jit(forceinline=True)
def look(tags, first, ways, line, dirty):
    """The tag's flags before it was touched, now most recent; -1 if the line is not there."""
    tag = tags[first]
    if tag >> 2 == line:
        tags[first] = tag | dirty
        return tag & 3
    for way in range(1, ways):
        tag = tags[first + way]
        if tag >> 2 == line:
            for i in range(first + way, first, -1):
                tags[i] = tags[i - 1]
            tags[first] = tag | dirty
            return tag & 3
    return -1


@jit(forceinline=True)
def place_tag(tags, first, ways, tag):
    """Make room for a tag and put it in as the most recent; returns the one that had to go."""
    victim = tags[first + ways - 1]
    for i in range(first + ways - 1, first, -1):
        tags[i] = tags[i - 1]
    tags[first] = tag
    return victim


@jit(forceinline=True)
def set1(h, core, line):
    return (core * h["sets1"] + (line & h["mask1"] if h["mask1"] else line % h["sets1"])) * h[
        "ways1"
    ]


@jit(forceinline=True)
def set2(h, core, line):
    return (
        h["start2"]
        + (core * h["sets2"] + (line & h["mask2"] if h["mask2"] else line % h["sets2"]))
        * h["ways2"]
    )


@jit(forceinline=True)
def set3(h, line):
    return h["start3"] + (line & h["mask3"] if h["mask3"] else line % h["sets3"]) * h["ways3"]


@jit
def write3(h, tags, line):
    """A written line comes down to the last level; returns the written line that it displaces, -1 if none."""
    first = set3(h, line)
    if look(tags, first, h["ways3"], line, DIRTY) >= 0:
        return -1
    victim = place_tag(tags, first, h["ways3"], line << 2 | DIRTY)
    return victim >> 2 if victim >= 0 and victim & DIRTY else -1


@jit
def write2(h, tags, core, line):
    """A written line comes down to the second level; returns a line to write to memory, -1 if none."""
    first = set2(h, core, line)
    if look(tags, first, h["ways2"], line, DIRTY) >= 0:
        return -1
    victim = place_tag(tags, first, h["ways2"], line << 2 | DIRTY)
    return write3(h, tags, victim >> 2) if victim >= 0 and victim & DIRTY else -1
