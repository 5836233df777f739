"""Tables of galaxies read in slices and written part by part, with what their columns mean."""
