"""What the engine and the machines that drive it know of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edensim.dram.counts import Counts
    from edensim.engine.engine import Engine


class CoreFigures(Protocol):
    """What processor cores did: core clock cycles and instructions."""

    @property
    def cycles(self) -> int: ...

    @property
    def instructions(self) -> int: ...

    @property
    def ipc(self) -> float: ...


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
class MachineRun:
    """What a machine did in a run.

    Attributes
    ----------
    layers : tuple of LayerRun
        The layers in the order in which they ran.
    counters : dict
        What the machine counted in the whole run.
    counts : Counts or None
        What the memory did, if a part of the run was extrapolated; None if all of it was simulated.
    core : CoreFigures or None
        Cycles and instructions of a machine that executes instructions.
    """

    layers: tuple[LayerRun, ...]
    counters: dict[str, Any]
    counts: Counts | None = None
    core: CoreFigures | None = None


class Machine(Protocol):
    """A machine about to run a network. It drives the memory until its work is done."""

    @property
    def name(self) -> str:
        """The name under which users know the machine."""
        ...

    def run(self, engine: Engine) -> MachineRun:
        """Run the network in closed loop with a memory.

        Parameters
        ----------
        engine : Engine
            A memory at the start of a run that keeps the returns of reads (`keep_returns`).

        Returns
        -------
        MachineRun
            The figures of the machine and of its layers.

        Raises
        ------
        NetworkError
            If the network does not fit into the memory.
        ProtocolError
            If the memory reaches an illegal state.
        """
        ...
