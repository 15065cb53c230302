"""MRFI and PyTorchFI flipping bits of an int8 tensor: run by a Python that has torch and both; prints JSON. Used by bench_injection.py.

MRFI: its position selector and its bit-flip mode on a tensor of int8 values, as its hooks call them. It picks values at BER times their bits and
flips one bit of each. PyTorchFI: single-bit flips of neurons in a forward pass; its time grows with each flip, so a BER's time is extrapolated.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch


def mrfi_seconds(size: int, ber: float, runs: int) -> float:
    """Best CPU seconds of one pass over `size` int8 values."""
    from mrfi.error_mode import IntRandomBitFlip
    from mrfi.selector import RandomPositionByRate

    values = torch.zeros(size, dtype=torch.int8)
    times = []
    for _ in range(runs):
        begin = time.process_time()
        positions = RandomPositionByRate(values.shape, rate=8 * ber)
        values[positions] = IntRandomBitFlip(values[positions], 8)
        times.append(time.process_time() - begin)
    return min(times)


def pytorchfi_seconds_per_flip(flips: int, runs: int) -> float:
    """CPU seconds that each flip adds to a forward pass."""
    from pytorchfi.neuron_error_models import single_bit_flip_func

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.ReLU())
    image = torch.rand(1, 3, 32, 32)
    injector: Any = single_bit_flip_func(
        net, 1, input_shape=[3, 32, 32], layer_types=[torch.nn.Conv2d], use_cuda=False, bits=8
    )
    injector.set_conv_max([1e6])

    def seconds(count: int) -> float:
        injector.fi_reset()
        places = torch.randint(0, 16, (count, 3)).tolist()
        corrupt = injector.declare_neuron_fi(
            batch=[0] * count,
            layer_num=[0] * count,
            dim1=[place[0] for place in places],
            dim2=[place[1] for place in places],
            dim3=[place[2] for place in places],
            function=injector.single_bit_flip_signed_across_batch,
        )
        times = []
        for _ in range(runs):
            injector.reset_current_layer()
            begin = time.process_time()
            with torch.no_grad():
                corrupt(image)
            times.append(time.process_time() - begin)
        return min(times)

    return (seconds(flips) - seconds(1)) / (flips - 1)


def main() -> None:
    """Arguments: bytes, runs, BERs."""
    torch.set_num_threads(1)
    size, runs, bers = int(sys.argv[1]), int(sys.argv[2]), [float(ber) for ber in sys.argv[3:]]
    figures: dict[str, Any] = {}
    try:
        figures["mrfi"] = {str(ber): mrfi_seconds(size, ber, runs) for ber in bers}
    except (ImportError, ValueError) as problem:
        figures["mrfi_problem"] = str(problem)
    try:
        figures["pytorchfi_s_per_flip"] = pytorchfi_seconds_per_flip(300, runs)
    except (ImportError, AssertionError, RuntimeError, TypeError) as problem:
        figures["pytorchfi_problem"] = f"{type(problem).__name__}: {problem}"
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
