"""A progress bar with a rate, on a terminal only, and only for runs that last."""

from __future__ import annotations

import sys
import time
from typing import Any

#: Seconds before the bar appears (most runs are over by then, and drawing has to be loaded), and
#: between two drawings.
PATIENCE_s = 0.5
INTERVAL_s = 0.1


class Progress:
    """A progress callback that draws a bar.

    It is called with the number of units done, and of all if it is known. It remembers both for a
    message in case the run is interrupted.
    """

    def __init__(self, quiet: bool = False, unit: str = "requests") -> None:
        self.unit = unit
        self.done = 0
        self.total: int | None = None
        self._wanted = not quiet and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._next = self._begin + PATIENCE_s
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, done: int, total: int | None) -> None:
        """Take note of the progress, and draw the bar if it is time."""
        self.done, self.total = done, total
        if self._wanted and time.monotonic() >= self._next:
            self._draw()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.stop()

    def __str__(self) -> str:
        return (
            f"{self.done:,} of {self.total:,} {self.unit}"
            if self.total is not None
            else f"{self.done:,} {self.unit}"
        )

    def _draw(self) -> None:
        if self._bar is None:
            from rich import progress
            from rich.console import Console

            columns = (progress.BarColumn(), progress.TextColumn("{task.fields[text]}"))
            self._bar = progress.Progress(
                *columns, console=Console(stderr=True), auto_refresh=False, transient=True
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, text="")
        elapsed = time.monotonic() - self._begin
        text = (
            f"{self}, {self.done / elapsed:,.{0 if self.done > 10 * elapsed else 1}f} {self.unit}/s"
            if elapsed > 0
            else str(self)
        )
        self._bar.update(self._task, completed=self.done, total=self.total, text=text, refresh=True)
        self._next = time.monotonic() + INTERVAL_s
