"""Build the torch modules of the built-in networks."""
