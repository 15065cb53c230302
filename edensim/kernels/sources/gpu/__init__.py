"""Schedule thread blocks of a GPU behind its L2 cache."""
