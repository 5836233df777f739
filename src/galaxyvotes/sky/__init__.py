"""FITS images, and how their bands become pictures."""
