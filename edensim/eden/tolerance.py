"""What a network tolerates, as characterization found it and as its file keeps it: one BER for all data, and one for each data item."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edensim._version import __version__
from edensim.exceptions import InputError
from edensim.results.data_frame import data_frame

if TYPE_CHECKING:
    import pandas as pd

FORMAT: Final = "edensim-tolerance-1"


@dataclass(frozen=True)
class Probe:
    """A BER that was tried. accuracies: shares of images, one a repeat; interval: 95 % of their mean (None: one repeat)."""

    ber: float
    accuracies: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "ber": self.ber,
            "accuracies": list(self.accuracies),
            "mean": self.mean,
            "interval": self.interval,
            "passed": self.passed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Probe:
        interval = values["interval"]
        both = (float(interval[0]), float(interval[1])) if interval is not None else None
        return cls(
            _rate(values["ber"]),
            tuple(map(float, values["accuracies"])),
            float(values["mean"]),
            both,
            bool(values["passed"]),
        )


@dataclass(frozen=True)
class Trial:
    """One item's BER raised by a step, all others as they were, and the accuracy that the sample then had."""

    item: str
    ber: float
    accuracy: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "item": self.item,
            "ber": self.ber,
            "accuracy": self.accuracy,
            "passed": self.passed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        return cls(
            str(values["item"]),
            _rate(values["ber"]),
            float(values["accuracy"]),
            bool(values["passed"]),
        )


@dataclass(frozen=True)
class ItemTolerance:
    """Of one data item. role: weights or ifm; bytes: of a whole batch, at the precision; accuracy: of the sample when this BER passed."""

    role: str
    bytes: int
    ber: float
    accuracy: float

    def to_dict(self) -> dict[str, Any]:
        return {"role": self.role, "bytes": self.bytes, "ber": self.ber, "accuracy": self.accuracy}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ItemTolerance:
        return cls(
            str(values["role"]),
            int(values["bytes"]),
            _rate(values["ber"]),
            float(values["accuracy"]),
        )


@dataclass(frozen=True)
class Tolerance:
    """What a network tolerates; accuracies are shares of images.

    clean_accuracy: at the precision, without errors. drop: of it, that is accepted. ber: coarse, the highest that was found within `drop`; 0 where
    not even the lowest probed is. probes: ascending. items: in the order of first use; empty unless fine-grained. trials: of the fine search, in
    order. complete: False where the search was interrupted: what is said then is safe, but there may be more.
    """

    network: str
    dataset: str
    images: int
    precision: str
    bounding: str
    clean_accuracy: float
    drop: float
    ber: float
    probes: tuple[Probe, ...]
    items: Mapping[str, ItemTolerance] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    seed: int = 1
    complete: bool = True
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    @property
    def threshold(self) -> float:
        """Least accuracy that is accepted."""
        return self.clean_accuracy - self.drop

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        return {
            "format": FORMAT,
            "version": self.version,
            "network": self.network,
            "dataset": self.dataset,
            "images": self.images,
            "precision": self.precision,
            "bounding": self.bounding,
            "clean_accuracy": self.clean_accuracy,
            "drop": self.drop,
            "ber": self.ber,
            "complete": self.complete,
            "probes": [probe.to_dict() for probe in self.probes],
            "items": {name: item.to_dict() for name, item in self.items.items()},
            "trials": [trial.to_dict() for trial in self.trials],
            "seed": self.seed,
            "config": dict(self.config),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Any, name: str = "tolerance") -> Tolerance:
        """The inverse of `to_dict`. InputError, naming the source, for what is no tolerance or of another format."""
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            found = (
                values.get("format", "no key 'format'")
                if isinstance(values, dict)
                else type(values).__name__
            )
            raise InputError(
                f"{name}: not what `edensim tolerance` wrote: expected format {FORMAT!r}, found {found!r}"
            )
        try:
            return cls(
                network=str(values["network"]),
                dataset=str(values["dataset"]),
                images=int(values["images"]),
                precision=str(values["precision"]),
                bounding=str(values["bounding"]),
                clean_accuracy=float(values["clean_accuracy"]),
                drop=float(values["drop"]),
                ber=_rate(values["ber"]),
                probes=tuple(Probe.from_dict(each) for each in values["probes"]),
                items={
                    item: ItemTolerance.from_dict(each) for item, each in values["items"].items()
                },
                trials=tuple(Trial.from_dict(each) for each in values["trials"]),
                seed=int(values["seed"]),
                complete=bool(values["complete"]),
                config=dict(values["config"]),
                notes=dict(values["notes"]),
                version=str(values["version"]),
            )
        except KeyError as problem:
            raise InputError(
                f"{name}: not a complete tolerance: key {problem} is missing"
            ) from None
        except (TypeError, ValueError, AttributeError, IndexError) as problem:
            raise InputError(f"{name}: not a tolerance: {problem}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, whole or not at all. Raises InputError."""
        from edensim.files import save_text

        save_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tolerance:
        """Of a file that `save` wrote. Raises InputError."""
        try:
            with open(path, "rb") as file:
                values = json.load(file)
        except OSError as problem:
            raise InputError(f"{os.fspath(path)}: cannot be read: {problem.strerror}") from None
        except ValueError as problem:
            raise InputError(f"{os.fspath(path)}: not a JSON file: {problem}") from None
        return cls.from_dict(values, os.fspath(path))

    def to_dataframe(self) -> pd.DataFrame:
        """A row per data item (name, role, bytes, ber, accuracy), or, where it is not fine-grained, per probe (ber, mean, low, high, passed)."""
        if self.items:
            return data_frame(
                [{"item": name, **item.to_dict()} for name, item in self.items.items()]
            )
        ends = [probe.interval or (probe.mean, probe.mean) for probe in self.probes]
        return data_frame(
            [
                {"ber": p.ber, "mean": p.mean, "low": low, "high": high, "passed": p.passed}
                for p, (low, high) in zip(self.probes, ends, strict=True)
            ]
        )

    def summary(self) -> str:
        """A few lines: the coarse BER, the probes, and of items the span and those of least and most."""
        lines = [
            f"{self.network} on {self.images:,} images of {self.dataset}, {self.precision}, bounding {self.bounding}",
            f"{self.notes.get('measure', 'accuracy')} without errors  {self.clean_accuracy:.2%}; accepted from {self.threshold:.2%}",
            f"tolerable BER            {self.ber:.3g}"
            + ("" if self.complete else " (incomplete: the search was interrupted)"),
        ]
        for probe in self.probes:
            spread = (
                f"  ({probe.interval[0]:.2%} to {probe.interval[1]:.2%} at 95 %)"
                if probe.interval is not None
                else ""
            )
            lines.append(
                f"  {probe.ber:9.3g}  {probe.mean:7.2%}{spread}  {'within' if probe.passed else 'beyond'}"
            )
        for role in ("weights", "ifm"):
            own = {name: item.ber for name, item in self.items.items() if item.role == role}
            if own:
                low, high = min(own, key=own.__getitem__), max(own, key=own.__getitem__)
                mean = sum(own.values()) / len(own)
                lines.append(
                    f"{role:8} BER  {own[low]:.3g} ({low}) to {own[high]:.3g} ({high}), mean {mean:.3g}"
                )
        return "\n".join(lines)


def _rate(value: Any) -> float:
    """A BER. Raises ValueError."""
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(f"BER: expected 0 to 1, found {value!r}")
    return number
