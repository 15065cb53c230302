"""Flip the bits of a numpy array that fail in approximate DRAM."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edensim.bit_errors.injector import ONES_IN_BYTE, Bytes, bytes_of
from edensim.bit_errors.models import ErrorModel, at_ber
from edensim.bit_errors.plan import ErrorPlan, plan_errors
from edensim.config.loading import load_config
from edensim.config.options import Options
from edensim.dram.memory_system import MemorySystem
from edensim.exceptions import ConfigError, InputError

__all__ = ["Injection", "inject", "ones_in"]


@dataclass(frozen=True)
class Injection:
    """An array as it came out of the memory, and how many of its bits were wrong.

    Attributes
    ----------
    array
        The flipped copy, or the array itself if it was flipped in place.
    flips, bits
        Number of wrong bits, and of all bits.
    expected_ber
        Bit error rate that the model gives for these data; None if several models hold for them.
    address, access
        Where the array lay, and how often it was read before.
    notes
        Model, operating points, assumptions and seed.
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
        """Share of the bits that were flipped."""
        return self.flips / self.bits if self.bits else 0.0

    def remarks(self) -> str:
        """Return what a reader must know beside the BER.

        That is what was expected, corrected, assumed and extrapolated.
        """
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
        """Return all but the array, as plain values."""
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


class InjectOptions(Options, frozen=True, kw_only=True):
    """Options of `edensim.inject`."""

    module: Annotated[
        Any,
        Meta(
            description="Take the errors of a fitted DRAM module, at the operating point that "
            "--set dram... gives.",
            extra={"metavar": "MODULE.yaml"},
        ),
    ] = None
    model: Annotated[
        Any,
        Meta(
            description="Take the errors of an error model instead: 0-3, uniform, bitline, "
            "wordline or data-dependent.",
            extra={"metavar": "NAME"},
        ),
    ] = None
    ber: Annotated[
        float | None,
        Meta(description="Bit error rate of the model.", extra={"metavar": "BER"}),
    ] = None
    address: Annotated[
        int,
        Meta(description="Address of the first byte.", extra={"option": None}),
    ] = 0
    segments: Annotated[
        tuple[tuple[int, int], ...] | None,
        Meta(
            description="Address and number of bytes of each piece of the array, instead of one "
            "address.",
            extra={"option": None},
        ),
    ] = None
    access: Annotated[
        int,
        Meta(
            description="How often the array was read before: other accesses draw other failures "
            "of the same weak cells.",
        ),
    ] = 0
    seed: Annotated[
        int | None,
        Meta(description="Seed of the places of weak cells (default: that of the module, else 1)."),
    ] = None
    intervals_ns: Annotated[
        Any,
        Meta(
            description="ACT-to-RD interval in ns of all reads, or of each 64-byte line touched in "
            "the order of addresses; the exposure rule is `elapsed` then.",
            extra={"option": None},
        ),
    ] = None
    in_place: Annotated[
        bool,
        Meta(description="Flip the bits of the array itself.", extra={"option": None}),
    ] = False
    threads: Annotated[
        int, Meta(description="Number of threads to use.", extra={"option": None})
    ] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ber is None and self.model is not None and not isinstance(self.model, ErrorModel):
            raise ConfigError(
                "ber: missing; expected the bit error rate of the model, or an ErrorModel with "
                "its parameters"
            )

    def error_model(self) -> ErrorModel | None:
        """Return the error model that the options name, if they name one."""
        if isinstance(self.model, ErrorModel):
            return self.model if self.ber is None else self.model.at_ber(self.ber)
        if self.ber is None:
            return None
        return at_ber("uniform" if self.model is None else self.model, self.ber)


def inject(
    array: NDArray[Any],
    *,
    options: InjectOptions | None = None,
    config: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    **arguments: Any,
) -> Injection:
    """Flip the bits of an array that fail when it is read from the memory.

    Parameters
    ----------
    array
        An array of any shape and dtype; int4 values are two per byte.
    options
        Options of the injection.
    config, overrides
        The configuration, as for `edensim.simulate`.
    **arguments
        Fields of `InjectOptions` by name, which take precedence over `options`, and sections of
        the configuration, such as ``dram={"trcd_ns": 5}``.

    Returns
    -------
    Injection

    Raises
    ------
    InputError
        If an option or the configuration cannot be accepted.
    """
    options, sections = InjectOptions.gather(options, arguments)
    intervals, of_lines = None, None
    if options.intervals_ns is not None:
        intervals, of_lines = _intervals(options.intervals_ns)
    plan = _planned(options, intervals, config, overrides, sections)
    if plan.exposure == "elapsed" and intervals is None:
        raise ConfigError(
            "errors.exposure: 'elapsed' needs intervals_ns, which say how long after its row's "
            "activation each line was read"
        )
    read = array if options.in_place else np.array(array, order="C")
    data = bytes_of(read)
    pieces = _pieces(data.size, options.address, options.segments)
    expected = _expected_ber(plan, data)
    flips = first = 0
    for (start, size), lines in zip(pieces, _classes(plan, pieces, of_lines), strict=True):
        flips += plan.injector.flip(
            data[first : first + size],
            start,
            access=options.access,
            line_classes=lines,
            threads=options.threads,
        )
        first += size
    address = pieces[0][0] if pieces else options.address
    return Injection(read, flips, 8 * data.size, expected, address, options.access, plan.notes)


def _planned(
    options: InjectOptions,
    intervals_ns: list[float] | None,
    config: str | os.PathLike[str] | None,
    overrides: Sequence[str],
    sections: Mapping[str, Any],
) -> ErrorPlan:
    """Plan the bit errors of the configured memory, of which the options change some keys."""
    module = options.module
    keys = list(overrides)
    if isinstance(module, str | os.PathLike):
        keys.append(f"errors.module={os.fspath(module)}")
        module = None
    if options.seed is not None:
        keys.append(f"errors.seed={options.seed}")
    if intervals_ns is not None:
        keys.append("errors.exposure=elapsed")
    model = options.error_model()
    loaded = load_config(Path(config) if config is not None else None, keys, sections)
    if model is not None and (module is not None or loaded.config.errors.module is not None):
        raise ConfigError(
            "model: given beside a module, which has its own; expected one of the two"
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
    """Return the different ACT-to-RD intervals, ascending, and which each line has (or all lines).

    If there are more than 256, neighbours count as the shorter one.
    """
    values = np.asarray(given, dtype=np.float64)
    if values.ndim > 1 or not np.isfinite(values).all() or (values < 0).any() or values.size == 0:
        raise InputError("intervals_ns: expected one finite number from 0, or one for each line")
    different, index = np.unique(values, return_inverse=True)
    group = -(-len(different) // 256)
    return different[::group].tolist(), (index // group).reshape(values.shape).astype(np.uint8)


def _classes(
    plan: ErrorPlan, pieces: Sequence[tuple[int, int]], of_lines: NDArray[np.uint8] | None
) -> list[Bytes | None]:
    """Return the class of each line of each piece."""
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
    """Return the BER that a model gives for the ones in the data; None if several models hold."""
    models = {model for partition in plan.injector.models for model in partition}
    if len(models) > 1:
        return None
    [model] = models
    return model.expected_ber(
        ones_in(data) / (8 * data.size) if data.size and model.distribution.data_dependent else 0.5
    )


def ones_in(data: Bytes) -> int:
    """Count the bits of bytes that are 1."""
    return int(np.bincount(data, minlength=256) @ ONES_IN_BYTE)
