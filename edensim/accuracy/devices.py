"""Where networks compute: the CPU, or a GPU if torch finds one.

Bits are flipped on the host either way, so that the flips are the same.
"""

from __future__ import annotations

import torch

from edensim.exceptions import InputError


def device_of(name: str) -> torch.device:
    """Return the device of a name: auto is a GPU if torch finds one, else the CPU.

    Raises InputError if torch does not find the GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda', but torch finds no GPU here; expected cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
