"""Feed the memory controllers: one event loop, one file per request source."""
