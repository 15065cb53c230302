"""Networks from files and modules: one reader per format."""
