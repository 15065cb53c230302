"""Read test programs, which say what is written to a module and how it is read back.

They are written in a small language that the host of a SoftMC or DRAM Bender board can follow line
by line. Each line has one instruction in capitals, and `#` begins a comment:

    WRITE bank row byte     fill a row with a byte, at specified timings
    WAIT ns                 do nothing
    ACT bank row trcd_ns    open a row; the first READ follows after that time, at the next clock
    READ column             read one burst of the open row and compare it with what was written
    PRE                     close the row
    VDD volts               set the supply voltage of the module
    FOR name IN values      repeat for numbers (5, 7.5, 0xFF) and ranges (0-255, 0-254/2)
    REPEAT count            repeat
    END                     end the nearest FOR or REPEAT

An operand is a number or the name of a loop; `~` before it inverts a byte. A bank's number is bank
group * banks + bank, rank after rank. An ACT and its PRE stand in one block, with READs and loops
of READs between them. Reading bursts one by one, each after its own ACT, exposes every cell at the
tRCD; after one ACT for a whole row, only its first bursts are read so soon. Refresh is off, as on a
board in such a test, and retention is not modelled, so no cell loses its bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edensim.dram.standard import Organization
from edensim.exceptions import InputError, nearest
from edensim.files import read_text

Floats = NDArray[np.float64]


class Word(IntEnum):
    """Instructions that a board executes."""

    WRITE = 0
    WAIT = 1
    ACT = 2
    READ = 3
    PRE = 4
    VDD = 5


#: Kinds of the operands of each instruction.
OPERANDS: Final[Mapping[Word, tuple[str, ...]]] = {
    Word.WRITE: ("bank", "row", "byte"),
    Word.WAIT: ("ns",),
    Word.ACT: ("bank", "row", "trcd_ns"),
    Word.READ: ("column",),
    Word.PRE: (),
    Word.VDD: ("vdd_V",),
}
#: Lowest and highest value of operands that no organization limits, and whether they are whole.
_RANGES: Final[Mapping[str, tuple[float, float, bool]]] = {
    "byte": (0, 255, True),
    "ns": (0, 1e12, False),
    "trcd_ns": (0.1, 1000, False),
    "vdd_V": (0.1, 5, False),
}
#: An executed instruction: its word and up to three operands.
OPERATION: Final = np.dtype(
    [("word", np.int8), ("first", np.float64), ("second", np.float64), ("third", np.float64)]
)
#: Most operations that are passed on at once, and most values of a loop.
CHUNK: Final = 1 << 20
#: Most characters of a word, and most loops within loops.
WORD_LENGTH: Final = 40
DEPTH: Final = 32
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?|0x[0-9a-f]+", re.IGNORECASE)
_RANGE: Final = re.compile(r"([0-9]+)-([0-9]+)(?:/([0-9]+))?")

#: The test of FLY-DRAM (Chang et al., SIGMETRICS 2016) on the first rows of four banks. Every burst
#: is read after its own ACT, column by column; the rows between hold the inverse.
STANDARD_TEST: Final = """\
# BER by tRCD, pattern and bank: rows between those read hold the inverse
FOR pattern IN 0x00 0xFF 0xAA 0xCC
  FOR bank IN 0-3
    FOR row IN 0-62/2
      WRITE bank row pattern
    END
    FOR row IN 1-63/2
      WRITE bank row ~pattern
    END
    FOR trcd IN 5 7.5 10 12.5
      REPEAT 4
        FOR column IN 0-127
          FOR row IN 0-62/2
            ACT bank row trcd
            READ column
            PRE
          END
        END
      END
    END
  END
END
"""


@dataclass(frozen=True)
class Operand:
    """A number or the name of a loop; `inverse` inverts it as a byte."""

    value: float = 0.0
    name: str | None = None
    inverse: bool = False

    def over(self, lanes: Mapping[str | None, Floats], count: int) -> Floats:
        """Return the value in each of so many passes through the loops around it."""
        values = np.full(count, self.value) if self.name is None else lanes[self.name]
        return 255.0 - values if self.inverse else values


@dataclass(frozen=True)
class Instruction:
    """An instruction of one line."""

    line: int
    word: Word
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Loop:
    """A FOR loop, or a REPEAT loop, which has no name."""

    line: int
    name: str | None
    values: tuple[float, ...]
    body: tuple[Instruction | Loop, ...]


Step = Instruction | Loop


@dataclass(frozen=True)
class Program:
    """A test program, with the name of its file."""

    name: str
    body: tuple[Step, ...]

    def operations(self) -> Iterator[NDArray[Any]]:
        """Yield chunks of OPERATION in the order of execution; an ACT and its PRE are in one."""
        waiting: list[NDArray[Any]] = []
        size = 0
        for piece in _pieces(self.body, {}):
            if waiting and size + len(piece) > CHUNK:
                yield np.concatenate(waiting)
                waiting, size = [], 0
            waiting.append(piece)
            size += len(piece)
        if waiting:
            yield np.concatenate(waiting)

    @property
    def size(self) -> int:
        """Number of operations."""
        return _size(self.body)


def _size(body: Sequence[Step]) -> int:
    return sum(
        1 if isinstance(step, Instruction) else len(step.values) * _size(step.body) for step in body
    )


def _pieces(body: Sequence[Step], around: Mapping[str | None, float]) -> Iterator[NDArray[Any]]:
    """Yield the operations of a block in pieces of at most CHUNK; ACT to PRE is in one piece."""
    for group in _groups(body):
        if _size(group) <= CHUNK or not isinstance(group[0], Loop):
            lanes = {name: np.array([value]) for name, value in around.items()}
            yield _laid_out(group, lanes, 1).reshape(-1)
        else:
            for value in group[0].values:
                yield from _pieces(group[0].body, {**around, group[0].name: value})


def _groups(body: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Yield the whole block if it is small, else its steps, of which ACT to PRE is one."""
    if _size(body) <= CHUNK:
        yield body
        return
    first, is_open = 0, False
    for index, step in enumerate(body):
        if isinstance(step, Instruction) and step.word in (Word.ACT, Word.PRE):
            is_open = step.word == Word.ACT
        if not is_open:
            yield body[first : index + 1]
            first = index + 1


def _laid_out(body: Sequence[Step], lanes: Mapping[str | None, Floats], count: int) -> NDArray[Any]:
    """Return the operations of a block [count, operations] for several passes at once.

    `lanes` has the values of the loops around it in each pass.
    """
    parts = []
    for step in body:
        if isinstance(step, Instruction):
            part = np.zeros((count, 1), OPERATION)
            part["word"] = step.word
            for field, operand in zip(("first", "second", "third"), step.operands, strict=False):
                part[field][:, 0] = operand.over(lanes, count)
        else:
            turns = len(step.values)
            inner = {name: np.repeat(values, turns) for name, values in lanes.items()} | {
                step.name: np.tile(step.values, count)
            }
            part = _laid_out(step.body, inner, count * turns).reshape(count, -1)
        parts.append(part)
    return np.concatenate(parts, axis=1) if parts else np.zeros((count, 0), OPERATION)


def read_program(path: Path, organization: Organization) -> Program:
    """Read a program from a file; raise InputError as `parse_program` does."""
    return parse_program(read_text(path, "a test program"), str(path), organization)


def parse_program(text: str, name: str, organization: Organization) -> Program:
    """Parse a program for a module of an organization.

    Raises InputError, with file and line, for what is not a program, and for banks, rows and
    columns that the module does not have.
    """
    limits = {
        **_RANGES,
        "bank": (0, organization.ranks * organization.bankgroups * organization.banks - 1, True),
        "row": (0, organization.rows - 1, True),
        "column": (0, organization.bursts_per_row - 1, True),
    }
    parser = _Parser(text, name, limits)
    body = parser.block(None, {}, in_row=False)
    if not any(step.word == Word.READ for step in _instructions(body)):
        raise InputError(f"{name}: no READ; a program that reads nothing measures nothing")
    return Program(name, body)


def _instructions(body: Sequence[Step]) -> Iterator[Instruction]:
    for step in body:
        if isinstance(step, Loop):
            yield from _instructions(step.body)
        else:
            yield step


class _Parser:
    """Turns lines into steps, and knows at which line it is."""

    def __init__(
        self, text: str, name: str, limits: Mapping[str, tuple[float, float, bool]]
    ) -> None:
        self.name, self.limits, self.line, self.depth = name, limits, 0, 0
        numbered = enumerate(text.splitlines(), start=1)
        self.lines = iter([(number, line.partition("#")[0].split()) for number, line in numbered])

    def wrong(self, message: str, line: int | None = None) -> InputError:
        """Make an error with file and line."""
        return InputError(f"{self.name}:{self.line if line is None else line}: {message}")

    def block(
        self, opened: int | None, scope: Mapping[str, tuple[float, ...]], *, in_row: bool
    ) -> tuple[Step, ...]:
        """Parse steps up to END, or up to the end of the file if no loop was opened.

        `in_row` says that the block is a loop between ACT and PRE.
        """
        steps: list[Step] = []
        row_opened: int | None = None
        for number, words in self.lines:
            self.line = number
            if not words:
                continue
            if any(len(word) > WORD_LENGTH for word in words):
                raise self.wrong(f"a word of more than {WORD_LENGTH} characters")
            if words[0] == "END":
                if opened is None or len(words) > 1:
                    raise self.wrong(
                        "END: "
                        + (
                            "there is no FOR or REPEAT to end"
                            if opened is None
                            else f"expected nothing after it, found {words[1]!r}"
                        )
                    )
                self._closed(row_opened)
                self.depth -= 1
                return tuple(steps)
            if words[0] in ("FOR", "REPEAT"):
                steps.append(self._loop(words, scope, in_row=in_row or row_opened is not None))
                continue
            step = self._instruction(words, scope)
            if in_row and step.word != Word.READ:
                raise self.wrong(f"{step.word.name}: a loop between ACT and PRE can only READ")
            if step.word in (Word.READ, Word.PRE) and row_opened is None and not in_row:
                raise self.wrong(f"{step.word.name}: no row is open; expected ACT before it")
            if row_opened is not None and step.word not in (Word.READ, Word.PRE):
                raise self.wrong(
                    f"{step.word.name}: the row opened in line {row_opened} is open; expected READ "
                    "or PRE"
                )
            if step.word in (Word.ACT, Word.PRE):
                row_opened = self.line if step.word == Word.ACT else None
            steps.append(step)
        if opened is not None:
            raise self.wrong("FOR or REPEAT without END", opened)
        self._closed(row_opened)
        return tuple(steps)

    def _closed(self, row_opened: int | None) -> None:
        if row_opened is not None:
            raise self.wrong("ACT without a PRE in the same block", row_opened)

    def _loop(
        self, words: list[str], scope: Mapping[str, tuple[float, ...]], *, in_row: bool
    ) -> Loop:
        line = self.line
        self.depth += 1
        if self.depth > DEPTH:
            raise self.wrong(f"{words[0]}: expected at most {DEPTH} loops within loops")
        if words[0] == "REPEAT":
            count = words[1] if len(words) == 2 else ""
            if not (count.isascii() and count.isdigit()) or not 1 <= int(count) <= CHUNK:
                raise self.wrong(
                    f"REPEAT: expected a count from 1 to {CHUNK}, "
                    f"found {' '.join(words[1:]) or 'nothing'!r}"
                )
            return Loop(line, None, (0.0,) * int(count), self.block(line, scope, in_row=in_row))
        if len(words) < 4 or words[2] != "IN":
            raise self.wrong(f"FOR: expected `FOR name IN values`, found {' '.join(words)!r}")
        name = words[1]
        if not _NAME.fullmatch(name) or name in scope:
            raise self.wrong(
                f"FOR {name}: "
                + (
                    "a loop around it has this name"
                    if name in scope
                    else "expected a name in small letters"
                )
            )
        values = tuple(value for word in words[3:] for value in self._values(word))
        if len(values) > CHUNK:
            raise self.wrong(f"FOR {name}: expected at most {CHUNK} values, found {len(values)}")
        return Loop(line, name, values, self.block(line, {**scope, name: values}, in_row=in_row))

    def _values(self, word: str) -> Sequence[float]:
        match = _RANGE.fullmatch(word)
        if match is None:
            return (self._number(word),)
        first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
        if last < first or step < 1 or (last - first) // step >= CHUNK:
            raise self.wrong(
                f"{word}: expected FIRST-LAST/STEP with at most {CHUNK} values, the last not below "
                "the first"
            )
        return [float(value) for value in range(first, last + 1, step)]

    def _number(self, word: str) -> float:
        if not _NUMBER.fullmatch(word):
            raise self.wrong(
                f"{word}: expected a number (5, 7.5, 0xFF) or a range (0-255, 0-254/2)"
            )
        return float(int(word, 16)) if word[:2].lower() == "0x" else float(word)

    def _instruction(self, words: list[str], scope: Mapping[str, tuple[float, ...]]) -> Instruction:
        known = [word.name for word in Word]
        if words[0] not in known:
            expected = [*known, "FOR", "REPEAT", "END"]
            raise self.wrong(
                f"{words[0]}: expected one of {', '.join(expected)}"
                f"{nearest(words[0].upper(), expected)}"
            )
        word = Word[words[0]]
        kinds = OPERANDS[word]
        if len(words) - 1 != len(kinds):
            raise self.wrong(
                f"{word.name}: expected {' '.join(kinds) or 'nothing after it'}, "
                f"found {' '.join(words[1:]) or 'nothing'!r}"
            )
        return Instruction(
            self.line,
            word,
            tuple(
                self._operand(text, kind, scope)
                for text, kind in zip(words[1:], kinds, strict=True)
            ),
        )

    def _operand(self, text: str, kind: str, scope: Mapping[str, tuple[float, ...]]) -> Operand:
        inverse, bare = text.startswith("~"), text.removeprefix("~")
        if inverse and kind != "byte":
            raise self.wrong(f"{text}: only a byte has an inverse, this is the {kind}")
        if _NAME.fullmatch(bare):
            if bare not in scope:
                raise self.wrong(f"{bare}: no loop around it has this name{nearest(bare, scope)}")
            operand, values = Operand(name=bare, inverse=inverse), scope[bare]
        else:
            operand = Operand(self._number(bare), inverse=inverse)
            values = (operand.value,)
        low, high, whole = self.limits[kind]
        for value in values:
            if not low <= value <= high or (whole and value != int(value)):
                raise self.wrong(
                    f"{kind} {value:g}: expected {'a whole number from ' if whole else ''}"
                    f"{low:g} to {high:g}"
                )
        return operand
