"""Results of a sweep in one SQLite file: what is in it is finished, whatever happens afterwards.

One process writes, one transaction per batch of points, with SQLite's rollback journal and a sync at each commit: a process or a machine that
dies in the middle leaves the points before it. Points are found by key (`edensim.sweep.grid`), so sweeps with other values may share a folder.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from edensim._version import __version__
from edensim.exceptions import EdensimError, InputError
from edensim.sweep.grid import Point, Values

#: Layout of the file. It changes when a table changes its meaning.
STORE_FORMAT: Final = 1
NAME: Final = "results.sqlite"

_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE results (key TEXT PRIMARY KEY, result TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE plan (position INTEGER PRIMARY KEY, key TEXT NOT NULL, swept TEXT NOT NULL);
CREATE TABLE traces (path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL);
"""

#: SQLite's words for a disk that takes no more; with the others the file itself is damaged.
_FULL = ("disk is full", "disk I/O error")


class Store:
    """Finished points of a folder. A context manager; `Store.open` and `Store.create` make one.

    Raises InputError for a file that is damaged, or of another format or version; EdensimError where it cannot be written (full disk).
    """

    def __init__(self, path: Path | None) -> None:
        """path: None keeps everything in memory."""
        self.path = path
        self.name = "results in memory" if path is None else str(path)
        self.connection = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, timeout=10
        )

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The store of a folder that has one."""
        path = folder / NAME
        if not path.is_file():
            raise InputError(f"{folder}: no results of a sweep here (no {NAME})")
        store = cls(path)
        try:
            store._check()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def create(cls, folder: Path | None) -> Store:
        """A new store in a folder; in memory for None."""
        store = cls(None if folder is None else folder / NAME)
        try:
            store._begin()
        except BaseException:
            store.close()
            raise
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    def finished(self) -> set[str]:
        """Keys of all finished points."""
        return {key for (key,) in self._rows("SELECT key FROM results")}

    def add(self, results: Iterable[tuple[str, str]]) -> None:
        """Keep results (key, result JSON) for good: all of them or none."""
        self._write("INSERT OR IGNORE INTO results VALUES (?, ?)", list(results))

    def result_texts(self, keys: Sequence[str]) -> dict[str, str]:
        """Result JSON of those of the keys that are finished."""
        wanted = set(keys)
        return {
            key: text
            for key, text in self._rows("SELECT key, result FROM results")
            if key in wanted
        }

    def set_plan(self, points: Sequence[Point]) -> None:
        """Remember the points of this sweep, in order; those of an earlier one are forgotten, not their results."""
        rows = [
            (position, point.key, json.dumps(point.values)) for position, point in enumerate(points)
        ]
        if rows != list(self._rows("SELECT position, key, swept FROM plan ORDER BY position")):
            self._write("INSERT INTO plan VALUES (?, ?, ?)", rows, first="DELETE FROM plan")

    def plan(self) -> list[tuple[str, Values]]:
        """Key and swept values of each point of the last sweep."""
        return [
            (key, json.loads(swept))
            for key, swept in self._rows("SELECT key, swept FROM plan ORDER BY position")
        ]

    def trace_digest(self, path: str, size: int, mtime_ns: int) -> str | None:
        """Digest of a trace as it was seen before, if it has not been touched since."""
        rows = self._rows(
            "SELECT digest FROM traces WHERE path = ? AND size = ? AND mtime_ns = ?",
            (path, size, mtime_ns),
        )
        return next((digest for (digest,) in rows), None)

    def keep_trace_digest(self, path: str, size: int, mtime_ns: int, digest: str) -> None:
        self._write(
            "INSERT OR REPLACE INTO traces VALUES (?, ?, ?, ?)", [(path, size, mtime_ns, digest)]
        )

    def about(self, name: str) -> str | None:
        """A remark kept with `set_about`."""
        return next(
            (value for (value,) in self._rows("SELECT value FROM about WHERE name = ?", (name,))),
            None,
        )

    def set_about(self, name: str, value: str) -> None:
        self._write("INSERT OR REPLACE INTO about VALUES (?, ?)", [(name, value)])

    def _begin(self) -> None:
        about = (
            f"INSERT INTO about VALUES ('format', '{STORE_FORMAT}'), ('version', '{__version__}');"
        )
        with self._told():
            self.connection.executescript(f"BEGIN; {_SCHEMA} {about} COMMIT;")

    def _check(self) -> None:
        tables = {
            name for (name,) in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if not tables:  # a sweep that ended before its first commit
            self._begin()
        elif not {"about", "results", "plan", "traces"} <= tables:
            raise InputError(
                f"{self.name}: not a file of sweep results: found tables {', '.join(sorted(tables)) or 'none'}"
            )
        elif self.about("format") != str(STORE_FORMAT):
            raise InputError(
                f"{self.name}: format {self.about('format')} of sweep results; expected {STORE_FORMAT}; choose another folder with --out"
            )
        elif self.about("version") != __version__:
            raise InputError(
                f"{self.name}: results of edensim {self.about('version')}, this is {__version__}; choose another folder with --out"
            )
        faults = [fault for (fault,) in self._rows("PRAGMA quick_check(1)")]
        if faults != ["ok"]:
            raise InputError(self._damaged(faults[0]))

    def _rows(self, query: str, arguments: tuple[object, ...] = ()) -> Iterator[Any]:
        with self._told():
            yield from self.connection.execute(query, arguments)

    def _write(self, statement: str, rows: list[Any], first: str | None = None) -> None:
        with self._told():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                if first is not None:
                    self.connection.execute(first)
                self.connection.executemany(statement, rows)
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:  # a full disk has ended it already
                    self.connection.execute("ROLLBACK")
                raise

    def _damaged(self, words: str) -> str:
        return f"{self.name}: damaged or cut short: {words}; move it away to run the sweep again, or choose another folder with --out"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's complaints in words for users."""
        try:
            yield
        except sqlite3.OperationalError as exception:
            words = str(exception)
            if any(full in words for full in _FULL):
                raise EdensimError(f"{self.name}: cannot be written: {words}") from None
            raise InputError(f"{self.name}: {words}") from None
        except sqlite3.DatabaseError as exception:
            raise InputError(self._damaged(str(exception))) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One sweep at a time in a folder. Raises InputError where another one is running."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder}: another sweep is running there; wait for it, or choose another folder with --out"
            ) from None
        except OSError:
            pass  # a file system without locks: SQLite's own still keep the file whole
        yield
    finally:
        os.close(handle)
