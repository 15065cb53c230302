"""From counts to energy: pure functions of what was counted, the standard's currents and the supply voltage.

Energies follow DRAMPower 6.2's core model (bank-wise factor rho = 1, precharge current = IDD0). Per event and device, at the nominal VDD:

    activate     VDD * (IDD0 - IDD3N) * tRAS         each ACT
    precharge    VDD * (IDD0 - IDD2N) * tRP          each time an open bank is closed, by PREpb, PREab or auto-precharge
    read, write  VDD * (IDD4R|IDD4W - IDD3N) * tBL   each column command
    refresh      VDD * (IDD5 - IDD3N) * tRFC         each REFab
    background   VDD * IDD3N while any bank of the rank is open or the rank is in all-bank refresh, VDD * IDD3P and IDD2P in power-down
                 with and without an open bank, VDD * IDD6 in self-refresh, VDD * IDD2N otherwise

with the timings that the device is specified for. All devices of a rank work in lock-step, so a rank costs as many times that as it has devices.
"""
