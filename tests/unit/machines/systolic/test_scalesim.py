"""Do the closed forms and the compiled walks count what the rules in words say, and is nonsense refused?

The rules are written here a second time, word by word and slowly; the layers are those of a small sweep.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from edensim.exceptions import ConfigError, InputError, NetworkError
from edensim.machines.systolic.scalesim import fold_product, scalesim_counts

LAYER: dict[str, Any] = {
    "ifmap_height": 9,
    "ifmap_width": 7,
    "filter_height": 3,
    "filter_width": 3,
    "channels": 4,
    "filters": 10,
    "stride_height": 1,
    "stride_width": 1,
    "array_height": 8,
    "array_width": 4,
    "ifmap_sram_kB": 1,
    "filter_sram_kB": 1,
    "ofmap_sram_kB": 1,
    "dataflow": "ws",
}


def outputs(layer: dict[str, Any], side: str) -> int:
    """Output size: rounded up, no padding."""
    return -(
        -(layer[f"ifmap_{side}"] - layer[f"filter_{side}"] + layer[f"stride_{side}"])
        // layer[f"stride_{side}"]
    )


def sizes(layer: dict[str, Any]) -> tuple[int, int, int]:
    """(positions, depth, filters)."""
    depth = layer["filter_height"] * layer["filter_width"] * layer["channels"]
    return outputs(layer, "height") * outputs(layer, "width"), depth, layer["filters"]


def ifm_word(layer: dict[str, Any], position: int, product: int) -> int | None:
    """Place of the word that a position multiplies with its n-th weight; None beyond the edge."""
    i, j = divmod(position, outputs(layer, "width"))
    row, rest = divmod(product, layer["filter_width"] * layer["channels"])
    column, channel = divmod(rest, layer["channels"])
    row, column = row + i * layer["stride_height"], column + j * layer["stride_width"]
    if row >= layer["ifmap_height"] or column >= layer["ifmap_width"]:
        return None
    return (row * layer["ifmap_width"] + column) * layer["channels"] + channel


def blocks(total: int, size: int) -> list[range]:
    """Indices in folds."""
    return [range(at, min(at + size, total)) for at in range(0, total, size)]


def skewed(times: range, lanes: range) -> Iterator[tuple[int, int]]:
    """(time, lane) in the order of demand: each lane one step behind the one before."""
    for step in range(len(times) + len(lanes) - 1):
        for behind, lane in enumerate(lanes):
            if 0 <= step - behind < len(times):
                yield times[step - behind], lane


def demands(layer: dict[str, Any]) -> tuple[list[int | None], list[int | None]]:
    """Words of ifm and filters in the order in which the array asks for them."""
    positions, depth, filters = sizes(layer)
    high, wide, flow = layer["array_height"], layer["array_width"], layer["dataflow"]
    ifm: list[int | None] = []
    weights: list[int | None] = []
    for columns in blocks(positions if flow == "is" else filters, wide):
        for rows in blocks(positions if flow == "os" else depth, high):
            if flow == "ws":
                ifm += [ifm_word(layer, t, k) for t, k in skewed(range(positions), rows)]
                weights += [m * depth + k for k in reversed(rows) for m in columns]
            elif flow == "os":
                ifm += [ifm_word(layer, p, k) for k, p in skewed(range(depth), rows)]
                weights += [m * depth + k for k, m in skewed(range(depth), columns)]
            else:
                ifm += [ifm_word(layer, p, k) for k in reversed(rows) for p in columns]
                weights += [m * depth + k for m, k in skewed(range(filters), rows)]
    return ifm, weights


def fetched(words: list[int | None], sram_kB: int) -> int:
    """Words that enter a buffer which is emptied once half of it is full."""
    half, inside, count = 50 * (sram_kB * 1024 // 100), set(), 0
    for word in words:
        if word is not None and word not in inside:
            inside.add(word)
            count += 1
            if len(inside) == half:
                inside = set()
    return count


@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
def test_reads_follow_the_rule(dataflow: str) -> None:
    dice = random.Random(7)
    for _ in range(12):
        layer = LAYER | {
            "dataflow": dataflow,
            "channels": dice.randint(1, 24),
            "filters": dice.randint(1, 20),
            "array_width": dice.randint(1, 9),
        }
        layer |= {
            "ifmap_height": dice.randint(3, 14),
            "stride_height": dice.randint(1, 4),
            "array_height": dice.randint(1, 9),
        }
        ifm, weights = demands(layer)
        counts = scalesim_counts(**layer)
        assert (counts.ifmap_sram_reads, counts.filter_sram_reads) == (len(ifm), len(weights))
        assert (counts.ifmap_dram_reads, counts.filter_dram_reads) == (
            fetched(ifm, 1),
            fetched(weights, 1),
        )


def test_cycles_by_hand() -> None:
    """AlexNet's second layer, 256 x 256, ws (front-ends.md section 1): ten folds of 2 * 256 + 256 + 529 - 2 cycles, counted from 0."""
    counts = scalesim_counts(
        **LAYER
        | {
            "ifmap_height": 27,
            "ifmap_width": 27,
            "filter_height": 5,
            "filter_width": 5,
            "channels": 96,
            "filters": 256,
        }
        | {
            "array_height": 256,
            "array_width": 256,
            "ifmap_sram_kB": 6144,
            "filter_sram_kB": 6144,
            "ofmap_sram_kB": 2048,
        }
    )
    assert counts.compute_cycles == 10 * 1295 - 1
    assert (
        counts.ofmap_dram_writes == 529 * 256 * 10 + 255
    )  # a line of one word is padded to 256 while others wait


def test_fold() -> None:
    fold = fold_product(100, 30, 20, 8, 16, "ws")
    assert (fold.row_folds, fold.column_folds, fold.folds, fold.cycles) == (
        4,
        2,
        8,
        100 + 2 * 8 + 16 - 2,
    )
    assert fold.rows * fold.columns == 30 * 20
    assert fold_product(100, 30, 20, 8, 16, "os").cycles == 30 + 8 + 16 - 2


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"array_height": 0}, ConfigError, ("array_height", "found 0", "at least one row")),
        ({"array_width": -3}, ConfigError, ("array_width", "-3")),
        ({"ifmap_sram_kB": 0}, ConfigError, ("ifmap_sram_kB", "found 0", "at least 1 kB")),
        ({"ofmap_sram_kB": 0.5}, ConfigError, ("ofmap_sram_kB", "0.5", "whole number")),
        ({"dataflow": "sw"}, ConfigError, ("dataflow", "'sw'", "ws, os, is")),
        ({"filter_height": 10}, NetworkError, ("filter_height", "found 10", "ifmap_height = 9")),
        ({"filter_width": 8}, NetworkError, ("filter_width", "ifmap_width = 7")),
        ({"stride_width": 0}, NetworkError, ("stride_width", "at least 1")),
        ({"channels": True}, NetworkError, ("channels", "True")),
    ],
)
def test_refusals(wrong: dict[str, Any], kind: type[InputError], words: tuple[str, ...]) -> None:
    with pytest.raises(kind) as refused:
        scalesim_counts(**LAYER | wrong)
    assert all(word in str(refused.value) for word in words)
