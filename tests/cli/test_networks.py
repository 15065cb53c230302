"""Does `edensim networks` list networks and layers, and does `explain` show where tensors lie?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edensim.networks.zoo.registry import ENTRIES
from tests.cli.conftest import Edensim


def test_all_networks(edensim: Edensim) -> None:
    done = edensim("networks")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(ENTRIES)
    vgg = next(line for line in lines if line.startswith("vgg16")).split()
    assert vgg[1:9] == [
        "1x3x224x224",
        "21",
        "138,357,544",
        "15,470,264,320",
        "65.97",
        "131.95",
        "263.90",
        "527.79",
    ]


def test_layers_of_a_file(edensim: Edensim, tmp_path: Path) -> None:
    (tmp_path / "own.cfg").write_text(
        "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=relu\n"
    )
    done = edensim("networks", "own.cfg", "--layers", "--height", "16", "--batch", "2")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split() == [
        "000_convolutional",
        "convolution",
        "2x3x16x8",
        "2x4x16x8",
        "3x3",
        "1x1",
        "112",
        "27,648",
    ]


def test_unknown_network(refused: Callable[..., str]) -> None:
    assert "unknown network 'resnet1001'; did you mean 'resnet101'?" in refused(
        "networks", "resnet1001"
    )
    assert "own.cfg: there is no such file" in refused("networks", "own.cfg")


def test_explain_shows_where_tensors_lie(edensim: Edensim) -> None:
    done = edensim(
        "explain",
        "--set",
        "network=lenet",
        "--set",
        "precision=fp32",
        "--set",
        "layout.base_address=4096",
        "--set",
        "batch=2",
    )
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    conv1 = ["conv1.weight", "weights", "20x3x5x5", "0x1000", "0x2770", "6,000"]
    assert conv1 in lines
    (last,) = [line for line in lines if line[:2] == ["fc2", "features"]]
    assert last[2] == "2x10"
    assert last[5:] == ["80", "fc2", "the", "end"]


def test_explain_refuses_what_does_not_fit(refused: Callable[..., str]) -> None:
    message = refused(
        "explain", "--set", "network=vgg16", "--set", "batch=4096", "--set", "precision=fp32"
    )
    assert "its largest tensor is 'features.0' with 52,613,349,376 bytes" in message
