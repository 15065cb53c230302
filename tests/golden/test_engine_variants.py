"""Do whole runs of 200,000 requests under other policies and mappings take the cycles that Ramulator 2.1 took, with its row hits?

Figures recorded from the peer (c5b1c3a), DDR4-2400R 8Gb x8, one rank. It stops when its last request is accepted, edensim when the last is done: what
its queues still held (below 80 requests), and perhaps a refresh, is between the two.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from edensim.config.models import ControllerConfig, SourceConfig
from edensim.dram.memory_system import MemorySystem
from edensim.dram.standard import load_standard
from edensim.engine.memory_run import simulate_memory
from edensim.vocabulary import REQUEST

REQUESTS = 200_000
HELD = 32 + 32 + 16
REFRESH = 16 + 433 + 16  # nRP + nRFC + nRCD

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "no refresh": {"refresh": "none"},
    "row hits first": {"scheduler": "frfcfs-row-hit"},
    "capped": {"row_policy": "capped", "row_cap": 4},
    "MOP4CLXOR": {"address_mapping": "MOP4CLXOR"},
    "ChRaBaRoCo": {"address_mapping": "ChRaBaRoCo"},
}

#: Variant, stream, cycles, and row hits, misses and conflicts where they were recorded.
PEER = [
    ("base", "seq", 1_070_553, (198_251, 1_717, 0)),
    ("base", "rand", 1_368_854, (54, 1_312, 198_609)),
    ("base", "dnn", 978_216, (189_258, 2_553, 8_138)),
    ("no refresh", "seq", 1_034_082, (198_405, 16, 1_547)),
    ("no refresh", "rand", 1_299_439, (56, 16, 199_902)),
    ("no refresh", "dnn", 928_450, (189_970, 1_104, 8_875)),
    ("row hits first", "seq", 1_070_553, (198_251, 1_717, 0)),
    ("row hits first", "rand", 1_368_854, (54, 1_312, 198_609)),
    ("row hits first", "dnn", 977_362, (189_957, 1_532, 8_460)),
    ("capped", "seq", 2_072_974, (159_192, 40_776, 0)),
    ("capped", "dnn", 1_173_487, (152_512, 43_161, 4_285)),
    ("MOP4CLXOR", "seq", 856_681, (177_242, 10_569, 12_157)),
    ("MOP4CLXOR", "rand", 1_368_786, None),
    ("MOP4CLXOR", "dnn", 957_507, (75_172, 17_185, 107_594)),
    ("ChRaBaRoCo", "seq", 1_320_140, (198_266, 141, 1_561)),
    ("ChRaBaRoCo", "rand", 5_861_070, None),
    ("ChRaBaRoCo", "dnn", 1_906_177, None),
]


@cache
def requests(stream: str) -> np.ndarray:
    """The peer's streams (the same seeds): `seq` reads lines in order, `rand` anywhere in 1 GiB, `dnn` eight streams, two of them writing."""
    records = np.zeros(REQUESTS, REQUEST)
    records["writeback"] = records["tensor"] = -1
    lines = np.arange(REQUESTS, dtype=np.int64)
    if stream == "seq":
        records["address"] = 64 * lines
    elif stream == "rand":
        records["address"] = 64 * np.random.Generator(np.random.PCG64(12345)).integers(
            0, 1 << 24, REQUESTS, dtype=np.int64
        )
    else:
        random = np.random.Generator(np.random.PCG64(777))
        base = np.arange(8, dtype=np.int64) * (128 << 20) + 4096 * random.integers(
            0, 16384, 8, dtype=np.int64
        )
        drawn = random.choice(8, size=REQUESTS, p=[0.8 / 6] * 6 + [0.1] * 2)
        for index in range(8):
            mine = drawn == index
            records["address"][mine] = base[index] + 64 * lines[: mine.sum()]
        records["is_write"] = drawn >= 6
    return records


@pytest.mark.parametrize(("variant", "stream", "cycles", "row_states"), PEER)
def test_variant(
    variant: str, stream: str, cycles: int, row_states: tuple[int, int, int] | None
) -> None:
    standard = load_standard("DDR4", organization="8Gb_x8", speed_bin="2400R")
    controller = ControllerConfig(**VARIANTS[variant])
    run = simulate_memory(
        MemorySystem.nominal(standard, address_mapping=controller.address_mapping),
        controller,
        SourceConfig(kind="saturating"),
        [requests(stream)],
    )
    assert 0 <= run.cycles - cycles <= HELD * cycles / REQUESTS + REFRESH
    counts = run.counts
    assert (
        counts.row_hits
        + counts.row_misses
        + counts.row_conflicts
        + counts.forwarded
        + counts.coalesced
        == REQUESTS
    )
    if row_states is not None:
        for ours, theirs in zip(
            (counts.row_hits, counts.row_misses, counts.row_conflicts), row_states, strict=True
        ):
            assert 0 <= ours - theirs <= HELD
