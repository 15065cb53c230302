"""What a memory controller keeps for a mapping, and what the correction of implausible values takes (Koppula et al., MICRO 2019, section 5)."""

from __future__ import annotations

from typing import Any, Final

#: Bits of a voltage step of a bank, and of a tRCD of a partition.
VDD_BITS: Final = 8
TRCD_BITS: Final = 4
#: Cycles that the bounding logic adds to a load.
BOUNDING_CYCLES: Final = 1


def metadata(
    *, banks: int, partitions: int, items: int, bits: int, tck_ps: int, bounding: bool
) -> dict[str, Any]:
    """Bytes of the tables of voltages (one a bank), of tRCDs (one a partition) and of bounds (two a data item), and the time of bounding.

    banks: of all channels and ranks; bits: of a value; at FP32 the exponents (8 bits) are compared.
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
