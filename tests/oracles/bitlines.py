"""Say which chip, access, beat and wire a bit of a row belongs to, by the written rule."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edensim.bit_errors.cells import Geometry


def place_of(
    geometry: Geometry, positions: NDArray[np.integer[Any]]
) -> dict[str, NDArray[np.int64]]:
    """Return chip, column (access of the row), beat and wire of the chip of positions in a row.

    The start of edensim/bit_errors/cells.py says how bits are numbered.
    """
    organization = geometry.organization
    positions = np.asarray(positions, dtype=np.int64)
    access, bit = np.divmod(positions, organization.access_bytes * 8)
    beat, wire = np.divmod(bit, organization.channel_width)
    return {
        "chip": wire // organization.device_width,
        "column": access,
        "beat": beat,
        "wire": wire % organization.device_width,
    }
