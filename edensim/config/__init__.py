"""Configurations of runs: what they can say (`models`), and how they are read (`loading`)."""
