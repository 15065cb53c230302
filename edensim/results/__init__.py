"""What a run leaves behind: one result that can be saved, loaded, compared and read by people."""
