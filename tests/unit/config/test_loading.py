"""Are configurations read as they are meant, and is what cannot be meant refused with its place?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edensim.config.loading import flat, known_keys, load_config, resolved
from edensim.config.models import RunConfig
from edensim.exceptions import ConfigError


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "run.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_nothing_given_is_the_defaults() -> None:
    loaded = load_config()
    assert loaded.config == RunConfig()
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(known_keys())


def test_each_value_knows_its_line(write: Any) -> None:
    path = write("# a run\ndram:\n  channels: 2\n  timings:\n    nRCD: 9\n\nseed: 3\n")
    loaded = load_config(path, ["controller.scheduler=fcfs"])
    assert loaded.config.dram.channels == 2
    assert loaded.config.dram.timings == {"nRCD": 9}
    assert loaded.config.controller.scheduler == "fcfs"
    assert loaded.origins["dram.channels"] == f"{path}:3"
    assert loaded.origins["dram.timings.nRCD"] == f"{path}:5"
    assert loaded.origins["seed"] == f"{path}:7"
    assert loaded.origins["controller.scheduler"] == "--set"
    assert loaded.origins["dram.ranks"] == "default"


def test_later_layers_win(write: Any) -> None:
    write("dram:\n  channels: 2\n  ranks: 2\n  timings: {nRCD: 9, nRP: 9}\n", "base.yaml")
    path = write("extends: base.yaml\ndram:\n  ranks: 4\n  timings: {nRP: 10}\n")
    loaded = load_config(
        path, ["dram.timings.nRCD=8"], {"dram": {"channels": 8, "speed_bin": "2400R"}}
    )
    assert loaded.config.dram.channels == 2
    assert loaded.config.dram.ranks == 4
    assert loaded.config.dram.speed_bin == "2400R"
    assert loaded.config.dram.timings == {"nRCD": 8, "nRP": 10}
    assert loaded.origins["dram.channels"].endswith("base.yaml:2")
    assert loaded.origins["dram.speed_bin"] == "argument"


def test_base_may_be_nested_dotted_or_a_configuration() -> None:
    nested = load_config(base={"dram": {"channels": 2}}).config
    assert load_config(base={"dram.channels": 2}).config == nested
    assert load_config(base=nested).config == nested


def test_resolved_and_flat_round_trip() -> None:
    config = load_config(overrides=["dram.timings.nRCD=9", "dram.vdd_V=1.1"]).config
    assert load_config(base=resolved(config)).config == config
    assert load_config(base=flat(config)).config == config


def test_a_relative_trace_is_taken_from_the_file_that_names_it(write: Any, tmp_path: Path) -> None:
    assert load_config(write("trace: sub/a.trace\n")).config.trace == str(tmp_path / "sub/a.trace")
    assert load_config(None, ["trace=sub/a.trace"]).config.trace == "sub/a.trace"


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("dram.speed_bin=1333", "speed_bin", "1333"),  # text keys take text, whatever it looks like
        ("dram.speed_bin=null", "speed_bin", None),
        ("dram.vdd_V=1", "vdd_V", 1.0),
        ("dram.trcd_ns=7.5", "trcd_ns", 7.5),
        ("dram.channels = 4", "channels", 4),
    ],
)
def test_set_values_are_yaml_except_text(override: str, key: str, value: Any) -> None:
    found = getattr(load_config(None, [override]).config.dram, key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("dram:\n  chanels: 2\n", 2, "dram.chanels: unknown key; did you mean 'dram.channels'?"),
        (
            "dram:\n  ranks: 1\nchannels: 2\n",
            3,
            "channels: unknown key; did you mean 'dram.channels'?",
        ),
        (
            "controler:\n  scheduler: fcfs\n",
            1,
            "controler: unknown key; did you mean 'controller'?",
        ),
        (
            "dram:\n  channels: 1\n  channels: 2\n",
            3,
            "duplicate key 'dram.channels'; first on line 2",
        ),
        ("dram:\n  channels: 1\ndram.channels: 2\n", 3, "duplicate key 'dram.channels'"),
        ("dram: 5\n", 1, "dram: expected keys and values, found 5"),
        (
            "dram:\n  channels: '2'\n",
            2,
            "dram.channels: expected a whole number from 1 to 64, found the text '2'",
        ),
        (
            "dram:\n  channels: 2.0\n",
            2,
            "dram.channels: expected a whole number from 1 to 64, found 2.0",
        ),
        (
            "dram:\n  channels: true\n",
            2,
            "dram.channels: expected a whole number from 1 to 64, found true",
        ),
        (
            "dram:\n  channels:\n",
            2,
            "dram.channels: expected a whole number from 1 to 64, found nothing",
        ),
        (
            "dram:\n  channels: [1]\n",
            2,
            "dram.channels: expected a whole number from 1 to 64, found a list",
        ),
        (
            "dram:\n  channels: 0\n",
            2,
            "dram.channels: expected a whole number from 1 to 64, found 0",
        ),
        ("dram:\n  channels: 1e6\n", 2, "expected a whole number from 1 to 64, found 1000000.0"),
        ("dram:\n  trcd_ns: 0\n", 2, "dram.trcd_ns: expected a number above 0, found 0"),
        ("dram:\n  trcd_ns: -1.5\n", 2, "dram.trcd_ns: expected a number above 0, found -1.5"),
        ("dram:\n  vdd_V: 1.0e+400\n", 2, "1.0e+400 is out of range; expected at most 1e+30"),
        ("dram:\n  ranks: " + 5000 * "9" + "\n", 2, "9... is out of range; expected at most"),
        ("dram: " + 40 * "{a: " + 40 * "}" + "\n", 1, "nested more than 32 levels deep"),
        ("dram:\n  trcd_ns: .nan\n", 2, "'.nan' looks like a number"),
        (
            "dram:\n  timings:\n    nRCD: -1\n",
            3,
            "dram.timings.nRCD: expected a whole number from 0 to 1000000, found -1",
        ),
        ("dram:\n  standard: 4\n", 2, "dram.standard: expected text, found 4"),
        ("controller:\n  refresh: off\n", 2, "'off' is ambiguous in YAML"),
        (
            "controller:\n  refresh: false\n",
            2,
            "controller.refresh: expected one of all-bank, none, per-bank, found false",
        ),
        ("controller:\n  scheduler: frfcf\n", 2, "found the text 'frfcf'; did you mean 'frfcfs'?"),
        (
            "controller:\n  read_queue: 0\n",
            2,
            "controller.read_queue: expected a whole number from 1 to 512, found 0",
        ),
        ("seed: 99999999999999999999999\n", 1, "99999999999999999999999 is out of range"),
        ("dram: [\n", 2, "not valid YAML"),
    ],
)
def test_files_are_refused_with_line_and_key(
    write: Any, text: str, line: int, expected: str
) -> None:
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("dram.channels", "expected KEY=VALUE"),
        ("dram.channels=", "expected KEY=VALUE"),
        ("=2", "expected KEY=VALUE"),
        ("dram=2", "dram holds several keys"),
        ("dram.timings=2", "dram.timings holds several keys"),
        ("channels=2", "unknown key; did you mean 'dram.channels'?"),
        ("dram.chanels=2", "unknown key; did you mean 'dram.channels'?"),
        ("dram.timings.nRCD.x=2", "unknown key"),
        ("dram.channels=1e6", "expected a whole number from 1 to 64, found 1000000.0"),
        ("dram.trcd_ns=1e999", "1e999 is out of range"),
        ("dram.ranks=" + 5000 * "9", "is out of range"),
        ("dram.channels=" + 50 * "[", "nested more than 32 levels deep"),
        ("dram.channels=two", "expected a whole number from 1 to 64, found the text 'two'"),
        ("dram.channels=a: b", "not valid YAML"),
        ("dram.channels=2\nranks: 3", "expected one value"),
        ("extends=a.yaml", "unknown key"),
    ],
)
def test_overrides_are_refused_by_name(override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match="^--set ") as caught:
        load_config(None, [override])
    assert expected in str(caught.value)


def test_arguments_are_refused_by_key() -> None:
    with pytest.raises(ConfigError, match=r"^dram.rank: unknown key; did you mean 'dram.ranks'\?"):
        load_config(base={"dram": {"rank": 2}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("extends: missing.yaml\n", "run.yaml:1: extends: no such file"),
        ("seed: 1\nextends: 5\n", "run.yaml:2: extends: expected the name of a YAML file, found 5"),
        ("extends: run.yaml\n", "extends itself"),
    ],
)
def test_extends_is_refused_where_it_leads_nowhere(write: Any, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(text))
    assert expected in str(caught.value)


def test_complaints_of_other_rooms_get_their_place(write: Any) -> None:
    path = write("dram:\n  speed_bin: 9999Z\n")
    loaded = load_config(path, ["dram.ranks=2"])
    with pytest.raises(ConfigError) as caught, loaded.locating():
        raise ConfigError("dram.speed_bin: DDR4 has no '9999Z'")
    assert str(caught.value) == f"{path}:2: dram.speed_bin: DDR4 has no '9999Z'"
    assert str(loaded.located(ConfigError("dram.ranks: too many"))) == "--set dram.ranks: too many"
    assert str(loaded.located(ConfigError("dram.channels: too few"))) == "dram.channels: too few"


def test_a_network_beside_the_configuration_is_found_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "mine.json").touch()
    run = tmp_path / "run.yaml"
    run.write_text("network: mine.json\neden: {data: digits}\n")
    assert load_config(run).config.network == str(tmp_path / "mine.json")
    assert load_config(run).config.eden.data == "digits"


@pytest.mark.parametrize("number", ["1e-3", "1E-3", "0.001", ".001", "1.e-3", "+1e-3"])
def test_a_number_is_written_as_python_writes_it(write: Any, number: str) -> None:
    assert load_config(write(f"errors: {{ber: {number}}}\n")).config.errors.ber == 1e-3
    assert load_config(None, [f"errors.ber={number}"]).config.errors.ber == 1e-3
