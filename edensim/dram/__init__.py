"""DRAM: standards, operating points, address mappings, timing records."""
