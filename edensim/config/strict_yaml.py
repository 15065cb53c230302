"""YAML without its surprises, and with the line of every key.

The parser's events are read directly, which is three times faster than building a node tree.
Scalars are resolved by the few rules written here. Duplicate keys, anchors, tags and several
documents are refused, with file and line, and so are plain words that other readers take for
numbers or truth values (`0x10`, `010`, `1_000`, `12:30`, `yes`). Numbers have the forms `7`,
`-0.5`, `.5`, `1e5` and `1.0e+5`.

What is read has limits: whole numbers have 64 bits, other numbers are finite and at most 1e30 in
size, values are nested at most 32 levels deep, and a file has at most 64 MiB.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edensim.exceptions import ConfigError
from edensim.files import reason

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LIKE_NUMBER = re.compile(
    r"[-+]?(0[xob])?\.?[0-9][0-9_]*([.:][0-9_]*)*([eE][-+]?[0-9]+)?|[-+]?0x[0-9a-fA-F_]+|[-+]?\.(inf|nan)",
    re.IGNORECASE,
)
_LIKE_TRUTH = frozenset({"yes", "no", "on", "off", "y", "n"})
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}

#: Largest size of a number that is not whole.
LARGEST = 1e30
#: Largest whole number. `int` is not tried on a text with more digits than it has.
LARGEST_INTEGER = 2**63 - 1
_MOST_DIGITS = 20
MOST_LEVELS = 32
MOST_BYTES = 64 * 2**20


def load_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the content of a YAML file and the line of each dotted key.

    Items of lists are numbered from 0 (`constraints.3.gap`). Raises ConfigError, with file and
    line, if the file cannot be read or breaks a rule above.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content[:MOST_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError as exception:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {exception.start})") from None
    except (OSError, ValueError) as exception:
        raise ConfigError(f"{path}: cannot be read: {reason(exception)}") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path}: has more than {MOST_BYTES >> 20} MiB; expected a smaller file")
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    """As load_yaml, for text; `name` stands for the file in messages."""
    return _Reader(text, name).document()


class _Reader:
    """One pass over the events of one document."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.text = text
        self.lines: dict[str, int] = {}
        self.level = 0

    def document(self) -> tuple[dict[str, Any], dict[str, int]]:
        import yaml

        loader_class = getattr(
            yaml, "CSafeLoader", yaml.SafeLoader
        )  # without libyaml: slower, the same events
        try:
            self.next = loader_class(self.text).get_event
            self.next()  # stream start
            first = self.next()
            if isinstance(first, yaml.StreamEndEvent):
                return {}, {}
            data = self._value(self.next(), "")
            self.next()  # document end
            last = self.next()
        except yaml.MarkedYAMLError as exception:
            mark = exception.problem_mark or exception.context_mark
            line = mark.line + 1 if mark else 1
            raise ConfigError(
                f"{self.name}:{line}: not valid YAML: {exception.problem or exception.context}"
            ) from None
        except yaml.YAMLError as exception:
            raise ConfigError(f"{self.name}: not valid YAML: {exception}") from None
        if not isinstance(last, yaml.StreamEndEvent):
            raise self._refuse(last, "a second document begins; expected one document per file")
        if data is None:
            return {}, {}
        if not isinstance(data, dict):
            raise ConfigError(
                f"{self.name}:1: expected keys and values (`key: value`), found {_kind(data)}"
            )
        return data, self.lines

    def _refuse(self, event: Any, message: str) -> ConfigError:
        return ConfigError(f"{self.name}:{event.start_mark.line + 1}: {message}")

    def _value(self, event: Any, path: str) -> Any:
        if getattr(event, "anchor", None):
            raise self._refuse(
                event,
                f"anchors and aliases (&{event.anchor}, *{event.anchor}) are not accepted; "
                "write the value out",
            )
        if event.tag not in (None, "!"):
            raise self._refuse(event, f"tags ({event.tag}) are not accepted")
        kind = type(event).__name__
        if kind == "ScalarEvent":
            return self._scalar(event)
        if self.level == MOST_LEVELS:
            raise self._refuse(event, f"nested more than {MOST_LEVELS} levels deep")
        self.level += 1
        value = self._mapping(path) if kind == "MappingStartEvent" else self._sequence(path)
        self.level -= 1
        return value

    def _mapping(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = {}
        prefix = path + "." if path else ""
        while True:
            event = self.next()
            kind = type(event).__name__
            if kind == "MappingEndEvent":
                return content
            if kind != "ScalarEvent":
                raise self._refuse(event, "a key must be a word")
            key = event.value
            dotted = prefix + key
            if key in content:
                raise self._refuse(
                    event, f"duplicate key {dotted!r}; first on line {self.lines[dotted]}"
                )
            self.lines[dotted] = event.start_mark.line + 1
            content[key] = self._value(self.next(), dotted)

    def _sequence(self, path: str) -> list[Any]:
        content: list[Any] = []
        while True:
            event = self.next()
            kind = type(event).__name__
            if kind == "SequenceEndEvent":
                return content
            if kind == "ScalarEvent" and event.anchor is None and event.tag is None:
                content.append(
                    self._scalar(event)
                )  # plain items of lists have their list's line: tables of numbers stay cheap
                continue
            dotted = f"{path}.{len(content)}"
            self.lines[dotted] = event.start_mark.line + 1
            content.append(self._value(event, dotted))

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:  # quoted or block text: always a string
            return text
        is_integer = _INTEGER.fullmatch(text) is not None
        if is_integer or _FLOAT.fullmatch(text):
            return self._number(event, text, is_integer)
        if text in _WORDS:
            return _WORDS[text]
        if _LIKE_NUMBER.fullmatch(text):
            raise self._refuse(
                event,
                f"{text!r} looks like a number, but YAML readers disagree on it; "
                "write 100000 or 1e5, or quotes around text",
            )
        if text.lower() in _LIKE_TRUTH or (text.lower() in _WORDS):
            raise self._refuse(
                event,
                f"{text!r} is ambiguous in YAML; write true or false, "
                "or put it in quotes if it is text",
            )
        return text

    def _number(self, event: Any, text: str, is_integer: bool) -> int | float:
        number: int | float
        if not is_integer:
            number, largest = float(text), LARGEST
        else:
            largest = LARGEST_INTEGER
            number = int(text) if len(text) <= _MOST_DIGITS else largest + 1
        if abs(number) > largest:
            found = text if len(text) <= 40 else f"{text[:40]}..."
            raise self._refuse(
                event, f"{found} is out of range; expected at most {largest} in size"
            )
        return number


def _kind(value: Any) -> str:
    return {
        list: "a list",
        str: "text",
        int: "a number",
        float: "a number",
        bool: "a truth value",
    }.get(type(value), "something else")
