"""What a network tolerates: one BER for all data, and one for each data item, with its file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from edensim._version import __version__
from edensim.accuracy.evaluation import spread_of
from edensim.exceptions import InputError
from edensim.files import read_json, save_text
from edensim.results.data_frame import data_frame

if TYPE_CHECKING:
    import pandas as pd

FORMAT: Final = "edensim-tolerance-1"
#: Keys of the file after its format and version, in their order.
_KEYS: Final = (
    "network dataset images precision bounding clean_accuracy drop ber complete probes items "
    "trials seed config notes"
).split()

Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True)
class Probe:
    """A BER that was tried for all data.

    Attributes
    ----------
    ber : float
        The bit error rate.
    accuracies : tuple of float
        Accuracy in each memory.
    mean : float
        Their mean.
    interval : tuple of float, optional
        95 % confidence interval of the mean; None if there is one memory.
    passed : bool
        Whether the accuracy is within the drop.
    """

    ber: Rate
    accuracies: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    passed: bool


@dataclass(frozen=True)
class Trial:
    """One item's BER raised by a step, and the accuracy that the sample then had."""

    item: str
    ber: Rate
    accuracy: float
    passed: bool


@dataclass(frozen=True)
class ItemTolerance:
    """What one data item tolerates.

    Attributes
    ----------
    role : str
        ``weights`` or ``ifm``.
    bytes : int
        Size at the precision, of the whole batch.
    ber : float
        The tolerable bit error rate.
    accuracy : float
        Accuracy of the sample when this BER passed.
    """

    role: str
    bytes: int
    ber: Rate
    accuracy: float


@dataclass(frozen=True)
class Tolerance:
    """What a network tolerates; accuracies are shares of images.

    Attributes
    ----------
    network, dataset : str
        What was tested, and on what.
    images : int
        Number of images.
    precision, bounding : str
        How data were stored, and what became of implausible values.
    clean_accuracy : float
        Accuracy at the precision, without errors.
    drop : float
        How much of it may be lost.
    ber : float
        Coarse BER: the highest within the drop; 0 if not even the lowest probed is.
    probes : tuple of Probe
        The BERs that were tried, ascending.
    items : Mapping
        What each data item tolerates, in the order of first use; empty after a coarse search.
    trials : tuple of Trial
        The steps of the fine search, in their order.
    seed : int
        Seed of the first memory.
    complete : bool
        False if the search was interrupted: the BERs are safe, but higher ones may be, too.
    config, notes : Mapping
        What the result depends on, and what is to be known about it.
    version : str
        Version of edensim.
    """

    network: str
    dataset: str
    images: int
    precision: str
    bounding: str
    clean_accuracy: float
    drop: float
    ber: Rate
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
        """Return plain values, as the file has them."""
        values = msgspec.to_builtins(self)
        return {
            "format": FORMAT,
            "version": self.version,
            **{key: values[key] for key in _KEYS},
        }

    @classmethod
    def from_dict(cls, values: Any, name: str = "tolerance") -> Tolerance:
        """Make a tolerance of what `to_dict` returned.

        Raises InputError, which begins with `name`, for other values.
        """
        format_ = values.get("format") if isinstance(values, dict) else type(values).__name__
        if format_ != FORMAT:
            raise InputError(
                f"{name}: not what `edensim tolerance` wrote: expected format {FORMAT!r}, "
                f"found {format_ or 'no format'!r}"
            )
        for key in ("version", *_KEYS):
            if key not in values:
                raise InputError(f"{name}: not a complete tolerance: key {key!r} is missing")
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as problem:
            raise InputError(f"{name}: not a tolerance: {problem}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tolerance as JSON, whole or not at all; raises InputError."""
        save_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tolerance:
        """Read what `save` wrote; raises InputError."""
        return cls.from_dict(read_json(path, "JSON of `edensim tolerance`"), os.fspath(path))

    def to_dataframe(self) -> pd.DataFrame:
        """Return a table with a row per data item, or else per probe.

        The columns are item, role, bytes, ber and accuracy; or ber, mean, low, high and passed.
        """
        if self.items:
            return data_frame([{"item": name, **vars(item)} for name, item in self.items.items()])
        ends = [probe.interval or (probe.mean, probe.mean) for probe in self.probes]
        return data_frame(
            [
                {"ber": p.ber, "mean": p.mean, "low": low, "high": high, "passed": p.passed}
                for p, (low, high) in zip(self.probes, ends, strict=True)
            ]
        )

    def summary(self) -> str:
        """Return a few lines: the coarse BER, the probes, and the extremes of the data items."""
        remark = "" if self.complete else " (incomplete: the search was interrupted)"
        lines = [
            f"{self.network} on {self.images:,} images of {self.dataset}, {self.precision}, "
            f"bounding {self.bounding}",
            f"{self.notes.get('measure', 'accuracy')} without errors  {self.clean_accuracy:.2%}; "
            f"accepted from {self.threshold:.2%}",
            f"tolerable BER            {self.ber:.3g}{remark}",
        ]
        for probe in self.probes:
            spread = f" {spread_of(probe.interval)}" if probe.interval is not None else ""
            verdict = "within" if probe.passed else "beyond"
            lines.append(f"  {probe.ber:9.3g}  {probe.mean:7.2%}{spread}  {verdict}")
        for role in ("weights", "ifm"):
            bers = {name: item.ber for name, item in self.items.items() if item.role == role}
            if bers:
                low, high = min(bers, key=bers.__getitem__), max(bers, key=bers.__getitem__)
                mean = sum(bers.values()) / len(bers)
                lines.append(
                    f"{role:8} BER  {bers[low]:.3g} ({low}) to {bers[high]:.3g} ({high}), "
                    f"mean {mean:.3g}"
                )
        return "\n".join(lines)
