"""Output files: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from edensim.exceptions import InputError


def reason(problem: Exception) -> str:
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)


def save_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, as `save_bytes` does."""
    save_bytes(path, text.encode())


def save_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all: to a temporary file beside it, then renamed over it.

    A link keeps pointing where it does, and what is no regular file (a pipe, /dev/stdout) is written to directly.
    InputError where `path` is a folder, its folder does not exist, or writing fails.
    """
    special = Path(path).exists() and not Path(path).is_file()
    target = Path(path) if special else Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: is a folder; expected a file to write to")
    if not target.parent.is_dir():
        raise InputError(f"{path}: folder {str(Path(path).parent)!r} does not exist")
    if target.exists() and not os.access(
        target, os.W_OK
    ):  # renaming over it would ignore the write protection
        raise InputError(f"{path}: cannot be written: file is write-protected")
    try:
        if special:
            target.write_bytes(content)
            return
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(content)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as problem:
        raise InputError(f"{path}: cannot be written: {reason(problem)}") from None
