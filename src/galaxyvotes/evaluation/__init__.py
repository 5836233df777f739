"""A run compared with the volunteers on galaxies that it has never seen."""
