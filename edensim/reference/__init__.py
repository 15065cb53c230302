"""The executable specification of the controller: a SimPy twin that ticks every cycle, and a checker that replays command lists.

Neither reads the compiled engine, and neither reads the other: three texts have to agree.
"""
