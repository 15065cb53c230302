"""A torch module whose weights and ifms come from approximate DRAM: each load is quantized, stored, flipped, bounded and used.

A load's flips are a pure function of (seed, address, access): `access` counts the passes, and the loads of a tensor within one. Nothing else of
a pass is kept in the module, so that threads can run passes side by side. Gradients go straight through a load.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray

from edensim.accuracy.placement import Placing
from edensim.accuracy.quantization import Buffers, Storage
from edensim.bit_errors.bounding import Bounds
from edensim.bit_errors.injector import Injector
from edensim.exceptions import InputError, NetworkError

#: Loads of one tensor in a pass that have accesses of their own.
LOADS_PER_PASS: Final = 1 << 10

#: Injectors by item, or one for all; None: no errors.
Errors = Mapping[str, Injector | None] | Injector | None


@dataclass
class Tally:
    """What came of an item's loads. bits, flips: read and flipped; corrected: values beyond the bounds."""

    bits: int = 0
    flips: int = 0
    corrected: int = 0

    def add(self, other: Tally) -> None:
        """Count the other's too."""
        self.bits += other.bits
        self.flips += other.flips
        self.corrected += other.corrected

    @property
    def ber(self) -> float:
        """Flipped bits of all bits read."""
        return self.flips / self.bits if self.bits else 0.0


@dataclass
class Pass:
    """One inference of a batch. number: how many came before; loads: of each item and calls of each layer so far."""

    errors: Errors
    number: int
    loads: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)

    def count(self, name: str) -> int:
        """How often it was asked before."""
        before = self.loads.get(name, 0)
        self.loads[name] = before + 1
        return before

    def injector(self, item: str) -> Injector | None:
        """That of an item."""
        return self.errors.get(item) if isinstance(self.errors, Mapping) else self.errors


@dataclass(frozen=True)
class Range:
    """Least and greatest value of an item in clean runs."""

    low: float
    high: float

    def including(self, values: torch.Tensor) -> Range:
        """Wide enough for these, too."""
        low, high = torch.aminmax(values.detach())
        return Range(min(self.low, float(low)), max(self.high, float(high)))


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]
    """What was loaded, with the gradient of what was stored."""

    @staticmethod
    def forward(_: Any, stored: torch.Tensor, loaded: torch.Tensor) -> torch.Tensor:
        return loaded.view_as(loaded)

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class ApproximateNetwork:
    """A module wrapped for approximate memory; the module itself stays as it is, but for the forward of the layers that load while `attached`.

    correction: zero, saturate, or None for no bounding. ranges: of items in clean runs, set by `calibrate`; of them follow scales and bounds.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        placing: Placing,
        precision: str,
        *,
        correction: str | None = "zero",
        comparison: str = "value",
    ) -> None:
        self.module, self.placing, self.precision = module, placing, precision
        self.correction, self.comparison = correction, comparison
        self.ranges: dict[str, Range] = {}
        self.storages: dict[str, Storage] = {}
        self.bounds: dict[str, Bounds | None] = {}
        self._kept: dict[str, tuple[tuple[int, int], NDArray[Any]]] = {}
        self._own = threading.local()

    # -- passes

    def run(
        self,
        images: torch.Tensor,
        *,
        errors: Errors = None,
        number: int = 0,
        tallies: dict[str, Tally] | None = None,
    ) -> torch.Tensor:
        """Outputs of a batch at the network's precision. number: of the pass; tallies: where to add up what came of each item's loads.

        Raises InputError for a batch larger than the layout's, and before `calibrate`.
        """
        if not self.storages:
            raise InputError(
                f"{self.placing.layout.network.name}: not calibrated: scales and bounds come from clean runs"
            )
        batch = self.placing.layout.network.batch
        if len(images) > batch:
            raise InputError(f"a batch of {len(images)} inputs: laid out for {batch}")
        own = Pass(errors, number)
        with self._passing(own):
            result = cast(torch.Tensor, self.module(images))
        if tallies is not None:
            for name, tally in own.tallies.items():
                tallies.setdefault(name, Tally()).add(tally)
        return result

    @contextmanager
    def _passing(self, current: Pass | dict[str, Range]) -> Iterator[None]:
        self._own.current = current
        try:
            yield
        finally:
            self._own.current = None

    @contextmanager
    def attached(self) -> Iterator[ApproximateNetwork]:
        """While this lasts, the module's layers load from approximate memory in `run`, and only there."""
        layers = dict(self.module.named_modules())
        for path in self.placing.calls:
            layers[path].forward = functools.partial(self._forward, path, layers[path])
        try:
            yield self
        finally:
            for path in self.placing.calls:
                del layers[path].forward

    def calibrate(self, batches: Iterator[torch.Tensor] | list[torch.Tensor]) -> None:
        """Scales and bounds from the module's weights and from what its layers read for these inputs, without errors, at FP32.

        Raises NetworkError for a tensor that is not finite.
        """
        ranges: dict[str, Range] = {}
        with torch.no_grad(), self._passing(ranges):
            for images in batches:
                self.module(images)
        self.set_ranges(ranges)

    def set_ranges(self, ranges: Mapping[str, Range]) -> None:
        """Scales and bounds for items of these ranges."""
        for name, seen in ranges.items():
            if not np.isfinite([seen.low, seen.high]).all():
                raise NetworkError(
                    f"{self.placing.layout.network.name}: {name!r} has values that are not finite: {seen.low:g} to {seen.high:g}"
                )
            storage = Storage.of(self.precision, max(abs(seen.low), abs(seen.high)))
            low, high = storage.numbers(torch.tensor([seen.low, seen.high])).tolist()
            self.ranges[name], self.storages[name] = seen, storage
            self.bounds[name] = (
                None
                if self.correction is None
                else Bounds(low, high, self.correction, self.comparison)  # type: ignore[arg-type]
            )

    # -- loads

    def _forward(self, path: str, layer: Any, images: torch.Tensor) -> torch.Tensor:
        """What a layer does instead of its own forward."""
        current = getattr(self._own, "current", None)
        if current is None:
            return cast(torch.Tensor, type(layer).forward(layer, images))
        calls = self.placing.calls[path]
        if isinstance(current, dict):
            for name, values in zip(calls[0], (layer.weight, images), strict=True):
                current[name] = current.get(name, Range(np.inf, -np.inf)).including(values)
            return cast(torch.Tensor, type(layer).forward(layer, images))
        weights, ifm = calls[current.count(f"call of {path}") % len(calls)]
        buffers = (
            None if torch.is_grad_enabled() else self._buffers()
        )  # what a gradient is made of must last
        read = self._load(current, ifm, images, self.storages[ifm].stored(images, buffers), buffers)
        return _compute(
            layer,
            read,
            self._load(current, weights, layer.weight, self._stored_weights(weights, layer.weight)),
        )

    def _buffers(self) -> Buffers:
        """This thread's."""
        if not hasattr(self._own, "buffers"):
            self._own.buffers = Buffers()
        return cast(Buffers, self._own.buffers)

    def _stored_weights(self, name: str, weights: torch.Tensor) -> NDArray[Any]:
        """A fresh copy of weights as stored; they are quantized again only after they have changed."""
        state = (id(weights), weights._version)
        kept = self._kept.get(name)
        if kept is None or kept[0] != state:
            kept = (state, self.storages[name].stored(weights))
            self._kept[name] = kept
        return kept[1].copy()

    def _load(
        self,
        current: Pass,
        name: str,
        values: torch.Tensor,
        stored: NDArray[Any],
        buffers: Buffers | None = None,
    ) -> torch.Tensor:
        """An item read from memory, where it is `stored`."""
        injector = current.injector(name)
        flips = 0
        bounds = None
        if injector is not None:
            access = current.number * LOADS_PER_PASS + current.count(name)
            flips = injector.flip(stored, self.placing.items[name].address, access=access)
            bounds = self.bounds[
                name
            ]  # also where nothing flipped: the logic sees loads, not errors
        loaded, corrected = self.storages[name].loaded(
            stored, values.shape, bounds, values.device, buffers
        )
        current.tallies.setdefault(name, Tally()).add(Tally(8 * stored.nbytes, flips, corrected))
        if values.requires_grad and torch.is_grad_enabled():
            return cast(torch.Tensor, _StraightThrough.apply(values, loaded))
        return loaded


def _compute(layer: Any, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A layer's output with other weights."""
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.functional.linear(images, weights, layer.bias)
    return cast(torch.Tensor, layer._conv_forward(images, weights, layer.bias))
