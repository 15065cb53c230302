"""Schedule DRAM commands: the memory controller of one channel."""
