"""Trace files: a reader in chunks for every format, writers, and conversion between formats."""
