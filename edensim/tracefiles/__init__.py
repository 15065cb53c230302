"""Trace files: one reader, chunked, for every format (`open_trace`), and writers (`convert`)."""
