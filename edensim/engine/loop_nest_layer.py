"""What a layer runs on cores: nests of loops over arrays, and which of their turns are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """A nest whose turns of the outermost loop are alike: some are walked, the rest extrapolated.

    Attributes
    ----------
    nest : int
        Index of the nest in the layer.
    shared_bytes, each_bytes : int
        Bytes that all turns touch in common, and bytes that each turn adds.
    touches : int
        Cache lines touched in a turn.
    steps : int
        Turns of the second loop if those are alike too and each touches its own part of what all
        turns share; otherwise 1.
    each, shared : tuple of int
        Indices of shadow nests that touch the same lines once: the lines of one turn (with the
        same outermost loop), and the lines that all turns share.
    """

    nest: int
    shared_bytes: int
    each_bytes: int
    touches: int
    steps: int
    each: tuple[int, ...]
    shared: tuple[int, ...]


@dataclass(frozen=True)
class LoopNestLayer:
    """A layer as the nests of loops that it runs.

    Attributes
    ----------
    nests : records, [nests] NEST
        The nests in order; behind the first `count`, shadow nests that only samples use.
    refs : records, [refs] REF
        The array references of the nests.
    count : int
        Number of nests to run.
    samples : tuple of Sample
        The nests that may be sampled.
    macs : int
        Multiply-accumulates of the layer.
    regions : ndarray of int64, [blocks, 3]
        First and last cache line and index of each tensor that is in memory during the layer, in
        order of address. A line that two tensors share belongs to the first.
    """

    name: str
    nests: NDArray[np.void]
    refs: NDArray[np.void]
    count: int
    samples: tuple[Sample, ...]
    macs: int
    regions: NDArray[np.int64]
