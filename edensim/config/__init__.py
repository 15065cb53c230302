"""Read run configurations: what can be said (`models`), how files and overrides are read (`loading`)."""
