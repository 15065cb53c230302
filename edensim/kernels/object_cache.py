"""Keep compiled code in a folder that only its user can write to.

Loading an object file means running it, so nothing is loaded that another user may have put
there: the folder and each file must belong to this user and be writable by nobody else. Each file
carries its length and a checksum, so that a damaged one is compiled again. If no folder can be
used, the caller compiles in memory and the run goes on.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import shutil
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

#: First word of every file; another layout gets another number.
MAGIC = b"edensim-object-1"
SEAL = "seal"


def announce(line: str) -> None:
    """Print a line to standard error, whether it is a terminal or not."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


@functools.cache
def announce_once(line: str) -> None:
    """Print a line to standard error unless this process has printed it before."""
    announce(line)


class ObjectCache:
    """Files of compiled code by name.

    Parameters
    ----------
    identity
        Name of the versions and the processor that the code depends on: a folder of its own.
    """

    def __init__(self, identity: str) -> None:
        self.folder = _private_folder(identity)

    def read(self, name: str) -> bytes | None:
        """Return what was written under a name, or None if it is missing or in any doubt."""
        if self.folder is None:
            return None
        try:
            descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or not _is_private(status):
                    return None
                header, _, data = file.read().partition(b"\n")
        except OSError:
            return None
        return data if header == _header(name, data) else None

    def write(self, name: str, data: bytes) -> None:
        """Write data under a name, in one step; if that is impossible, say so and go on."""
        if self.folder is None:
            return
        import tempfile  # not needed where everything is compiled already, and slow to load

        try:
            descriptor, temporary = tempfile.mkstemp(".tmp", f".{name}.", self.folder)
            try:
                with open(descriptor, "wb") as file:
                    file.write(_header(name, data) + b"\n" + data)
                os.replace(temporary, self.folder / name)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            self._say_unwritable(error)

    def sealed_folder(self, name: str) -> Path | None:
        """Return the folder that `seal` made under a name, or None if it is missing or in doubt."""
        contents = self.read(f"{name}/{SEAL}")
        if self.folder is None or contents != _contents(self.folder / name):
            return None
        return self.folder / name

    def new_folder(self, name: str) -> Path | None:
        """Make an empty folder to be filled and passed to `seal`; None if that is impossible."""
        if self.folder is None:
            return None
        import tempfile

        try:
            return Path(tempfile.mkdtemp(".tmp", f".{name}.", self.folder))
        except OSError as error:
            self._say_unwritable(error)
            return None

    def seal(self, folder: Path, name: str) -> None:
        """Write down what a new folder holds and move it, in one step, to its name."""
        target = folder.with_name(name)
        contents = _contents(folder)
        try:
            (folder / SEAL).touch(mode=0o600)
            (folder / SEAL).write_bytes(_header(f"{name}/{SEAL}", contents) + b"\n" + contents)
            if self.sealed_folder(name) is None:  # otherwise another process was faster
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
        except OSError as error:
            self._say_unwritable(error)
        shutil.rmtree(folder, ignore_errors=True)

    def _say_unwritable(self, error: OSError) -> None:
        announce_once(
            f"edensim: compiled code cannot be kept in {self.folder} "
            f"({error.strerror or error}), so that the next run compiles it again"
        )


def _header(name: str, data: bytes) -> bytes:
    checksum = importlib.util.source_hash(name.encode() + b"\0" + data).hex()
    return b"%s %s %d" % (MAGIC, checksum.encode(), len(data))


def _contents(folder: Path) -> bytes:
    """List the files of a folder with the checksum of each."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    return b"\n".join(_header(str(path.relative_to(folder)), path.read_bytes()) for path in files)


def _private_folder(identity: str) -> Path | None:
    """Return the folder for code compiled with these versions for this processor.

    The configured folder is used if it is private to this user, then one in the system's
    temporary folder; None is returned if neither is.
    """
    problems = []
    for root in _roots():
        folder = root / identity
        try:
            _make_private(root)
            _make_private(folder)
        except OSError as error:
            problems.append(f"{root} ({error.strerror or error})")
            continue
        if problems:
            announce_once(
                f"edensim: cache folder {problems[0]} is not used; compiled code is kept in "
                f"{root}. A cache folder must be yours and writable by nobody else: chmod it to "
                "700, remove it, or set EDENSIM_CACHE to another folder"
            )
            os.environ["EDENSIM_CACHE"] = str(root)  # worker processes need not find out again
        return folder
    announce_once(
        f"edensim: no cache folder can be used ({'; '.join(problems)}), so that every run "
        "compiles anew. Set EDENSIM_CACHE to a folder that is yours and writable by nobody else"
    )
    return None


def _roots() -> Iterable[Path]:
    """List the folders to try, in order; all are absolute."""
    configured = os.environ.get("EDENSIM_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if configured:
        yield Path(configured).absolute()
    elif os.path.isabs(caches):
        yield Path(caches) / "edensim"
    else:
        home = os.environ.get("HOME", "")
        if not os.path.isabs(home):
            with contextlib.suppress(KeyError):
                home = pwd.getpwuid(os.geteuid()).pw_dir
        if os.path.isabs(home):
            yield Path(home) / ".cache" / "edensim"
    import tempfile

    yield Path(tempfile.gettempdir()).absolute() / f"edensim-{os.geteuid()}"


def _make_private(folder: Path) -> None:
    """Make a folder if it is missing; raise OSError unless it is private to this user."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(None, "it is not a folder")
    if not _is_private(status):
        raise PermissionError(None, "another user owns it or can write to it")


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
