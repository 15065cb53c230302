"""Read DarkNet's configuration text as sections of typed values.

Names of sections repeat; lines are `key=value`; # and ; begin comments; blanks mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edensim.exceptions import NetworkError, nearest

#: A larger file is none of DarkNet's, whose largest has 30 kB.
MOST_BYTES = 16 << 20

#: What C's atoi takes of a text: it drops whatever follows, such as a comment.
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True)
class Value:
    """The text behind a key, and its line."""

    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """A `[name]` and the keys below it; its methods raise NetworkError with file and line."""

    file: str
    name: str
    line: int
    values: dict[str, Value] = field(default_factory=dict)

    def refused(self, message: str, key: str | None = None) -> NetworkError:
        """Make an exception that names the line of a key or of the section."""
        value = self.values.get(key) if key else None
        line = value.line if value else self.line
        return NetworkError(
            f"{self.file}:{line}: [{self.name}] {f'{key}: ' if key else ''}{message}"
        )

    def integer(self, key: str, default: int | None = None, *, least: int | None = None) -> int:
        """Read a whole number."""
        value = self.values.get(key)
        if value is not None:
            return self._integer(key, value.text, least)
        if default is None:
            raise self.refused(f"needs `{key}=...`")
        return default

    def integers(self, key: str) -> list[int]:
        """Read whole numbers with commas between them; none if the key is missing."""
        value = self.values.get(key)
        if value is None:
            return []
        # A comma at the end begins one more number, which DarkNet reads as 0.
        parts = value.text.partition("#")[0].split(",")
        return [self._integer(key, part or "0", None) for part in parts]

    def word(self, key: str, default: str, known: Iterable[str]) -> str:
        """Read one of the known words."""
        value = self.values.get(key)
        word = value.text if value else default
        known = list(known)
        if word not in known:
            raise self.refused(
                f"found {word!r}; expected one of {', '.join(known)}{nearest(word, known)}", key
            )
        return word

    def check_keys(self, known: Iterable[str]) -> None:
        """Refuse keys that DarkNet does not know."""
        known = list(known)
        for key in self.values:
            if key not in known:
                raise self.refused(
                    f"unknown key{nearest(key, known)} (known: {', '.join(sorted(known))})", key
                )

    def _integer(self, key: str, text: str, least: int | None) -> int:
        """Read a number as DarkNet does, except what it would take a part of (1.5, 0x8) or as 0."""
        match = WHOLE_NUMBER.match(text)
        if match is None or text[match.end() : match.end() + 1].lower() in (".", "x", "e"):
            raise self.refused(f"found {text[:40]!r}; expected a whole number", key)
        number = int(match[0]) if len(match[0]) < 12 else 2**31
        if not -(2**31) <= number < 2**31:
            raise self.refused(f"found {text[:40]}; expected a number of 32 bits", key)
        if least is not None and number < least:
            raise self.refused(f"found {number}; expected {least} or more", key)
        return number


def read_sections(path: Path) -> list[Section]:
    """Read the sections of a file in their order."""
    sections: list[Section] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        stripped = "".join(line.split())
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[":
            name = stripped[1:-1]
            if stripped[-1] != "]" or not name:
                raise NetworkError(
                    f"{path}:{number}: found {line.strip()[:60]!r}; expected `[section]`"
                )
            sections.append(Section(str(path), name, number))
            continue
        key, equals, text = stripped.partition("=")
        if not equals or not key:
            raise NetworkError(
                f"{path}:{number}: found {line.strip()[:60]!r}; expected `[section]` or `key=value`"
            )
        if not sections:
            raise NetworkError(
                f"{path}:{number}: found {line.strip()[:60]!r} before any section; "
                "expected `[net]` first"
            )
        # DarkNet skips a key without a value, and takes the first of several.
        if text:
            sections[-1].values.setdefault(key, Value(text, number))
    return sections


def read_text(path: Path) -> str:
    """Read a text file that describes a network."""
    try:
        if path.is_dir():
            raise NetworkError(f"{path}: is a folder; expected a file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as exception:
        raise NetworkError(f"{path}: cannot be read: {exception.strerror}") from None
    if len(content) > MOST_BYTES:
        raise NetworkError(
            f"{path}: is larger than {MOST_BYTES:,} bytes; expected the text of a network"
        )
    if not content.strip():
        raise NetworkError(f"{path}: is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exception:
        line = content.count(b"\n", 0, exception.start) + 1
        raise NetworkError(
            f"{path}:{line}: is not text "
            f"(byte {content[exception.start]:#04x} at {exception.start})"
        ) from None
    if "\0" in text:
        raise NetworkError(
            f"{path}:{text[: text.index(chr(0))].count(chr(10)) + 1}: is not text (a zero byte)"
        )
    return text
