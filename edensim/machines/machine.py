"""The machines: a network, its layout and a configuration to what the machine asks of memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edensim.exceptions import ConfigError

if TYPE_CHECKING:
    from edensim.config.models import RunConfig
    from edensim.networks.layout import Layout
    from edensim.networks.network import Network


def machine_for(config: RunConfig, network: Network, layout: Layout) -> Any:
    """The machine that `frontend` names, ready to run a (fused) network. Raises ConfigError or NetworkError for what it cannot run."""
    if config.frontend is None:
        raise ConfigError("frontend: names no machine; expected one of cpu, gpu, eyeriss, tpu")
    module = import_module(f"edensim.machines.{config.frontend}.machine")
    return getattr(module, f"{config.frontend}_machine")(network, layout, config)
