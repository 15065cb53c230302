"""Are lists of keys and values (partitions, changes) read, changed item by item, and refused with the place of what is wrong?"""

from __future__ import annotations

from pathlib import Path

import pytest

from edensim.config.knobs import KNOBS
from edensim.config.loading import load_config, resolved
from edensim.config.models import ChangeConfig, ModulePointConfig, PartitionConfig, PointConfig
from edensim.exceptions import ConfigError

RUN = """\
dram:
  partitions:
    - {name: weights, banks: 0-7, trcd_ns: 7.5}
    - banks: [8, 9]
      vdd_V: 1.0
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(RUN)
    return path


def test_items_are_models_and_know_their_lines(run: Path) -> None:
    loaded = load_config(run)
    assert loaded.config.dram.partitions == (
        PartitionConfig(name="weights", banks="0-7", trcd_ns=7.5),
        PartitionConfig(banks=(8, 9), vdd_V=1.0),
    )
    assert loaded.origins["dram.partitions"] == f"{run}:2"
    assert loaded.origins["dram.partitions.1.vdd_V"] == f"{run}:5"


def test_one_key_of_one_item_can_be_set(run: Path) -> None:
    """So that a sweep can go over a partition's voltage."""
    loaded = load_config(
        run,
        [
            "dram.partitions.1.vdd_V=0.9",
            "dram.partitions.0.banks=0-3",
            "dram.partitions.0.ranks=[0]",
        ],
    )
    first, second = loaded.config.dram.partitions
    assert (first.banks, first.ranks, second.vdd_V, second.banks) == ("0-3", (0,), 0.9, (8, 9))
    assert loaded.origins["dram.partitions.1.vdd_V"] == "--set"
    assert loaded.origins["dram.partitions.1.banks"] == f"{run}:4"


def test_a_list_set_later_replaces_the_whole(run: Path) -> None:
    loaded = load_config(
        run, ["dram.partitions=[{vdd_V: 1.1}]", "dram.changes=[{at_cycle: 9, vdd_V: 1.0}]"]
    )
    assert loaded.config.dram.partitions == (PartitionConfig(vdd_V=1.1),)
    assert loaded.config.dram.changes == (ChangeConfig(at_cycle=9, vdd_V=1.0),)
    assert "dram.partitions.1.vdd_V" not in loaded.origins


def test_a_resolved_configuration_loads_again(run: Path) -> None:
    import json

    config = load_config(run, ["dram.changes=[{at_cycle: 9, vdd_V: 1.0}]"]).config
    assert load_config(base=config).config == config
    assert load_config(base=json.loads(json.dumps(resolved(config)))).config == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dram.partitions=3", "--set dram.partitions: expected a list of keys and values, found 3"),
        ("dram.partitions=[3]", "--set dram.partitions.0: expected keys and values"),
        (
            "dram.partitions=[{bank: [1]}]",
            "--set dram.partitions.0.bank: unknown key; did you mean 'banks'?",
        ),
        (
            "dram.partitions=[{banks: 1}]",
            "--set dram.partitions.0.banks: expected a list of whole numbers or text, found 1",
        ),
        (
            "dram.partitions=[{banks: [-1]}]",
            "--set dram.partitions.0.banks: expected a list of whole numbers or text, found a list",
        ),
        (
            "dram.partitions=[{vdd_V: 0.0}]",
            "--set dram.partitions.0.vdd_V: expected a number above 0, found 0.0",
        ),
        (
            "dram.partitions=[{vdd_V: 1.0e+999}]",
            "--set dram.partitions=[{vdd_V: 1.0e+999}]: 1.0e+999 is out of range",
        ),
        ("dram.changes=[{vdd_V: 1.0}]", "--set dram.changes.0: key 'at_cycle' is missing"),
        (
            "dram.changes=[{at_cycle: 0, vdd_V: 1.0}]",
            "--set dram.changes.0.at_cycle: expected a whole number from 1",
        ),
        (
            "dram.partitions.2.vdd_V=1.0",
            "--set dram.partitions.2.vdd_V: dram.partitions has no item 2",
        ),
        (
            "dram.partitions.1.vdd=1.0",
            "--set dram.partitions.1.vdd: unknown key; did you mean 'vdd_V'?",
        ),
        (
            "dram.partitions.1.vdd_V=-1.0",
            "--set dram.partitions.1.vdd_V: expected a number above 0, found -1.0",
        ),
        ("dram.partitions.one.vdd_V=1.0", "--set dram.partitions.one.vdd_V: unknown key"),
    ],
)
def test_what_does_not_fit_is_refused(override: str, message: str, run: Path) -> None:
    import re

    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(run, [override])


def test_lines_of_items_are_named(run: Path) -> None:
    run.write_text(RUN.replace("vdd_V: 1.0", "vdd_V: -1.0"))
    with pytest.raises(
        ConfigError,
        match=rf"^{run}:5: dram.partitions.1.vdd_V: expected a number above 0, found -1.0$",
    ):
        load_config(run)


def test_the_models_have_the_knobs_of_the_table() -> None:
    knobs = list(KNOBS)
    assert list(ModulePointConfig.__struct_fields__) == knobs
    assert list(PointConfig.__struct_fields__) == [name for name in knobs if name != "trefi_ns"]
    assert all(knob.unit in ("V", "ns") for knob in KNOBS.values())
