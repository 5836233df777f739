"""Numbers as files that people read."""
