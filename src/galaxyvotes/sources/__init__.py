"""Whatever people have, as one table of galaxies."""
