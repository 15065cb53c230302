"""The vocabulary as plain integers, which is what compiled code works with."""

from __future__ import annotations

from edensim.vocabulary import Command, Refresh, RowPolicy, Scheduler

ACT = int(Command.ACT)
PREPB = int(Command.PREpb)
PREAB = int(Command.PREab)
RD = int(Command.RD)
WR = int(Command.WR)
RDA = int(Command.RDA)
WRA = int(Command.WRA)
REFAB = int(Command.REFab)
REFPB = int(Command.REFpb)
HALT = len(Command)  # no command: the rank stops, closed, until the operating point has changed
CLOSED = int(RowPolicy.CLOSED)
CAPPED = int(RowPolicy.CAPPED)
ROW_HIT = int(Scheduler.FRFCFS_ROW_HIT)
FCFS = int(Scheduler.FCFS)
ALL_BANK = int(Refresh.ALL_BANK)
