"""Galaxies with a FITS file for each band, whose names differ by it (`sky.bands`)."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt32

from galaxyvotes.sky.bands import split_band
from galaxyvotes.sources.suffixes import FITS_SUFFIXES, split_suffix

__all__ = ["group_bands"]

Where = tuple[int, int]  # the number of a file's place, and its row there


def group_bands(
    files: Iterable[tuple[Where, str]], bands: tuple[str, ...]
) -> tuple[UInt32[np.ndarray, "galaxy band 2"], list[tuple[Where, str]]] | None:
    """The files of each galaxy, in the order of `bands`, and those that belong to none, each with
    the reason; None unless one galaxy has a file for each band. Files are given with their paths.
    """
    groups: dict[tuple[int, str], dict[str, Where]] = {}
    alone: list[Where] = []
    for where, path in files:
        folders, slash, _ = path.rpartition("/")
        stem, suffix = split_suffix(path)
        rest, band = split_band(stem, bands) if suffix in FITS_SUFFIXES else (stem, "")
        if band:
            groups.setdefault((where[0], folders + slash + rest), {})[band] = where
        else:
            alone.append(where)
    whole = [group for group in groups.values() if len(group) == len(bands)]
    parts = [group for group in groups.values() if len(group) < len(bands)]
    if not whole:
        return None
    left_out = [
        (where, f"lacks the files of the bands {', '.join(b for b in bands if b not in group)}")
        for group in parts
        for where in group.values()
    ]
    left_out += [(where, f"names none of the bands {', '.join(bands)}") for where in alone]
    rows = [[group[band] for band in bands] for group in whole]
    return np.array(rows, np.uint32).reshape(-1, len(bands), 2), left_out
