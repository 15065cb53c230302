"""Describe the built-in networks."""
