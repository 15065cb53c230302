"""Is a network that was written to a file the same when it is read again?"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edensim import load_network
from edensim.exceptions import NetworkError
from edensim.networks.readers.description import save_network
from edensim.networks.validation import check_network
from edensim.networks.zoo.registry import ENTRIES


@pytest.fixture
def lenet(tmp_path: Path) -> Path:
    path = tmp_path / "lenet.json"
    save_network(load_network("lenet"), path)
    return path


@pytest.mark.parametrize("name", ["lenet", "mobilenetv2", "densenet201", "yolov3-tiny"])
def test_every_layer_and_tensor_comes_back(tmp_path: Path, name: str) -> None:
    network = load_network(name)
    save_network(network, tmp_path / "network.json")
    assert load_network(tmp_path / "network.json") == network
    assert load_network(tmp_path / "network.json", batch=3) == load_network(name, batch=3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "edensim-network-9"}, "edensim-network-1"),
        (
            {"layers": [{"name": "a", "operator": "folding", "inputs": [], "output": "b"}]},
            "folding",
        ),
        ({"input": "nothing"}, "nothing"),
        ({"tensors": []}, "not among its tensors"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_damaged_file_is_refused(lenet: Path, change: dict[str, object], said: str) -> None:
    lenet.write_text(json.dumps(json.loads(lenet.read_text()) | change))
    with pytest.raises(NetworkError, match=said):
        load_network(lenet)


def test_no_other_input_than_its_own(lenet: Path) -> None:
    assert load_network(lenet, height=28).tensors
    with pytest.raises(NetworkError, match="no other height, found 32"):
        load_network(lenet, height=32)


def numbers(content: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every number of a document."""
    if isinstance(content, int):
        yield path
    elif isinstance(content, (dict, list)):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in pairs:
            yield from numbers(value, *path, key)


@pytest.mark.parametrize("value", [-1, 0, 10**9, 10**30, 1.5, float("nan"), None, "1"])
def test_no_number_of_a_network_can_be_another(lenet: Path, value: object) -> None:
    content = json.loads(lenet.read_text())
    for *parents, key in numbers(content):
        changed = copy.deepcopy(content)
        inner: Any = changed
        for parent in parents:
            inner = inner[parent]
        if inner[key] == value:
            continue
        inner[key] = value
        lenet.write_text(json.dumps(changed))
        with pytest.raises(NetworkError, match="lenet.json: "):
            load_network(lenet)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{",
        b'{"format": "\xff"}',
        b"[" * 100_000,
        b'{"format": ' + b"9" * 5000,
        b'{"format": "edensim-network-1", "name": "\\ud800"}',
    ],
)
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"bad.json: is not a network of the form"):
        load_network(path)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_network_of_the_zoo_is_valid(name: str) -> None:
    network = load_network(name)
    check_network(network)
    check_network(network.fused())


def test_a_fused_network_keeps_the_shapes_that_layers_see(tmp_path: Path) -> None:
    fused = load_network("lenet").fused()
    assert any(layer.input_shapes for layer in fused.layers)
    save_network(fused, tmp_path / "fused.json")
    assert load_network(tmp_path / "fused.json") == fused
