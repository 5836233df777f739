"""Why sources without any image are refused, and what to do."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from galaxyvotes.errors import DataError
from galaxyvotes.sources.archives import Source

__all__ = ["refuse_without_images"]

_RIGHT_ASCENSION = {"ra", "_ra", "raj2000", "_raj2000", "ra_deg", "alpha", "right_ascension"}
_DECLINATION = {"dec", "_de", "_dec", "dej2000", "_dej2000", "decj2000", "dec_deg", "declination"}


def refuse_without_images(source: Source, paths: Sequence[str | Path]) -> None:
    """Raise a DataError if a source has no image: it names the paths, a table of positions, and
    what was passed over.
    """
    if source.images:
        return
    from galaxyvotes.tables.table import Table  # takes long, and a source mostly has images

    problem = f"no image (JPEG, PNG …) in {', '.join(str(path) for path in paths)}"
    for file in source.tables:
        with suppress(DataError):
            names = {name.strip().lower() for name in Table(file.name, file.read()).header()}
            if names & _RIGHT_ASCENSION and names & _DECLINATION:
                problem += (
                    f": {file.name} has positions on the sky, but no pixels; give a folder or zip"
                    " with a cut-out image of each galaxy, too (mosaics are not cut yet)"
                )
                break
    raise DataError(problem + source.passed_over.hint)
