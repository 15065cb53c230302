"""From counts to energy: pure functions of counts, the standard's currents and the supply voltage.

Energies follow the core model of DRAMPower 6.2 (bank-wise factor rho = 1, precharge current IDD0).
One event costs, in one device at the nominal VDD:

    activate     VDD * (IDD0 - IDD3N) * tRAS         for each ACT
    precharge    VDD * (IDD0 - IDD2N) * tRP          whenever an open bank is closed: by PREpb,
                                                     PREab or auto-precharge
    read, write  VDD * (IDD4R|IDD4W - IDD3N) * tBL   for each column command
    refresh      VDD * (IDD5 - IDD3N) * tRFC         for each REFab
    background   VDD * IDD3N   while a bank of the rank is open or in all-bank refresh
                 VDD * IDD3P   in power-down with an open bank
                 VDD * IDD2P   in power-down without one
                 VDD * IDD6    in self-refresh
                 VDD * IDD2N   otherwise

The timings are those that the device is specified for. All devices of a rank work in lock-step, so
a rank costs as many times that as it has devices.
"""
