"""Tables of a memory controller for a mapping, and the cost of correcting implausible values.

Sizes follow section 5 of Koppula et al., MICRO 2019.
"""

from __future__ import annotations

from typing import Any, Final

#: Bits of a bank's voltage, and of a partition's tRCD.
VDD_BITS: Final = 8
TRCD_BITS: Final = 4
#: Cycles that the bounding logic adds to a load.
BOUNDING_CYCLES: Final = 1


def metadata(
    *, banks: int, partitions: int, items: int, bits: int, tck_ps: int, bounding: bool
) -> dict[str, Any]:
    """Compute the bytes of the controller's tables, and the time that bounding takes.

    There is a voltage for each bank (of all channels and ranks), a tRCD for each partition, and two
    bounds for each data item. A bound has the `bits` of a value; at FP32 the exponents (8 bits) are
    compared.
    """
    bound_bits = 8 if bits == 32 else bits
    tables = {
        "vdd_table_bytes": -(-banks * VDD_BITS // 8),
        "trcd_table_bytes": -(-partitions * TRCD_BITS // 8),
        "bounds_table_bytes": -(-2 * items * bound_bits // 8) if bounding else 0,
    }
    cycles = BOUNDING_CYCLES if bounding else 0
    return {
        **tables,
        "total_bytes": sum(tables.values()),
        "bounding_cycles": cycles,
        "bounding_ns": cycles * tck_ps / 1000,
    }
