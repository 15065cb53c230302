"""How a run gets the machine that its configuration names."""

from typing import Protocol, TypeVar

from edensim.config.plugins import MACHINES
from edensim.engine.machine import Machine
from edensim.networks.layout import Layout
from edensim.networks.network import Network

S_contra = TypeVar("S_contra", contravariant=True)


class MachineFactory(Protocol[S_contra]):
    """What a member of the registry of machines is: it makes a machine for a network."""

    def __call__(self, network: Network, layout: Layout, section: S_contra, /) -> Machine:
        """Make a machine that is about to run a network.

        Parameters
        ----------
        network : Network
            The network as it was read.
        layout : Layout
            The network as it is executed (fused), laid out in memory.
        section : Section or dict
            The section of the configuration that describes the machine: that of its name for a
            built-in machine, and `machine` for one that another package brings.

        Raises
        ------
        ConfigError, NetworkError
            If the machine cannot be, or cannot run the network.
        """
        ...


def machine_for(name: str, network: Network, layout: Layout, section: object) -> Machine:
    """Make the machine of a name, which may be built in or come from another package.

    The arguments are those of a `MachineFactory`, whose errors may be raised. Raises ConfigError if
    there is no machine of that name.
    """
    factory: MachineFactory[object] = MACHINES.load(name, key="frontend")
    return factory(network, layout, section)
