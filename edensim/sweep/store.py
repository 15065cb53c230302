"""Keep the results of a sweep in one SQLite file.

One process writes, one transaction per batch of points, with SQLite's rollback journal and a sync
at each commit. A process or a machine that dies in the middle leaves all points before it. Points
are found by their key (`edensim.sweep.grid`), so sweeps over other values may share a folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edensim._version import __version__
from edensim.exceptions import EdensimError, InputError
from edensim.files import parse_json
from edensim.results.run_result import RunResult
from edensim.sweep.grid import Point, Values

#: Layout of the file. It changes when a table changes its meaning.
STORE_FORMAT: Final = 1
NAME: Final = "results.sqlite"

_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE results (key TEXT PRIMARY KEY, result TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE plan (position INTEGER PRIMARY KEY, key TEXT NOT NULL, swept TEXT NOT NULL);
CREATE TABLE traces (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL
);
"""
_TABLES: Final = {"about", "results", "plan", "traces"}
#: Digests of results, by which a damaged row is found. Stores of older versions do not have it.
_DIGESTS: Final = (
    "CREATE TABLE IF NOT EXISTS digests (key TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;"
)

_DIGEST: Final = re.compile("[0-9a-f]{64}")

#: What SQLite says if the disk takes no more; other complaints mean that the file is damaged.
_FULL: Final = ("disk is full", "disk I/O error")


class Store:
    """The finished points of a folder; a context manager that `open` or `create` makes.

    Its methods raise InputError for a file that is damaged, or of another format or version, and
    EdensimError if it cannot be written (full disk).
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.name = "results in memory" if path is None else str(path)
        self.connection = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, timeout=10
        )
        # Damaged bytes must not hide the other rows: they differ from what was stored, and show.
        self.connection.text_factory = lambda content: content.decode("utf-8", "replace")

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open the store of a folder that has one."""
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"{folder}: no results of a sweep here (no {NAME})")
        return cls(path)._closed_unless(Store._check)

    @classmethod
    def create(cls, folder: Path | None) -> Store:
        """Create a store in a folder, or in memory without one."""
        return cls(None if folder is None else folder / NAME)._closed_unless(Store._make_tables)

    def _closed_unless(self, prepare: Callable[[Store], None]) -> Store:
        """Return this store once it is prepared; close it if that fails."""
        try:
            prepare(self)
        except BaseException:
            self.close()
            raise
        return self

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def finished(self) -> set[str]:
        """Return the keys of all finished points whose results are intact."""
        return {key for key, _, is_intact in self._results() if is_intact}

    def damaged(self) -> set[str]:
        """Return the keys of the rows whose results are damaged."""
        return {key for key, _, is_intact in self._results() if not is_intact}

    def add(self, results: Iterable[tuple[str, str]]) -> None:
        """Store pairs of key and result JSON for good, all of them or none.

        They take the place of damaged rows.
        """
        rows = list(results)
        with self._transaction() as connection:
            connection.execute(_DIGESTS)
            connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?)", rows)
            digests = [(key, _digest(text)) for key, text in rows]
            connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?)", digests)

    def result_texts(self, keys: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """Return the result JSON of those of the keys that are finished, and the damaged keys."""
        wanted, texts, damaged = set(keys), {}, set()
        for key, text, is_intact in self._results():
            if key in wanted and is_intact:
                texts[key] = text
            elif key in wanted:
                damaged.add(key)
        return texts, damaged

    def _results(self) -> Iterator[tuple[str, str, bool]]:
        """Yield the key and the result JSON of each row, and whether it is intact.

        A row is intact if it is what was stored, or, without a digest, if it is a result.
        """
        tables = self._rows("SELECT name FROM sqlite_master WHERE name = 'digests'")
        digests = dict(self._rows("SELECT key, digest FROM digests")) if list(tables) else {}
        for key, text in self._rows("SELECT key, result FROM results"):
            if not isinstance(text, str):
                yield key, "", False
            elif _DIGEST.fullmatch(digests.get(key, "")):
                yield key, text, digests[key] == _digest(text)
            else:
                yield key, text, _is_result(text)

    def set_plan(self, points: Sequence[Point]) -> None:
        """Remember the points of this sweep, in order, in place of those of an earlier one."""
        rows = [
            (position, point.key, json.dumps(point.values)) for position, point in enumerate(points)
        ]
        if rows != list(self._rows("SELECT position, key, swept FROM plan ORDER BY position")):
            self._write("INSERT INTO plan VALUES (?, ?, ?)", rows, first="DELETE FROM plan")

    def plan(self) -> list[tuple[str, Values | None]]:
        """Return the key and the swept values (None if damaged) of each point of the last sweep."""
        rows = self._rows("SELECT key, swept FROM plan ORDER BY position")
        return [(key, _swept_values(swept)) for key, swept in rows]

    def trace_digest(self, path: str) -> str | None:
        """Return the digest of a trace as it was seen before, if it has not been touched since."""
        digest = self._value(
            "SELECT digest FROM traces WHERE path = ? AND size = ? AND mtime_ns = ?", *_seen(path)
        )
        return digest if isinstance(digest, str) and _DIGEST.fullmatch(digest) else None

    def set_trace_digest(self, path: str, digest: str) -> None:
        """Remember the digest of a trace."""
        row = *_seen(path), digest
        self._write("INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?)", [row])

    def about(self, name: str) -> str | None:
        """Return a remark that `set_about` made."""
        return self._value("SELECT value FROM about WHERE name = ?", name)

    def set_about(self, name: str, value: str) -> None:
        """Remember a remark about the file."""
        self._write("INSERT OR REPLACE INTO about VALUES (?, ?)", [(name, value)])

    def _make_tables(self) -> None:
        about = (
            f"INSERT INTO about VALUES ('format', '{STORE_FORMAT}'), ('version', '{__version__}');"
        )
        with self._translated_exceptions():
            self.connection.executescript(f"BEGIN; {_SCHEMA} {about} COMMIT;")

    def _check(self) -> None:
        rows = self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows}
        if not tables:  # a sweep that ended before its first commit
            self._make_tables()
        elif not tables >= _TABLES:
            raise InputError(
                f"{self.name}: not a file of sweep results: "
                f"found tables {', '.join(sorted(tables))}"
            )
        for name, expected in (("format", str(STORE_FORMAT)), ("version", __version__)):
            if (found := self.about(name)) != expected:
                words = (
                    f"format {found} of sweep results; expected {expected}"
                    if name == "format"
                    else f"results of edensim {found}, this is {expected}"
                )
                raise InputError(f"{self.name}: {words}; choose another folder with --out")
        faults = [fault for (fault,) in self._rows("PRAGMA quick_check(1)")]
        if faults != ["ok"]:
            raise self._damaged(faults[0])

    def _value(self, query: str, *arguments: object) -> str | None:
        return next((value for (value,) in self._rows(query, arguments)), None)

    def _rows(self, query: str, arguments: tuple[object, ...] = ()) -> Iterator[Any]:
        with self._translated_exceptions():
            yield from self.connection.execute(query, arguments)

    def _write(self, statement: str, rows: list[Any], first: str | None = None) -> None:
        with self._transaction() as connection:
            if first is not None:
                connection.execute(first)
            connection.executemany(statement, rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the statements of the block, all of them or none."""
        with self._translated_exceptions():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk has ended it already
                    self.connection.execute("ROLLBACK")
                raise

    def _damaged(self, words: str) -> InputError:
        return InputError(
            f"{self.name}: damaged or cut short: {words}; move it away to run the sweep again, "
            "or choose another folder with --out"
        )

    @contextmanager
    def _translated_exceptions(self) -> Iterator[None]:
        """Raise what SQLite complains about as exceptions of edensim."""
        try:
            yield
        except sqlite3.OperationalError as exception:
            words = str(exception)
            if any(full in words for full in _FULL):
                raise EdensimError(f"{self.name}: cannot be written: {words}") from None
            raise InputError(f"{self.name}: {words}") from None
        except sqlite3.DatabaseError as exception:
            raise self._damaged(str(exception)) from None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_result(text: str) -> bool:
    try:
        RunResult.from_dict(parse_json(text, "row", "a result"))
    except InputError:
        return False
    return True


def _swept_values(swept: object) -> Values | None:
    """Parse the swept values of a row of the plan; return None if they are damaged."""
    try:
        values = parse_json(swept, "row", "swept values") if isinstance(swept, str) else None
    except InputError:
        return None
    return values if isinstance(values, dict) else None


def _seen(path: str) -> tuple[str, int, int]:
    """Return a file's path, size (bytes) and time of its last change (ns)."""
    status = os.stat(path)
    return path, status.st_size, status.st_mtime_ns


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises InputError if another sweep is running there."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder}: another sweep is running there; wait for it, "
                "or choose another folder with --out"
            ) from None
        except OSError:
            pass  # a file system without locks: SQLite's own locks still keep the file whole
        yield
    finally:
        os.close(handle)
