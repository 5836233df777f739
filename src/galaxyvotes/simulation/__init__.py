"""Galaxies and volunteers drawn from a seed."""
