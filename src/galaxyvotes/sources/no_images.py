"""Why sources without any image are refused, and what to do."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source

if TYPE_CHECKING:
    from galaxyvotes.tables.table import Table

__all__ = ["has_positions", "refuse_without_images"]

_RIGHT_ASCENSION = {"ra", "_ra", "raj2000", "_raj2000", "ra_deg", "alpha", "right_ascension"}
_DECLINATION = {"dec", "_de", "_dec", "dej2000", "_dej2000", "decj2000", "dec_deg", "declination"}


def refuse_without_images(source: Source, paths: Sequence[str | Path]) -> None:
    """Raise a DataError if a source has no image: it names the paths, a table of positions, and
    what was passed over.
    """
    if source.images:
        return
    from galaxyvotes.tables.table import Table  # takes long, and a source mostly has images

    if not paths:
        raise DataError("no image is named: give folders, zips, image files or one packed store")
    problem = f"no image (JPEG, PNG …) in {', '.join(str(path) for path in paths)}"
    hints = [_hint(Table(file.name, file.read())) for file in source.tables]
    best = max(hints, default=None)
    raise DataError(problem + (best.text if best else "") + source.passed_over.hint)


def has_positions(columns: Iterable[str]) -> bool:
    """Whether columns of these names are positions on the sky."""
    names = {name.strip().lower() for name in columns}
    return bool(names & _RIGHT_ASCENSION and names & _DECLINATION)


class _Hint(NamedTuple):
    """What a table may be for; the more telling is the larger."""

    rank: int
    text: str


def _hint(table: "Table") -> _Hint:
    try:
        names = table.header()
        next(table.text_columns(table.header()[:1]))
    except DataError as error:
        return _Hint(1, f": {error}")
    if has_positions(names):
        return _Hint(
            2,
            f": {table.name} has positions on the sky, but no pixels; give a folder or zip with a"
            " cut-out image of each galaxy, too, or the mosaic that they are cut from,"
            ' `mosaic=("g.fits", "r.fits")`',
        )
    return _Hint(
        0,
        f": no column of {table.name} holds paths of images that are there; give the folder or zip"
        " of the images, too",
    )
