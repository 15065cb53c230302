"""The registry of machines, and how a run gets the machine that its configuration names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from edensim.config.models import RunConfig
    from edensim.engine.machine import Machine
    from edensim.networks.layout import Layout
    from edensim.networks.network import Network


class MachineFactory(Protocol):
    """Makes a machine from a network as it was read, its layout and the machine's own section."""

    def __call__(self, network: Network, layout: Layout, section: object, /) -> Machine:
        """Make the machine. Raises ConfigError or NetworkError for what it cannot run."""
        ...


#: The `module:object` reference of the factory of each built-in machine.
MACHINES: Final = {
    name: f"edensim.machines.{name}.machine:{name}_machine"
    for name in ("cpu", "gpu", "eyeriss", "tpu")
}


def machine_for(config: RunConfig, network: Network, layout: Layout) -> Machine:
    """Make the machine that the key `frontend` of a configuration names.

    Parameters
    ----------
    config : RunConfig
        The run; its section of the machine's name describes the machine.
    network : Network
        The network as it was read.
    layout : Layout
        The network as it is executed (fused), laid out in memory.

    Raises
    ------
    ConfigError, NetworkError
        If the configuration names no machine, or one that cannot run the network.
    """
    if config.frontend is None:
        raise ConfigError("frontend: names no machine; expected one of cpu, gpu, eyeriss, tpu")
    module, _, name = MACHINES[config.frontend].partition(":")
    factory: MachineFactory = getattr(import_module(module), name)
    return factory(network, layout, getattr(config, config.frontend))
