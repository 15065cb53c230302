"""State the version of edensim."""

__version__ = "0.1.0"
