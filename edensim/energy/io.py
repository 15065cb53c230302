"""Energy on the data wires: what drivers and termination take from VDDQ, at both ends of a wire.

The model is simple: bits are independent, and there are no strobes, no command and address wires,
no data-bus inversion and no idle termination. With the resistances and loads of the standard's file
(`interface`), one wire takes

    split    VDDQ^2 / (4 Rt) * (1 + Rt / (Rt + Rd)) during a bit of either value:
             two resistors of 2 Rt go to VDDQ and to ground, and the driver has Rd
    pull-up  VDDQ^2 / (Rt + Rd) during a 0, and nothing during a 1
    none     C VDDQ^2 whenever a 0 is followed by a 1

VDDQ is not the VDD that an operating point lowers: it stays.
"""

from __future__ import annotations

from edensim.dram.standard import Standard


def io_energy_pJ_per_bit(standard: Standard, ones_fraction: float = 0.5) -> float | None:
    """Return the energy in pJ of moving one bit over its wire.

    It is None if the standard's file does not describe the interface.
    """
    interface = standard.interface
    if interface is None:
        return None
    if interface.scheme == "none":
        return ones_fraction * (1 - ones_fraction) * interface.load_pF * interface.vddq_V**2
    bit_ns = 1000 / standard.rate_MTps
    termination, loop = interface.termination_ohm, interface.termination_ohm + interface.driver_ohm
    if interface.scheme == "pull-up":
        power_W = (1 - ones_fraction) * interface.vddq_V**2 / loop
    else:
        power_W = interface.vddq_V**2 / (4 * termination) * (1 + termination / loop)
    return 1000 * power_W * bit_ns
