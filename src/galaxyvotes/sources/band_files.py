"""Galaxies with a FITS file for each band, whose names differ by it: `12-g.fits`, `12-r.fits`.

The band is a part of the name between `-`, `_`, `.` and spaces, or at an end of it, whatever its
case; of several such parts it is the last one.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import UInt32

from galaxyvotes.sources.suffixes import FITS_SUFFIXES, split_suffix

__all__ = ["group_bands", "split_band"]

Where = tuple[int, int]  # the number of a file's place, and its row there


def split_band(stem: str, bands: Sequence[str]) -> tuple[str, str]:
    """A name without its band, and the band as it is written in `bands`; "" if it has none."""
    found = [*_pattern(tuple(bands)).finditer(stem)]
    if not found:
        return stem, ""
    start, end = found[-1].span()
    rest = stem[:start] + stem[end:]
    band = next(band for band in bands if band.lower() == found[-1][1].lower())
    return (rest if start else rest.lstrip("-_. ")), band


@lru_cache(maxsize=8)
def _pattern(bands: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(bands, key=len, reverse=True)))
    return re.compile(rf"(?:^|[-_. ])({words})(?=$|[-_. ])", re.IGNORECASE)


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
