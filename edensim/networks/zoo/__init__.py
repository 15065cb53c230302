"""Describe the networks that edensim knows by name."""
