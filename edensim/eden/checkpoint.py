"""The file that lets a retraining go on if it was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edensim.accuracy.weights import load_tensors, save_tensors
from edensim.exceptions import InputError


@dataclass(frozen=True)
class Checkpoint:
    """What a retraining keeps after each epoch.

    Attributes
    ----------
    path : Path
        The file.
    identity : dict
        What a retraining must have in common with the one that wrote the file.
    resume : bool
        Whether to go on from the file, if it exists.
    """

    path: Path
    identity: dict[str, Any]
    resume: bool = False

    def save(self, state: dict[str, Any]) -> None:
        """Write a state, whole or not at all."""
        save_tensors(self.path, {"identity": self.identity, **state})

    def load(self) -> dict[str, Any] | None:
        """Return the state to go on from; None if there is none.

        Raises InputError for a file that is not a checkpoint of the same retraining.
        """
        if not self.resume or not self.path.exists():
            return None
        try:
            state = load_tensors(self.path)
        except ValueError as problem:
            raise InputError(f"{self.path}: cannot be read as a checkpoint: {problem}") from None
        if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
            raise InputError(
                f"{self.path}: is no checkpoint of a boosting; expected one, or no such file"
            )
        for key, new in self.identity.items():
            if (old := state["identity"].get(key)) != new:
                raise InputError(
                    f"{self.path}: {key} is {old!r} there and {new!r} here; expected a checkpoint "
                    "of the same boosting"
                )
        return state
