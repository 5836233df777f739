"""Packed galaxies, read at memory speed."""
