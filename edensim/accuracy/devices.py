"""Where networks compute: the CPU, or a GPU where torch finds one. Bits are flipped on the host either way, so the flips are the same."""

from __future__ import annotations

from typing import Final

import torch

from edensim.exceptions import InputError

DEVICES: Final = ("auto", "cpu", "cuda")


def device_of(name: str) -> torch.device:
    """auto: a GPU where torch finds one, else the CPU. Raises InputError for an unknown name, and for a GPU that torch does not find."""
    if name not in DEVICES:
        raise InputError(f"device: expected one of {', '.join(DEVICES)}, found {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda', but torch finds no GPU here; expected cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
