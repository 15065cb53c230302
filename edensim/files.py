"""Write output files, whole or not at all; flatten what is nested."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edensim.exceptions import InputError


def reason(problem: Exception) -> str:
    """Say what an exception says, without the file name and number that an OSError adds."""
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)


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
