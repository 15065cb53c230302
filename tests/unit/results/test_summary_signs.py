"""No rounding artefact of a summary looks like a result."""

import pytest

from edensim.results.summary import less_or_more


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.25, "25.00 % less"),
        (-0.0047, "0.47 % more"),
        (-1e-9, "0.00 % less"),
        (-0.0, "0.00 % less"),
        (0.0, "0.00 % less"),
    ],
)
def test_percentages_have_no_sign(share, words):
    assert less_or_more(share) == words
