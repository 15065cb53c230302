"""The results of the EDEN paper, run again and set beside the published figures.

The paper is Koppula et al., MICRO 2019.
"""
