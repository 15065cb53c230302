"""What is noted of an issued command: its record, and the exposures and counts of tensors.

A request's slot that was just released still holds the request.
"""

from edensim.kernels.codes import ACT, PREAB, RD, RDA, REFAB, WR, WRA
from edensim.kernels.compile import jit
from edensim.kernels.controller.limits import (
    EXPOSURE_BINS,
    TENSOR_ACTIVATIONS,
    TENSOR_COUNTERS,
    TENSOR_READS,
    TENSOR_WRITES,
)


@jit
def record_command(memory, channel, command, node, slot):
    """Write an issued command to the output; `node` is its rank or bank, slot 0 no request."""
    loop, timing = memory.loop, memory.timing
    at = loop["recorded"]
    loop["recorded"] = at + 1
    result = memory.commands[at]
    result["clock"] = channel["last_command"]
    result["command"] = command
    result["channel"] = channel["index"]
    result["row"] = -1
    result["column"] = -1
    result["bankgroup"] = -1
    result["bank"] = -1
    if command == PREAB or command == REFAB:
        result["rank"] = node
        return
    rank, group = timing["rank_of"][node], timing["group_of"][node]
    result["rank"] = rank
    if timing["groups_per_rank"] > 1:
        result["bankgroup"] = group - rank * timing["groups_per_rank"]
    result["bank"] = node - group * timing["banks_per_group"]
    if slot > 0:
        result["row"] = channel["slots"][slot]["row"]
        result["column"] = channel["slots"][slot]["column"]


@jit
def count_exposure(memory, channel, command, bank, slot):
    """Count how long after its row's activation a read came, and its tensor's commands."""
    loop = memory.loop
    if command == RD or command == RDA:
        elapsed = channel["last_command"] - channel["banks"][bank]["opened_at"]
        interval = min(elapsed, EXPOSURE_BINS - 1)
        cell = channel["index"] * loop["cells"] + channel["cell"][bank]
        memory.exposures[cell * EXPOSURE_BINS + interval] += 1
        tensor = channel["slots"][slot]["tensor"]
        if 0 <= tensor < loop["tensors"]:
            first = loop["channels"] * loop["cells"]
            memory.exposures[(first + tensor) * EXPOSURE_BINS + interval] += 1
    if loop["tensors"] > 0 and slot > 0:
        count_for_tensor(memory, channel, command, bank, slot)


@jit
def count_for_tensor(memory, channel, command, bank, slot):
    """Count a request's command for its tensor, at the operating point of its row.

    A row belongs to the tensor of the request that opened it until it is closed.
    """
    loop = memory.loop
    tensor = loop["tensors"]
    if 0 <= channel["slots"][slot]["tensor"] < tensor:
        tensor = channel["slots"][slot]["tensor"]
    at = (loop["channels"] * loop["cells"] + loop["tensors"]) * EXPOSURE_BINS
    point = channel["cell_point"][channel["cell"][bank]]
    at += (tensor * loop["points"] + point) * TENSOR_COUNTERS
    if command == RD or command == RDA:
        memory.exposures[at + TENSOR_READS] += 1
    elif command == WR or command == WRA:
        memory.exposures[at + TENSOR_WRITES] += 1
    elif command == ACT:
        memory.exposures[at + TENSOR_ACTIVATIONS] += 1
        channel["owner"][bank] = tensor
