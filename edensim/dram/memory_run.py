"""What a memory did in a run, whichever engine simulated it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edensim.dram.counts import Counts


@dataclass(frozen=True)
class Epoch:
    """The part of a run between two changes of operating point.

    Attributes
    ----------
    asked_at, halted_at, resumed_at : int
        Clock from which the change was due, clock at which every bank was closed, and clock from
        which commands may issue again; 0 for the first epoch.
    cell_point : ndarray of int64, [channels, cells]
        Number of the operating point of each bank, then of each range of rows.
    counts : Counts
        What happened in the epoch.
    exposures : ndarray of int64, [channels, cells, bins], or None
        The exposures of its reads, as in `Exposure`; None if they were not counted.
    """

    asked_at: int
    halted_at: int
    resumed_at: int
    cell_point: NDArray[np.int64]
    counts: Counts
    exposures: NDArray[np.int64] | None

    @property
    def bank_point(self) -> NDArray[np.int64]:
        """[channels, banks] the points of banks; if a bank has ranges, that of its other rows."""
        return self.cell_point[:, : self.counts.closings.shape[1]]


@dataclass(frozen=True)
class Exposure:
    """How long after the activation of their row reads came, in memory cycles.

    Bin i counts the reads that issued i cycles after the ACT; the last bin also counts later ones.

    Attributes
    ----------
    by_bank : ndarray of int64, [channels, banks, bins]
        Reads by bank.
    by_tensor : ndarray of int64, [tensors, bins]
        Reads by tensor.
    by_cell : ndarray of int64, [channels, cells, bins]
        Reads by bank, with the rows that belong to a partition apart from the rest of their bank.
    """

    by_bank: NDArray[np.int64]
    by_tensor: NDArray[np.int64]
    by_cell: NDArray[np.int64]


@dataclass(frozen=True)
class TensorCounts:
    """Commands that the requests of each tensor caused, by operating point of the rows.

    A row belongs to the tensor of the request that it was opened for, and so does its closing. The
    last entry counts the requests that name no tensor, or one beyond the known ones.

    Attributes
    ----------
    reads, writes, activations, closings : ndarray of int64, [tensors + 1, points]
        Numbers of commands.
    """

    reads: NDArray[np.int64]
    writes: NDArray[np.int64]
    activations: NDArray[np.int64]
    closings: NDArray[np.int64]


class CoreFigures(Protocol):
    """What processor cores did: core clock cycles and instructions."""

    @property
    def cycles(self) -> int:
        """Core clock cycles."""
        ...

    @property
    def instructions(self) -> int:
        """Instructions that retired."""
        ...

    @property
    def ipc(self) -> float:
        """Instructions per core clock cycle."""
        ...


@dataclass(frozen=True)
class LayerRun:
    """What one layer of a network took on a machine.

    Attributes
    ----------
    layer : int or None
        Index of the layer in the network as laid out, None for a pass that is no layer of it.
    cycles : int
        Memory clock cycles from the end of the layer before to the end of this one.
    time_ns : float
        The time that the layer took by the machine's clock.
    stall_share : float
        The part of that time in which the machine waited for data.
    counts : Counts
        What the memory did meanwhile.
    cell_point : ndarray of int64, [channels, cells]
        The operating points of the banks at the end of the layer.
    read_bytes, write_bytes : dict of int to int
        Bytes moved by tensor index, in whole accesses. The memory may take the last writes of a
        layer during the next one.
    counters : dict
        What the machine counted. These entries join the layer's result, and take precedence.
    end_clock : int or None
        Memory clock at the end of the layer. None if commands cannot be assigned to layers by
        their clock, because a part of the run was extrapolated.
    """

    layer: int | None
    cycles: int
    time_ns: float
    stall_share: float
    counts: Counts
    cell_point: NDArray[np.int64]
    read_bytes: dict[int, int]
    write_bytes: dict[int, int]
    counters: dict[str, Any] = field(default_factory=dict)
    end_clock: int | None = None


@dataclass(frozen=True)
class MemoryRun:
    """What a memory, and the source of its requests, did in a run.

    Attributes
    ----------
    counts : Counts
        What happened in the whole run.
    commands : ndarray of COMMAND, [commands], or None
        The issued commands, if they were kept.
    core : CoreFigures or None
        Cycles and instructions, if a core or a machine of cores was the source.
    epochs : tuple of Epoch
        What happened between changes of operating point.
    exposure : Exposure or None
        Exposures of reads, if they were counted.
    tensors : TensorCounts or None
        Commands by tensor, if they were counted.
    layers : tuple of LayerRun
        The layers of the network that ran.
    machine_counters : dict
        What the machine, or the cache of a core, counted.
    errors : dict
        The bit errors of the reads (`edensim.bit_errors.reads`), if there are any.
    """

    counts: Counts
    commands: NDArray[np.void] | None = None
    core: CoreFigures | None = None
    epochs: tuple[Epoch, ...] = ()
    exposure: Exposure | None = None
    tensors: TensorCounts | None = None
    layers: tuple[LayerRun, ...] = ()
    machine_counters: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        """Memory clock at the end of the run."""
        return self.counts.cycles
