"""Model a systolic array with on-chip buffers (TPU)."""
