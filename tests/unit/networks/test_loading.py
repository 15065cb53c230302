"""Whatever has happened to a file: is it read, or refused with its name, and never a traceback?"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edensim.exceptions import NetworkError
from edensim.networks.loading import load_network

CFG = b"""[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[route]
layers=-1,-1
[convolutional]
filters=16
groups=4
size=1
activation=linear
[shortcut]
from=-1
[upsample]
stride=2
[connected]
output=10
[softmax]
"""

CSV = b"""Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1,24,24,5,5,3,9,4,
DP2,9,9,5,5,9,6,1,
"""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, left out, put in, or cut off."""
    broken = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(broken))
        kind = rng.random()
        if kind < 0.5:
            broken[at] = rng.randrange(256)
        elif kind < 0.7 and len(broken) > 60:
            del broken[at : at + rng.randrange(1, 40)]
        elif kind < 0.9:
            broken[at:at] = bytes(
                rng.choice(b"0123456789=,-[]\n.x") for _ in range(rng.randrange(1, 6))
            )
        else:
            broken = broken[: at + 1]
    return bytes(broken)


def light_model() -> bytes:
    """A small ONNX model."""
    onnx = pytest.importorskip("onnx", reason="reading ONNX needs the package onnx (extra [onnx])")
    return (
        Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_squeezenet.onnx"
    ).read_bytes()


@pytest.mark.parametrize(("suffix", "count"), [(".cfg", 300), (".csv", 300), (".onnx", 60)])
def test_damage(tmp_path: Path, suffix: str, count: int) -> None:
    content = {".cfg": CFG, ".csv": CSV}.get(suffix) or light_model()
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content)
    load_network(path)
    rng = random.Random(suffix)
    messages = []
    for _ in range(count):
        path.write_bytes(damaged(content, rng))
        try:
            network = load_network(path)
        except NetworkError as exception:
            messages.append(str(exception))
        else:
            assert network.fused().macs == network.macs
    assert messages
    assert all(message.startswith(str(path)) for message in messages)
