"""Galaxies that look alike: representations, a map of them, nearest neighbours."""
