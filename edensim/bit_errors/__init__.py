"""Bit errors: models, fitted modules, weak cells, injection, bounding (DESIGN.md, Errors)."""
