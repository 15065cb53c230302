"""The results of the EDEN paper (Koppula et al., MICRO 2019), run again with edensim and set beside the published figures."""

from edensim.reproduction.run import Reproduction, reproduce

__all__ = ["Reproduction", "reproduce"]
