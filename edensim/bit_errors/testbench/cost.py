"""Estimate how long a test program takes to simulate, before any of it runs.

The estimate follows from the text of the program and from fixed times, so that the same program
has the same estimate on every computer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edensim.bit_errors.testbench.program import Loop, Program, Step, Word
from edensim.exceptions import InputError

#: Longest estimate in seconds of a program that runs unless more is allowed.
LIMIT_S: Final = 8.0
#: Seconds that an operation, a burst of the engine, a run of the engine, and a pass over rows take.
_OPERATION_S: Final = 1.3e-7
_BURST_S: Final = 0.65e-6
_RUN_S: Final = 4e-3
_PASS_S: Final = 1.3e-4
#: Rows whose bits are flipped at once.
_ROWS: Final = 64


@dataclass(frozen=True)
class _Cost:
    """Seconds, the runs of the engine, and the kind of operations if all are of one kind."""

    seconds: float
    runs: int
    kind: str | None


def estimated_s(program: Program, bursts: int) -> float:
    """Return the estimated time in seconds of a program; a row has so many `bursts`."""
    cost = _of_block(program.body, {}, bursts)
    return cost.seconds + cost.runs * _RUN_S


def check_cost(program: Program, bursts: int, limit_s: float = LIMIT_S) -> None:
    """Raise InputError if a program is estimated to take longer than `limit_s` seconds."""
    seconds = estimated_s(program, bursts)
    if seconds > limit_s:
        raise InputError(
            f"{program.name}: {program.size:,} operations, which are estimated to take "
            f"{seconds:,.0f} s for each module; expected at most {limit_s:g} s: repeat less, or "
            "allow more (--limit-s SECONDS, or limit_s in Python)"
        )


def _of_block(body: Sequence[Step], around: dict[str | None, int], bursts: int) -> _Cost:
    """Return the cost of one pass through a block; `around` has the lengths of loops around it."""
    seconds, runs, last = 0.0, 0, ""
    kinds: set[str | None] = set()
    row: tuple[str | None, ...] = ()
    for step in body:
        if isinstance(step, Loop):
            cost = _of_loop(step, around, bursts, row)
        else:
            if step.word == Word.ACT:
                row = tuple(operand.name for operand in step.operands[:2])
                kind = f"read at {step.operands[2]}"
            elif step.word in (Word.READ, Word.PRE):
                kind = last if last.startswith("read") else "read"
            else:
                kind = step.word.name
            cost = _Cost(_seconds(step.word, around, bursts, row), 0, kind)
            if kind != last and step.word in (Word.ACT, Word.WRITE):
                runs += 1
            last = kind
        seconds, runs = seconds + cost.seconds, runs + cost.runs
        kinds.add(cost.kind)
        last = cost.kind or ""
    return _Cost(seconds, runs, kinds.pop() if len(kinds) == 1 else None)


def _of_loop(
    loop: Loop, around: dict[str | None, int], bursts: int, row: tuple[str | None, ...]
) -> _Cost:
    turns = len(loop.values)
    inside = _of_block(loop.body, {**around, loop.name: turns}, bursts)
    kind = inside.kind
    if kind is not None and loop.name is not None and f"name='{loop.name}'" in kind:
        kind = None  # every turn has its own tRCD
    runs = inside.runs if kind is not None else turns * inside.runs
    return _Cost(turns * inside.seconds, runs, kind)


def _seconds(
    word: Word, around: dict[str | None, int], bursts: int, row: tuple[str | None, ...]
) -> float:
    """Return the seconds of one operation; rows that are read in one pass share its cost."""
    if word == Word.WRITE:
        return _OPERATION_S + bursts * _BURST_S
    if word == Word.READ:
        return _OPERATION_S + _BURST_S
    if word == Word.ACT:
        together = 1
        for name in row:
            together *= around.get(name, 1) if name is not None else 1
        return _OPERATION_S + _PASS_S / min(together, _ROWS)
    return _OPERATION_S
