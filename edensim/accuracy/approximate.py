"""A torch module whose weights and ifms come from approximate DRAM.

Each tensor that a layer loads is quantized and stored, its bits are flipped, implausible values are
corrected, and the layer computes with the result. The flips of a load are a pure function of (seed,
address, access), where `access` counts the passes, and the loads of a tensor within a pass. The
module keeps nothing else of a pass, so that threads can run passes side by side. Gradients go
straight through a load.
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

#: Number of accesses that each pass reserves for the loads of one tensor.
LOADS_PER_PASS: Final = 1 << 10

#: Errors by data item, or one kind for all; None: no errors.
Errors = Mapping[str, Injector | None] | Injector | None


@dataclass
class LoadCounters:
    """Bits read and flipped in the loads of a data item, and values corrected."""

    bits: int = 0
    flips: int = 0
    corrected: int = 0

    def add(self, other: LoadCounters) -> None:
        """Add other counters to these."""
        self.bits += other.bits
        self.flips += other.flips
        self.corrected += other.corrected


@dataclass
class Pass:
    """One inference of a batch.

    `number` is the number of passes before it; `uses` counts the loads of each item and the calls
    of each layer so far.
    """

    errors: Errors
    number: int
    uses: dict[str, int] = field(default_factory=dict)
    counters: dict[str, LoadCounters] = field(default_factory=dict)

    def count(self, name: str) -> int:
        """Count one use of a name, and return how many there were before."""
        before = self.uses.get(name, 0)
        self.uses[name] = before + 1
        return before

    def injector(self, item: str) -> Injector | None:
        """Return the errors of a data item."""
        return self.errors.get(item) if isinstance(self.errors, Mapping) else self.errors


@dataclass(frozen=True)
class Range:
    """Least and greatest value of a data item in clean runs."""

    low: float
    high: float

    def including(self, values: torch.Tensor) -> Range:
        """Widen the range so that it includes some values."""
        low, high = torch.aminmax(values.detach())
        return Range(min(self.low, float(low)), max(self.high, float(high)))


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]
    """Give loaded values the gradient of the stored ones."""

    @staticmethod
    def forward(_: Any, stored: torch.Tensor, loaded: torch.Tensor) -> torch.Tensor:
        return loaded.view_as(loaded)

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class ApproximateNetwork:
    """A module wrapped for approximate memory.

    The module itself is not changed, except for the forward of its layers while it is `attached`.
    Scales and bounds follow from the items' ranges in clean runs, which `calibrate` measures.
    Implausible values are replaced (`correction` zero or saturate), or stay (None).
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
        self._stored: dict[str, tuple[tuple[int, int], NDArray[Any]]] = {}
        self._local = threading.local()

    # -- passes

    def run(
        self,
        images: torch.Tensor,
        *,
        errors: Errors = None,
        number: int = 0,
        counters: dict[str, LoadCounters] | None = None,
    ) -> torch.Tensor:
        """Compute a batch at the network's precision, with errors in the loads of its data items.

        `number` is the number of the pass. The loads are added to `counters`. Raises InputError for
        a batch that is larger than the layout's, and before `calibrate`.
        """
        if not self.storages:
            raise InputError(
                f"{self.placing.layout.network.name}: not calibrated: scales and bounds come from "
                "clean runs; expected a call of calibrate before"
            )
        batch = self.placing.layout.network.batch
        if len(images) > batch:
            raise InputError(f"a batch of {len(images)} inputs: laid out for {batch}")
        current = Pass(errors, number)
        with self._passing(current):
            result = cast(torch.Tensor, self.module(images))
        if counters is not None:
            for name, counter in current.counters.items():
                counters.setdefault(name, LoadCounters()).add(counter)
        return result

    @contextmanager
    def _passing(self, current: Pass | dict[str, Range]) -> Iterator[None]:
        self._local.current = current
        try:
            yield
        finally:
            self._local.current = None

    @contextmanager
    def attached(self) -> Iterator[ApproximateNetwork]:
        """Let the module's layers load from approximate memory in `run`, and only there."""
        layers = dict(self.module.named_modules())
        for path in self.placing.calls:
            layers[path].forward = functools.partial(self._forward, path, layers[path])
        try:
            yield self
        finally:
            for path in self.placing.calls:
                del layers[path].forward

    def calibrate(self, batches: Iterator[torch.Tensor] | list[torch.Tensor]) -> None:
        """Take scales and bounds from the weights and from what layers read in clean FP32 passes.

        Raises NetworkError for a tensor that is not finite.
        """
        ranges: dict[str, Range] = {}
        with torch.no_grad(), self._passing(ranges):
            for images in batches:
                self.module(images)
        self.set_ranges(ranges)

    def set_ranges(self, ranges: Mapping[str, Range]) -> None:
        """Set scales and bounds for data items that have these ranges."""
        for name, span in ranges.items():
            if not np.isfinite([span.low, span.high]).all():
                raise NetworkError(
                    f"{self.placing.layout.network.name}: {name!r} has values that are not finite: "
                    f"{span.low:g} to {span.high:g}"
                )
            storage = Storage.of(self.precision, max(abs(span.low), abs(span.high)))
            low, high = storage.numbers(torch.tensor([span.low, span.high])).tolist()
            self.ranges[name], self.storages[name] = span, storage
            self.bounds[name] = (
                None
                if self.correction is None
                else Bounds(low, high, self.correction, self.comparison)  # type: ignore[arg-type]
            )

    # -- loads

    def _forward(self, path: str, layer: Any, images: torch.Tensor) -> torch.Tensor:
        """Compute a layer with loaded values; this replaces the layer's own forward."""
        current = getattr(self._local, "current", None)
        if current is None:
            return cast(torch.Tensor, type(layer).forward(layer, images))
        calls = self.placing.calls[path]
        if isinstance(current, dict):
            for name, values in zip(calls[0], (layer.weight, images), strict=True):
                current[name] = current.get(name, Range(np.inf, -np.inf)).including(values)
            return cast(torch.Tensor, type(layer).forward(layer, images))
        weights, ifm = calls[current.count(f"call of {path}") % len(calls)]
        # Gradients are made of loaded values, which must then outlast the next load.
        buffers = None if torch.is_grad_enabled() else self._buffers()
        read = self._load(current, ifm, images, self.storages[ifm].stored(images, buffers), buffers)
        return _compute(
            layer,
            read,
            self._load(current, weights, layer.weight, self._stored_weights(weights, layer.weight)),
        )

    def _buffers(self) -> Buffers:
        """Return the buffers of this thread."""
        if not hasattr(self._local, "buffers"):
            self._local.buffers = Buffers()
        return cast(Buffers, self._local.buffers)

    def _stored_weights(self, name: str, weights: torch.Tensor) -> NDArray[Any]:
        """Return a copy of weights as stored; they are quantized again only after a change."""
        state = (id(weights), weights._version)
        known = self._stored.get(name)
        if known is None or known[0] != state:
            known = self._stored[name] = (state, self.storages[name].stored(weights))
        return known[1].copy()

    def _load(
        self,
        current: Pass,
        name: str,
        values: torch.Tensor,
        stored: NDArray[Any],
        buffers: Buffers | None = None,
    ) -> torch.Tensor:
        """Read a data item from memory, which holds it as `stored`."""
        injector = current.injector(name)
        flips = 0
        bounds = None
        if injector is not None:
            access = current.number * LOADS_PER_PASS + current.count(name)
            flips = injector.flip(stored, self.placing.items[name].address, access=access)
            bounds = self.bounds[name]  # even if no bit flipped: the logic cannot know
        loaded, corrected = self.storages[name].loaded(
            stored, values.shape, bounds, values.device, buffers
        )
        current.counters.setdefault(name, LoadCounters()).add(
            LoadCounters(8 * stored.nbytes, flips, corrected)
        )
        if values.requires_grad and torch.is_grad_enabled():
            return cast(torch.Tensor, _StraightThrough.apply(values, loaded))
        return loaded


def _compute(layer: Any, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute a layer's output with the given weights."""
    if isinstance(layer, torch.nn.Linear):
        return torch.nn.functional.linear(images, weights, layer.bias)
    return cast(torch.Tensor, layer._conv_forward(images, weights, layer.bias))
