"""Members of the vocabulary as plain integers, which compiled code can use as indices."""

from __future__ import annotations

from edensim.vocabulary import Command, Refresh, RowPolicy, RowState, Scheduler

ACT = int(Command.ACT)
PREPB = int(Command.PREpb)
PREAB = int(Command.PREab)
RD = int(Command.RD)
WR = int(Command.WR)
RDA = int(Command.RDA)
WRA = int(Command.WRA)
REFAB = int(Command.REFab)
REFPB = int(Command.REFpb)
HALT = len(Command)  # not a command: the rank stays closed until the operating point has changed
CLOSED_PAGE = int(RowPolicy.CLOSED)
CAPPED_PAGE = int(RowPolicy.CAPPED)
FR_FCFS_ROW_HIT = int(Scheduler.FRFCFS_ROW_HIT)
FCFS = int(Scheduler.FCFS)
ALL_BANK = int(Refresh.ALL_BANK)
ROW_HIT = int(RowState.HIT)
ROW_MISS = int(RowState.MISS)
ROW_CONFLICT = int(RowState.CONFLICT)
#: The two queues of a channel, and the two directions of a transfer.
READ, WRITE = 0, 1
