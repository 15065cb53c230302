"""The executable specification of the controller: a SimPy engine that ticks every cycle.

It reads nothing of the compiled engine, and the protocol checker (`edensim.dram.protocol`) reads
neither: three independent texts have to agree. It is slow and simple, and takes schedulers that are
Python functions (`edensim.reference.schedulers`).
"""
