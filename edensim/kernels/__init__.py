"""Hold the compiled code, which works on arrays and records only."""
