"""The paper's results, made again with edensim and set beside the published ones."""
