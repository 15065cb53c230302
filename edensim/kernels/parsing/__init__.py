"""Parse text traces."""
