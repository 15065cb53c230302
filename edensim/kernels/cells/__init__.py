"""Decide which DRAM cells are weak and which bits flip."""
