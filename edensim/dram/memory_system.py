"""The memory of a run, resolved once from its configuration and passed down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from edensim.config.models import ControllerConfig
from edensim.dram.address import address_map
from edensim.dram.operating_point import OperatingPlan, resolve_operating_plan
from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from edensim.config.models import DramConfig
    from edensim.dram.address import AddressMap
    from edensim.dram.standard import Organization, Standard

_DEFAULT_CONTROLLER = ControllerConfig()


@dataclass(frozen=True, eq=False)
class MemorySystem:
    """A memory as configured: standard, operating points, number of channels and address map.

    Attributes
    ----------
    standard
        The standard with the timings of the module's operating point at the start of the run.
    plan
        All operating points, who runs at which, and when they change.
    address_mapping
        Name or bit string of the address mapping.
    """

    standard: Standard
    plan: OperatingPlan
    address_mapping: str = _DEFAULT_CONTROLLER.address_mapping

    @classmethod
    def resolve(
        cls, dram: DramConfig, controller: ControllerConfig = _DEFAULT_CONTROLLER
    ) -> MemorySystem:
        """Resolve the memory that a configuration describes.

        Parameters
        ----------
        dram
            The configuration's `dram` section.
        controller
            Its `controller` section, of which only the address mapping is used. Analyses of
            command lists, which need no addresses, leave it out.

        Returns
        -------
        MemorySystem

        Raises
        ------
        ConfigError
            If the standard does not have what the configuration asks for, or the mode forbids it.
            The message begins with the key.
        """
        return cls(*resolve_operating_plan(dram), controller.address_mapping)

    @classmethod
    def nominal(
        cls,
        standard: Standard,
        channels: int = 1,
        address_mapping: str = _DEFAULT_CONTROLLER.address_mapping,
    ) -> MemorySystem:
        """Return a memory of which every bank runs at the standard's own timings and voltage."""
        return cls(standard, OperatingPlan.nominal(standard, channels), address_mapping)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.plan.partition_of)

    @property
    def organization(self) -> Organization:
        """Geometry of one channel."""
        return self.standard.organization

    @cached_property
    def specified(self) -> Standard:
        """The standard with the timings that the device is specified for."""
        return replace(self.standard, timings=self.plan.specified)

    @cached_property
    def address_map(self) -> AddressMap:
        """The address map; a ConfigError if the mapping does not fit the organization.

        It is built when it is first needed: a command list may come from a memory that no mapping
        of address bits can describe, such as one with three ranks.
        """
        return address_map(self.address_mapping, self.organization, self.channels)

    def check_mapping(self, controller: ControllerConfig) -> None:
        """Raise ConfigError if a controller names another address mapping than this memory has."""
        if controller.address_mapping != self.address_mapping:
            raise ConfigError(
                f"controller.address_mapping: the memory was resolved with {self.address_mapping}, "
                f"the controller has {controller.address_mapping}; expected the same"
            )

    @property
    def capacity_bytes(self) -> int:
        """Capacity of all channels."""
        return self.address_map.capacity_bytes

    @property
    def peak_bandwidth_GBps(self) -> float:
        """Peak bandwidth of all channels: an access every nBL cycles on each."""
        return self.standard.peak_bandwidth_GBps * self.channels
