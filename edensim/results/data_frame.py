"""Make data frames with pandas, which is an extra of edensim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edensim.exceptions import EdensimError

if TYPE_CHECKING:
    import pandas as pd


def data_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a data frame. Raises EdensimError if pandas is not installed."""
    try:
        import pandas as pd
    except ImportError:
        raise EdensimError(
            "data frames need pandas, which is not installed; expected the extra: "
            'pip install "edensim[pandas]"'
        ) from None
    return pd.DataFrame(rows)
