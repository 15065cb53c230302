"""Describe networks by layers and tensors, read them from files, and lay them out in memory."""
