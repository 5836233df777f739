"""Numbers and figures as files that people read."""
