"""Model streaming multiprocessors behind a sectored L2 cache."""
