"""A few damaged files for every reader; `.ci/run` and the script read more of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("edensim_fuzz", Path(__file__).parent / "fuzz.py")
assert _SPEC is not None
assert _SPEC.loader is not None
fuzz = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzz)


@pytest.mark.parametrize("reader", [each for each in fuzz.READERS if each != "store"])
def test_a_mutated_file_can_be_made_again(tmp_path: Path, reader: str) -> None:
    first = fuzz.make(reader, 7, 1, tmp_path).read_bytes()
    assert fuzz.make(reader, 7, 1, tmp_path).read_bytes() == first
    assert fuzz.make(reader, 8, 1, tmp_path).read_bytes() != first
