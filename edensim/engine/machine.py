"""What the engine and the machines that drive it know of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edensim.dram.counts import Counts
    from edensim.dram.memory_run import CoreFigures, LayerRun
    from edensim.engine.engine import Engine


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
