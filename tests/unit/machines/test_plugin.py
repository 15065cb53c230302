"""A machine of another package: found by name, configured by `machine`, run like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from edensim.config.loading import load_config
from edensim.config.plugins import MACHINES, Member
from edensim.engine.engine import Engine
from edensim.engine.machine import MachineRun
from edensim.engine.tiles import Schedule, run_tiled
from edensim.exceptions import ConfigError
from edensim.machines.schedule import Tile, Transfer, schedule_of
from edensim.networks.layout import Layout
from edensim.networks.network import Network
from edensim.simulation import run


@dataclass(frozen=True)
class Reader:
    """Reads the weights of each layer and computes for as long as it is told."""

    layout: Layout
    cycles: int
    name: str = "reader"
    clock_MHz: float = 1000.0
    depth: int = 2
    outstanding: int = 0

    def run(self, engine: Engine) -> MachineRun:
        return run_tiled(engine, self)

    def schedules(self) -> Iterator[Schedule]:
        tiles = [
            Tile(index, self.cycles, reads=[self.weights(name) for name in layer.weights])
            for index, layer in enumerate(self.layout.network.layers)
        ]
        yield schedule_of(tiles)

    def weights(self, name: str) -> Transfer:
        placement = self.layout[name]
        return Transfer(placement.index, placement.address, placement.size_bytes)

    def counters(self) -> dict[str, Any]:
        return {"cycles": self.cycles}

    def layer_counters(self) -> list[dict[str, Any]]:
        return [{"reader": True} for _ in self.layout.network.layers]


def reader_machine(network: Network, layout: Layout, section: dict[str, Any]) -> Reader:
    return Reader(layout, section.get("cycles", 1))


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    member = Member("reader", f"{__name__}:reader_machine", "reader-pack 1.0")
    monkeypatch.setitem(MACHINES.__dict__, "plugins", {"reader": member})
    monkeypatch.setitem(MACHINES._objects, "reader", reader_machine)


def test_a_machine_of_another_package_runs_a_network():
    settings = ["frontend=reader", "machine.cycles=5000", "network=lenet", "baselines=[]"]
    result = run(load_config(None, settings).config)
    assert result.frontend == {"cycles": 5000}
    assert [layer["compute_cycles"] for layer in result.layers] == [5000] * len(result.layers)
    assert all(layer["reader"] for layer in result.layers)
    assert all(layer["bytes_by_kind"]["ifm"] == 0 for layer in result.layers)


def test_a_name_of_no_machine_is_refused():
    with pytest.raises(ConfigError, match=r"frontend: expected one of .*reader, tpu, found"):
        load_config(None, ["frontend=abacus", "network=lenet"])
