"""The results of the EDEN paper (Koppula et al., MICRO 2019), run again with edensim and set beside the published figures."""
