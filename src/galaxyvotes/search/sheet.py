"""A page of pictures of galaxies of a map, in groups, each galaxy with a number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from galaxyvotes.reports.contact_sheet import Card, check_page, page_of
from galaxyvotes.reports.html import jpeg_uri
from galaxyvotes.reports.in_words import Phrase
from galaxyvotes.runtime.files import new_file, write_text

__all__ = ["Picture", "card", "write_cards"]

Picture = UInt8[np.ndarray, "height width 3"]


def card(
    name: str,
    picture: Picture | None,
    distance: float | None = None,
    text: str = "distance",
    unit: str = "1 − cos",
) -> Card:
    """A galaxy with its distance, if it has one, and what that is called."""
    uri = None if picture is None else jpeg_uri(picture)
    if distance is None:
        return Card(name, uri, [])
    return Card(name, uri, [Phrase(text, distance, np.nan, np.nan, unit, is_fraction=False)])


def write_cards(
    out: str | Path,
    title: str,
    sentence: str,
    groups: Sequence[tuple[str, Sequence[Card]]],
    *,
    overwrite: bool,
) -> Path:
    """Write the page.

    Raises ConfigError if its name does not end in .html, and for a file that is there unless
    `overwrite`; DataError if the file cannot be written.
    """
    check_page(out)
    out = new_file(out, overwrite=overwrite)
    write_text(out, page_of(title, sentence, groups))
    return out
