"""EDEN's three steps (Koppula et al., MICRO 2019, section 3): boosting, characterization, mapping, and the loop over them."""
