"""Sizes of the fixed arrays in the controller's records, and numbers that stand for "never".

Shapes are fixed so that one compilation serves every standard. Entries that a standard does not use
are never touched.
"""

from edensim.vocabulary import COMMANDS

MAX_RANKS = 16
MAX_GROUPS = 64  # bank groups of a channel, over all ranks
MAX_BANKS = 256  # banks of a channel, over all ranks
MAX_SLOTS = 1280  # read queue + write queue + active requests
MAX_RULES = 256
MAX_WINDOWS = 8
MAX_HISTORY = 64  # longest window
MAX_CLASSES = 16  # timing classes: partitions that have their own tRCD
MAX_RANGES = 1024  # ranges of rows with an operating point of their own, in a channel
MAX_CELLS = MAX_BANKS + MAX_RANGES  # commands are counted for banks, then for ranges of rows
MAX_MAINTENANCE = 1568  # refreshes and precharges that may wait
LATENCY_BINS = 8192
EXPOSURE_BINS = 256  # ACT-to-read intervals in cycles; the last bin holds all longer ones
#: Counters of a tensor at an operating point.
TENSOR_READS, TENSOR_WRITES, TENSOR_ACTIVATIONS, TENSOR_COUNTERS = range(4)
WRITE_FILTER = 1024  # counters of the filter in front of a search of the write queue

LAST_CLOCK = 1 << 59  # the last clock of any run
FOREVER = 1 << 62  # a clock that no run reaches
NEVER = 1 << 60  # a number of clocks that no run reaches, and that can be added to a clock

#: Levels below the channel. The engine has turned channel rules into rules between ranks.
RANK, GROUP, BANK = range(3)
#: The ready clocks of all nodes lie in one array: ranks, bank groups, banks, COMMANDS of each.
RANK_BASE = 0
BASES = (RANK_BASE, MAX_RANKS * COMMANDS, (MAX_RANKS + MAX_GROUPS) * COMMANDS)
NODES = MAX_RANKS + MAX_GROUPS + MAX_BANKS
