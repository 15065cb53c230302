"""Load an object file without a linker: its sections go into one block of executable memory, its few relocations are filled in.

What LLVM emits for the large code model on x86-64 needs two kinds of relocation, both 64 bits wide. Anything else (another processor, another
object format, a system that forbids executable memory) is left to LLVM's own linker, which takes fifty times as long to load as this.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable

X86_64 = 62
# Section kinds and flags, symbol places and relocations that matter here (System V ABI, AMD64 supplement).
SYMBOLS, RELOCATIONS, ZEROS, ALLOCATED = 2, 4, 8, 2
UNDEFINED, FIRST_RESERVED, COMMON = 0, 0xFF00, 0xFFF2
ABSOLUTE_64, RELATIVE_64 = 1, 24

_blocks: list[mmap.mmap] = []  # they live as long as the process


class NotUnderstoodError(Exception):
    """The object file holds something that only a real linker handles."""


def load(data: bytes, entry: str, address_of: Callable[[str], int]) -> int | None:
    """Address of the function `entry` of an object file, ready to be called; None if it takes a real linker.

    address_of: address of an imported name.
    """
    try:
        return _Object(data).load(entry, address_of)
    except (NotUnderstoodError, OSError, ValueError, struct.error):
        return None


class _Object:
    """A relocatable ELF file for x86-64."""

    def __init__(self, data: bytes) -> None:
        if data[:7] != b"\x7fELF\x02\x01\x01" or struct.unpack_from("<HH", data, 16) != (1, X86_64):
            raise NotUnderstoodError
        self.data = data
        start, size, count = (
            struct.unpack_from("<Q", data, 40)[0],
            *struct.unpack_from("<HH", data, 58),
        )
        # (name, kind, flags, address, offset, size, link, info, alignment, entry size)
        self.sections = [
            struct.unpack_from("<IIQQQQIIQQ", data, start + size * index) for index in range(count)
        ]
        tables = [section for section in self.sections if section[1] == SYMBOLS]
        if len(tables) != 1:
            raise NotUnderstoodError
        table = tables[0]
        self.names = self.sections[table[6]][4]
        # (name, info, other, section, value, size)
        self.symbols = list(struct.iter_unpack("<IBBHQQ", data[table[4] : table[4] + table[5]]))
        self.size = 0
        self.places: dict[int, int] = {}  # section -> offset in the block
        for index, section in enumerate(self.sections):
            if section[2] & ALLOCATED:
                self.places[index] = self._place(section[5], section[8])
        self.commons = {
            index: self._place(symbol[5], symbol[4])
            for index, symbol in enumerate(self.symbols)
            if symbol[3] == COMMON
        }

    def _place(self, size: int, alignment: int) -> int:
        place = -(-self.size // max(alignment, 1)) * max(alignment, 1)
        self.size = place + size
        return place

    def name(self, symbol: tuple[int, ...]) -> str:
        start = self.names + symbol[0]
        return self.data[start : self.data.index(b"\0", start)].decode()

    def load(self, entry: str, address_of: Callable[[str], int]) -> int:
        found = [
            index
            for index, symbol in enumerate(self.symbols)
            if symbol[3] in self.places and self.name(symbol) == entry
        ]
        if len(found) != 1:
            raise NotUnderstoodError
        block = mmap.mmap(-1, self.size, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        base = ctypes.addressof(ctypes.c_char.from_buffer(block))
        for index, place in self.places.items():
            _, kind, _, _, offset, size, *_ = self.sections[index]
            if kind != ZEROS:
                block[place : place + size] = self.data[offset : offset + size]
        for section in self.sections:
            if section[1] == RELOCATIONS and section[7] in self.places:
                self._relocate(block, base, section, address_of)
        _blocks.append(block)
        return self._address(found[0], base, address_of)

    def _relocate(
        self,
        block: mmap.mmap,
        base: int,
        section: tuple[int, ...],
        address_of: Callable[[str], int],
    ) -> None:
        start = self.places[section[7]]
        for offset, info, addend in struct.iter_unpack(
            "<QQq", self.data[section[4] : section[4] + section[5]]
        ):
            kind, at = info & 0xFFFFFFFF, start + offset
            if kind not in (ABSOLUTE_64, RELATIVE_64):
                raise NotUnderstoodError
            value = (
                self._address(info >> 32, base, address_of)
                + addend
                - (base + at if kind == RELATIVE_64 else 0)
            )
            struct.pack_into("<Q", block, at, value & 0xFFFFFFFFFFFFFFFF)

    def _address(self, index: int, base: int, address_of: Callable[[str], int]) -> int:
        symbol = self.symbols[index]
        section = symbol[3]
        if section == COMMON:
            return base + self.commons[index]
        if section == UNDEFINED:
            return address_of(self.name(symbol))
        if section >= FIRST_RESERVED or section not in self.places:
            raise NotUnderstoodError
        return base + self.places[section] + int(symbol[4])
