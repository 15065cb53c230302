"""EDEN: boosting, characterization, mapping, and the loop of the three."""
