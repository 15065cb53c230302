"""Bit errors of approximate DRAM: models, fitted modules, weak cells, injection, bounding."""
