"""One piece of work of a target: a function of plain arguments that gives plain values, kept in a file of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edensim._version import __version__
from edensim.config.paths import config_folders
from edensim.exceptions import EdensimError
from edensim.files import save_text
from edensim.sweep.grid import code_digest, digest

#: Where the functions of tasks are: the work of each part of edensim.
HOMES: Final = ("machine_work", "network_work")
#: Folders of configurations that outcomes hang on.
CONFIGURATIONS: Final = ("dram", "hardware", "modules")


@dataclass(frozen=True)
class Task:
    """function: its name in one of HOMES; cost: about how many CPU seconds, so that long ones begin first."""

    function: str
    arguments: Mapping[str, Any]
    cost: float = 1.0

    @property
    def key(self) -> str:
        """The same for the same work by the same code from the same configurations."""
        return digest(
            [
                __version__,
                code_digest(),
                _configurations(),
                self.function,
                dict(sorted(self.arguments.items())),
            ]
        )[:12]

    @property
    def file_name(self) -> str:
        """For people, and unique."""
        words = "-".join(
            _word(value)
            for value in self.arguments.values()
            if isinstance(value, str | int | float)
        )
        return f"{self.function}-{words[:80]}-{self.key}.json"

    def function_to_call(self) -> Callable[..., dict[str, Any]]:
        """The function that the name names."""
        for home in HOMES:
            found: Callable[..., dict[str, Any]] | None = getattr(
                import_module(f"edensim.reproduction.{home}"), self.function, None
            )
            if found is not None:
                return found
        raise EdensimError(f"{self.function}: no such work")

    def kept(self, folder: Path) -> dict[str, Any] | None:
        """What an earlier run found; None: nothing that can be read."""
        try:
            found: dict[str, Any] = json.loads(
                (folder / self.file_name).read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            return None
        return found if found.get("key") == self.key else None

    def run(self, folder: Path) -> dict[str, Any]:
        """Do the work and keep what comes out, whole or not at all."""
        import time

        began = time.process_time()
        outcome = self.function_to_call()(**self.arguments)
        kept: dict[str, Any] = {
            "key": self.key,
            "function": self.function,
            "arguments": dict(self.arguments),
            "version": __version__,
        }
        kept |= {"cpu_s": round(time.process_time() - began, 2), "outcome": outcome}
        save_text(folder / self.file_name, json.dumps(kept, indent=1, allow_nan=False) + "\n")
        return kept


@cache
def _configurations() -> str:
    """Of all that a run can name."""
    folders = [folder for kind in CONFIGURATIONS for folder in config_folders(kind)]
    return digest(
        [
            [path.name, path.read_text(encoding="utf-8")]
            for folder in folders
            for path in sorted(folder.glob("*.yaml"))
        ]
    )


def _word(value: Any) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", str(value))
