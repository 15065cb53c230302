"""What a run leaves behind: counts, energy, and one result object that can be saved, loaded and read by people.

`Counts` is filled by an engine (or from a command list), `EnergyBreakdown` by `edensim.energy`, `RunResult` joins both with the
configuration. All three are plain values: nothing here computes a simulation.
"""
