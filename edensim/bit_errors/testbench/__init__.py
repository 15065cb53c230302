"""Virtual modules and the test programs that measure them, which give data for `edensim fit`.

program.py says what the instructions mean. To run the same test on a board (SoftMC, DRAM Bender),
its host executes them one by one: ACT, then RD trcd_ns later (at the next clock), PRE, and the next
ACT as the standard allows, with refresh off; it compares each burst with what was written. Such a
host can write either file that `edensim profile` writes, and `edensim fit` reads both:

- A table of rates (CSV) has the columns dimm, vendor, pattern, temp_C, trcd_ns (and vdd_V if it is
  lowered), bank, ber_mean, n_wrong_bits and n_bits.
- A map of bit errors (.npz) of one bank at one operating point has `wrong` [rows, bits], the number
  of wrong reads of each cell out of `reads`; `stored` [rows, bits], what was written; and trcd_ns,
  vdd_V and temp_C. Bit i of a row is bit i % 8 of its byte i // 8, in the order of columns.
"""
