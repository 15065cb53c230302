"""Read files so that damage is named, write them whole or not at all; flatten what is nested."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edensim.exceptions import EdensimError, InputError

#: Largest text or JSON file that is read whole, in bytes (256 MiB).
TEXT_BYTES: Final = 1 << 28
#: Integers of JSON files have at most 64 bits.
INTEGERS: Final = range(-(1 << 63), 1 << 64)
#: Most characters of a library's message that are passed on.
_MESSAGE: Final = 200


def reason(problem: BaseException) -> str:
    """Say in one line what an exception says, without the file name and number of an OSError."""
    text = (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
    line = next(iter(text.strip().splitlines()), "")[:_MESSAGE]
    return line or type(problem).__name__


@contextmanager
def reading(
    path: str | os.PathLike[str], what: str, error: type[EdensimError] = InputError
) -> Iterator[None]:
    """Turn whatever a library raises while it reads a file into an exception that names the file.

    Parameters
    ----------
    path
        The file, for the message.
    what
        What the file was expected to be, with its article ("a result").
    error
        The exception to raise.

    Raises
    ------
    EdensimError
        As `error` says. Exceptions of edensim pass unchanged.
    """
    try:
        yield
    except EdensimError:
        raise
    except MemoryError:
        raise error(f"{path}: needs more memory than is free; expected {what} that fits") from None
    except RecursionError:
        raise error(f"{path}: is nested too deeply; expected {what}") from None
    except UnicodeDecodeError as problem:
        raise error(
            f"{path}: cannot be read as {what}: is not UTF-8 text (byte {problem.start})"
        ) from None
    except Exception as problem:  # damaged files make libraries raise all kinds
        raise error(f"{path}: cannot be read as {what}: {reason(problem)}") from problem


def check_size(
    path: str | os.PathLike[str],
    what: str,
    limit: int,
    error: type[EdensimError] = InputError,
) -> None:
    """Raise `error` if a file has more than `limit` bytes."""
    with reading(path, what, error):
        size = os.stat(path).st_size
    if size > limit:
        raise error(f"{path}: has {size:,} bytes; expected {what} of at most {limit:,}")


def read_text(
    path: str | os.PathLike[str], what: str, error: type[EdensimError] = InputError
) -> str:
    """Read a text file of at most TEXT_BYTES; raise `error` if it is larger or not UTF-8."""
    check_size(path, what, TEXT_BYTES, error)
    with reading(path, what, error), open(path, encoding="utf-8") as file:
        text = file.read(TEXT_BYTES + 1)
    if len(text) > TEXT_BYTES:  # a pipe, whose size is not known before
        raise error(f"{path}: expected {what} of at most {TEXT_BYTES:,} bytes, found more")
    return text


def read_json(
    path: str | os.PathLike[str], what: str, error: type[EdensimError] = InputError
) -> Any:
    """Read a JSON file as `parse_json` does; raise `error`, with file and line, if it is none."""
    return parse_json(read_text(path, what, error), str(path), what, error)


def parse_json(
    text: str | bytes, name: str, what: str, error: type[EdensimError] = InputError
) -> Any:
    """Parse JSON whose numbers are finite and whose integers have at most 64 bits.

    Raises `error`, its message begun with `name`, for what is no such JSON.
    """
    try:
        return json.loads(
            text, parse_int=_parse_integer, parse_float=_parse_finite, parse_constant=_refuse
        )
    except json.JSONDecodeError as problem:
        raise error(f"{name}:{problem.lineno}: not {what}: {problem.msg}") from None
    except UnicodeDecodeError as problem:
        raise error(f"{name}: not {what}: not UTF-8 text (byte {problem.start})") from None
    except RecursionError:
        raise error(f"{name}: is nested too deeply; expected {what}") from None
    except ValueError as problem:
        raise error(f"{name}: {problem}") from None


def _parse_integer(digits: str) -> int:
    if len(digits) <= 20 and (value := int(digits)) in INTEGERS:
        return value
    raise ValueError(f"expected integers of at most 64 bits, found one of {len(digits)} digits")


def _parse_finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"expected finite numbers, found {digits[:40]}")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"expected finite numbers, found {constant}")


def save_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, as `save_bytes` does."""
    save_bytes(path, text.encode())


def save_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all, as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a temporary file, which takes the place of `path` when the block is done.

    If the block raises an exception, nothing is left behind. A link keeps its target. What is no
    regular file (a pipe, /dev/stdout) is written to directly.

    Raises InputError if `path` is a folder, if its folder does not exist, or if writing fails.
    """
    special = Path(path).exists() and not Path(path).is_file()
    target = Path(path) if special else Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write to")
    if not target.parent.is_dir():
        raise InputError(f"{path}: folder {str(Path(path).parent)!r} does not exist")
    if target.exists() and not os.access(target, os.W_OK):
        # Renaming a file over it would ignore the write protection.
        raise InputError(f"{path}: cannot be written: file is write-protected")
    temporary = target if special else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
        if not special:
            os.replace(temporary, target)
    except OSError as problem:
        raise InputError(f"{path}: cannot be written: {reason(problem)}") from None
    finally:
        if not special:
            temporary.unlink(missing_ok=True)


def flatten(
    values: Mapping[str, Any], prefix: str = "", enter: Callable[[str], bool] = lambda key: True
) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys and the values of nested mappings; `enter` says which keys to enter."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and enter(key):
            yield from flatten(value, f"{key}.", enter)
        else:
            yield key, value
