"""From pixels to outputs, and what outputs mean."""
