"""The band in the name of a file: `12-g.fits`.

It is a part of the name between `-`, `_`, `.` and spaces, or at an end of it, whatever its case; of
several such parts it is the last one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["split_band"]


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
