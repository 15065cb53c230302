"""A network on cores with caches: whose loops run, on which memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from edensim.config.models import CpuConfig
from edensim.dram.memory_run import LayerRun
from edensim.engine.cpu_engine import LINE_BYTES
from edensim.engine.engine import Engine
from edensim.engine.loop_nest_layer import LoopNestLayer
from edensim.engine.loop_nests import CpuLayerRun, run_loop_nests
from edensim.engine.machine import MachineRun
from edensim.machines.cpu.blocked import BlockedLoops
from edensim.machines.cpu.darknet import DarknetLoops
from edensim.machines.cpu.direct import DirectLoops
from edensim.machines.cpu.streams import StreamLoops
from edensim.networks.layout import Layout
from edensim.networks.network import Network


@dataclass(frozen=True)
class CpuMachine:
    """Cores with caches that run the loops of a library.

    Attributes
    ----------
    layout : Layout
        The network as it is executed; its tensors are known by name.
    config : CpuConfig
        The cores and their caches.
    loops : StreamLoops or DarknetLoops
        What each layer runs.
    precision : str
        Precision of the elements in memory (those of DarkNet are always floats).
    """

    layout: Layout
    config: CpuConfig
    loops: StreamLoops | DarknetLoops
    precision: str
    name: str = "cpu"

    @property
    def end(self) -> int:
        """First byte address behind all that the loops touch."""
        return max(self.layout.end, self.loops.arena.end)

    @property
    def tensors(self) -> int:
        """Number of tensors in the layout."""
        return len(self.layout.placements)

    def layers(self) -> Iterator[LoopNestLayer]:
        """Yield what each layer runs, in order."""
        return self.loops.layers()

    def run(self, engine: Engine) -> MachineRun:
        """Run the network in closed loop with a memory, which is not drained."""
        run = run_loop_nests(engine, self)
        index = {layer.name: number for number, layer in enumerate(self.layout.network.layers)}
        return MachineRun(
            tuple(self._layer_run(layer, index.get(layer.name)) for layer in run.layers),
            run.counters(),
            run.total.counts,
            run.total,
        )

    def _layer_run(self, run: CpuLayerRun, index: int | None) -> LayerRun:
        reads, writes = (
            {tensor: int(lines) * LINE_BYTES for tensor, lines in enumerate(column) if lines}
            for column in run.moved.T
        )
        total_core_cycles = run.cycles * self.config.cores
        figures = run.to_dict()
        figures["core_cycles"] = figures.pop("cycles")
        return LayerRun(
            layer=index,
            cycles=run.counts.cycles,
            time_ns=run.cycles * 1000 / self.config.clock_MHz,
            stall_share=run.counters["memory_stall_cycles"] / total_core_cycles
            if total_core_cycles
            else 0.0,
            counts=run.counts,
            cell_point=run.cell_point,
            read_bytes=reads,
            write_bytes=writes,
            counters=figures,
        )


def cpu_machine(network: Network, layout: Layout, config: CpuConfig) -> CpuMachine:
    """Make the CPU of a configuration, running a network.

    Parameters
    ----------
    network : Network
        The network as it was read, NOT fused: DarkNet runs normalization and activation as passes
        of their own.
    layout : Layout
        The network as it is executed (fused). DarkNet's memory is laid out as the program's
        allocations would be, from the layout's base address on.
    config : CpuConfig
        The cores, their caches and the library whose loops they run.
    """
    if config.library == "darknet":
        index = {placement.name: placement.index for placement in layout.placements}
        darknet = DarknetLoops(network, config.vector_bits, layout.base_address, index)
        return CpuMachine(layout, config, darknet, "fp32")
    library = BlockedLoops if config.library == "blocked" else DirectLoops
    return CpuMachine(layout, config, library(layout.network, layout, config), layout.precision)
