"""Is a network that was written to a file the same when it is read again?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edensim import load_network
from edensim.exceptions import NetworkError
from edensim.networks.readers.description import save_network


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
