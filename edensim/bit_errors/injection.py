"""`edensim.inject`: bit errors of approximate DRAM in a numpy array, as `edensim inject` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.injector import Bytes, bytes_of
from edensim.bit_errors.models import ErrorModel, at_ber
from edensim.bit_errors.module import Module
from edensim.bit_errors.plan import ErrorPlan, plan_errors
from edensim.config.loading import load_config
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ConfigError, InputError

__all__ = ["Injection", "inject", "ones_in"]


@dataclass(frozen=True)
class Injection:
    """An array as it came out of the memory, and how many of its bits were wrong.

    array: the flipped copy (or, in place, the array itself). bits: of the array. expected_ber: of the model in these data, where one model holds
    for all of it, else None. notes: model, points, assumptions, seed.
    """

    array: NDArray[Any]
    flips: int
    bits: int
    expected_ber: float | None
    address: int
    access: int
    notes: Mapping[str, Any]

    @property
    def ber(self) -> float:
        """Flipped bits of all bits."""
        return self.flips / self.bits if self.bits else 0.0

    def remarks(self) -> str:
        """What a reader must know beside the BER: what was expected, corrected, assumed, and extrapolated."""
        words = [] if self.expected_ber is None else [f" (expected {self.expected_ber:.3g})"]
        if "bounding" in self.notes:
            words.append(f"; {self.notes['bounding']['corrected']:,} implausible values corrected")
        words += [
            f"\nassumed: {name}: {text}" for name, text in self.notes.get("assumptions", {}).items()
        ]
        words += [
            f"\nbeyond the module's data: {text}" for text in self.notes.get("beyond_data", ())
        ]
        return "".join(words)

    def to_dict(self) -> dict[str, Any]:
        """All but the array, as plain values."""
        return {
            "flips": self.flips,
            "bits": self.bits,
            "ber": self.ber,
            "expected_ber": self.expected_ber,
            "dtype": str(self.array.dtype),
            "elements": int(self.array.size),
            "address": self.address,
            "access": self.access,
            **self.notes,
        }


def inject(
    array: NDArray[Any],
    *,
    module: str | os.PathLike[str] | Module | None = None,
    model: ErrorModel | str | int | None = None,
    ber: float | None = None,
    address: int = 0,
    segments: Sequence[tuple[int, int]] | None = None,
    access: int = 0,
    seed: int | None = None,
    intervals_ns: float | Sequence[float] | NDArray[np.floating[Any]] | None = None,
    in_place: bool = False,
    threads: int = 1,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    **sections: Mapping[str, Any],
) -> Injection:
    """Flip the bits of an array that fail when it is read from the memory. Any dtype; int4 as bytes of two.

    module: of configs/modules/ or a file, at the operating point of the configuration (`dram={"trcd_ns": 5}`), partitions at theirs; or model: an
    ErrorModel, or a name or number with `ber`. seed: where weak cells lie (None: the module's, else 1). access: how often it was read before;
    other accesses draw other failures of the same weak cells.
    address: of the first byte; segments: (address, bytes) of the array's pieces instead.
    intervals_ns: ACT-to-RD interval of each 64-byte line touched, in the order of addresses, or of all: the exposure rule is `elapsed` then.
    config, overrides, sections: as for `edensim.simulate`.

    Raises InputError (what was asked cannot be accepted).
    """
    intervals = None if intervals_ns is None else _intervals(intervals_ns)
    plan = _planned(
        module,
        model,
        ber,
        seed,
        None if intervals is None else intervals[0],
        config,
        overrides,
        sections,
    )
    if plan.exposure == "elapsed" and intervals is None:
        raise ConfigError(
            "errors.exposure: 'elapsed' needs intervals_ns: how long after its row's activation "
            "each line was read"
        )
    read = array if in_place else np.array(array, order="C")
    data = bytes_of(read)
    pieces = _pieces(data.size, address, segments)
    classes = _classes(plan, pieces, None if intervals is None else intervals[1])
    expected = _expected_ber(plan, data)
    flips = 0
    first = 0
    for (start, size), lines in zip(pieces, classes, strict=True):
        flips += plan.injector.flip(
            data[first : first + size], start, access=access, line_classes=lines, threads=threads
        )
        first += size
    return Injection(
        read,
        flips,
        8 * data.size,
        expected,
        pieces[0][0] if pieces else address,
        access,
        plan.notes,
    )


def _planned(
    module: str | os.PathLike[str] | Module | None,
    model: ErrorModel | str | int | None,
    ber: float | None,
    seed: int | None,
    intervals_ns: list[float] | None,
    config: str | os.PathLike[str] | None,
    overrides: Sequence[str],
    sections: Mapping[str, Any],
) -> ErrorPlan:
    """The plan of all that `inject` can be told."""
    named = list(overrides)
    if isinstance(module, str | os.PathLike):
        named.append(f"errors.module={os.fspath(module)}")
        module = None
    if seed is not None:
        named.append(f"errors.seed={seed}")
    if intervals_ns is not None:
        named.append("errors.exposure=elapsed")
    if isinstance(model, ErrorModel):
        if ber is not None:
            model = model.at_ber(ber)
    elif model is not None or ber is not None:
        if ber is None:
            raise ConfigError(
                "ber: missing; expected the bit error rate of the model, or an ErrorModel with its "
                "parameters"
            )
        model = at_ber("uniform" if model is None else model, ber)
    loaded = load_config(Path(config) if config is not None else None, named, sections)
    if model is not None and (module is not None or loaded.config.errors.module is not None):
        raise ConfigError(
            "model: given beside a module, which knows its own; expected one of the two"
        )
    with loaded.locating():
        return plan_errors(
            MemorySystem.resolve(loaded.config.dram, loaded.config.controller),
            loaded.config.errors,
            module=module,
            model=model,
            intervals_ns=intervals_ns,
        )


def _pieces(
    size: int, address: int, segments: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int]]:
    if segments is None:
        return [(address, size)]
    given = sum(length for _, length in segments)
    if given != size or any(length < 0 for _, length in segments):
        raise InputError(f"segments: expected pieces of {size} bytes in all, found {given}")
    return [(int(start), int(length)) for start, length in segments]


def _intervals(given: Any) -> tuple[list[float], NDArray[np.uint8]]:
    """Different ACT-to-RD intervals, ascending, and which each line has (or all lines). Beyond 256, neighbours count as the shorter one."""
    values = np.asarray(given, dtype=np.float64)
    if values.ndim > 1 or not np.isfinite(values).all() or (values < 0).any() or values.size == 0:
        raise InputError("intervals_ns: expected one finite number from 0, or one for each line")
    different, index = np.unique(values, return_inverse=True)
    group = -(-len(different) // 256)
    return different[::group].tolist(), (index // group).reshape(values.shape).astype(np.uint8)


def _classes(
    plan: ErrorPlan, pieces: Sequence[tuple[int, int]], of_lines: NDArray[np.uint8] | None
) -> list[Bytes | None]:
    """Class of each line of each piece."""
    if of_lines is None:
        return [None] * len(pieces)
    shift = plan.geometry.access_bits
    counts = [
        ((start + size - 1) >> shift) - (start >> shift) + 1 if size else 0
        for start, size in pieces
    ]
    if of_lines.ndim and of_lines.shape != (sum(counts),):
        raise InputError(
            f"intervals_ns: expected one number, or one for each of the {sum(counts)} lines, found "
            f"{of_lines.size}"
        )
    lines = np.broadcast_to(of_lines, (sum(counts),))
    ends = np.cumsum(counts).tolist()
    return [
        np.ascontiguousarray(lines[end - count : end])
        for end, count in zip(ends, counts, strict=True)
    ]


def _expected_ber(plan: ErrorPlan, data: Bytes) -> float | None:
    """Of the one model that holds for all of the data, by the ones that they have; None where several do."""
    models = {model for partition in plan.injector.models for model in partition}
    if len(models) > 1:
        return None
    [model] = models
    return model.expected_ber(
        ones_in(data) / (8 * data.size) if data.size and model.distribution.data_dependent else 0.5
    )


def ones_in(data: Bytes) -> int:
    """Bits of bytes that are 1."""
    counts = np.bincount(data, minlength=256)
    return int(counts @ np.array([byte.bit_count() for byte in range(256)]))
