"""Do the walks in docs/architecture.md name functions that exist, and are they short?"""

from __future__ import annotations

import pkgutil
import re

import pytest

from tests.locations import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text()
WALKS = {
    title: re.findall(r"^\d+\. (.*)$", body, re.MULTILINE)
    for title, _, body in (part.partition("\n") for part in TEXT.split("\n### ")[1:])
}


def test_there_are_four_walks() -> None:
    assert len(WALKS) == 4


@pytest.mark.parametrize("title", WALKS)
def test_each_step_names_a_function(title: str) -> None:
    steps = WALKS[title]
    assert 5 < len(steps) < 15
    for step in steps:
        named = re.match(r"`([\w.]+)` ", step)
        assert named, step
        assert callable(pkgutil.resolve_name(f"edensim.{named[1]}")), step
