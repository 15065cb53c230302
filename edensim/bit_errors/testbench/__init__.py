"""Virtual modules and the test programs that measure them: data as boards give, for `edensim fit`.

program.py says what the instructions mean. To run the same test on a board (SoftMC, DRAM Bender), execute them one by one: ACT, then RD
trcd_ns later (the next clock), PRE and the next ACT as the standard allows, refresh off; compare each burst with what was written. Either file
that `edensim profile` writes can be written by such a host, and `edensim fit` reads both:

- a table of rates (CSV): dimm, vendor, pattern, temp_C, trcd_ns (and vdd_V where it is lowered), bank, ber_mean, n_wrong_bits, n_bits;
- a map of bit errors (.npz) of one bank at one operating point: wrong [rows, bits] reads that were wrong of each cell, out of `reads`; stored
  [rows, bits] what was written; trcd_ns, vdd_V, temp_C. Bit i of a row is bit i % 8 of its byte i // 8, in the order of columns.
"""
