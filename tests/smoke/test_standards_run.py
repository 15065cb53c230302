"""Does every standard run, with every organization and speed bin of it at least once?"""

from __future__ import annotations

from pathlib import Path

import pytest

import edensim
from edensim.dram.standard_file import find_standard, read_standard_file, standard_names


def choices(name: str) -> list[tuple[str, str]]:
    """Pairs that cover every organization and every speed bin."""
    file = read_standard_file(find_standard(name))
    organizations, bins = list(file.organizations), list(file.speed_bins)
    return [
        (organizations[i % len(organizations)], bins[i % len(bins)])
        for i in range(max(len(organizations), len(bins)))
    ]


@pytest.mark.parametrize("name", standard_names())
def test_each_standard_runs_a_tiny_trace(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "tiny.trace"
    trace.write_text(
        "".join(f"{'ST' if i % 3 == 2 else 'LD'} {(i * 4160) % (1 << 24):#x}\n" for i in range(300))
    )
    for organization, speed_bin in choices(name):
        result = edensim.simulate(
            trace, dram={"standard": name, "organization": organization, "speed_bin": speed_bin}
        )
        assert result.requests["read"] == 200
        assert result.requests["write"] == 100
        assert result.cycles > 0
        assert result.energy_pJ.total > 0
        assert 0 < result.bandwidth_GBps <= result.peak_bandwidth_GBps


@pytest.mark.parametrize("name", standard_names())
def test_each_standard_gets_bits_wrong_at_the_rate_asked_for(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "tiny.trace"
    trace.write_text("".join(f"LD {(i * 4160) % (1 << 24):#x}\n" for i in range(1500)))
    for channels in (1, 2):
        result = edensim.simulate(
            trace, dram={"standard": name, "channels": channels}, errors={"ber": 0.01}
        )
        assert result.bit_errors["reads"] == 1500
        assert result.bit_errors["ber"] == pytest.approx(0.01, rel=0.2)
