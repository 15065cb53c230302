"""Compute closed forms of a systolic array."""
