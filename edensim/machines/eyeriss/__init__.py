"""Model a row-stationary array (Eyeriss)."""
