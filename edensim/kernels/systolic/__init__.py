"""Count the accesses of a systolic array as SCALE-Sim does."""
