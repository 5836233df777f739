"""Odd ones out: the galaxies of a map that are unlike all others.

The score of a galaxy is its mean distance (1 − cos) from its nearest neighbours. It found the
galaxies that most volunteers called odd better than an isolation forest and the local outlier
factor did (docs/experiments.md).

Source: Angiulli & Pizzuti 2002, PKDD, LNCS 2431, 15 (the sum over neighbours).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import new_file
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.search.interest import checked_stars, interest, read_stars
from galaxyvotes.search.sheet import card, write_cards
from galaxyvotes.table_formats.columns import column
from galaxyvotes.table_formats.write import write_table

__all__ = ["OddGalaxies", "odd", "oddness_of"]

_NEAREST = 10  # where the map has no neighbours
_DISTANCE = "mean distance from the nearest galaxies, 1 - cos"


def _schema(score: str) -> pa.Schema:
    return pa.schema([
        column("id", pa.string(), description="name of the image", ucd="meta.id;meta.main"),
        column("score", pa.float32(), description=score),
    ])  # fmt: skip


@dataclass(frozen=True, eq=False)
class OddGalaxies:
    """The rows of some galaxies of a map and their scores, the highest first: the mean distance
    from the nearest galaxies, 0 for a galaxy that others are exactly like; or, where `starred`
    galaxies had stars, `interest.interest`.
    """

    map: GalaxyMap
    rows: Int64[np.ndarray, " chosen"]
    scores: Float32[np.ndarray, " chosen"]
    starred: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the galaxies."""
        return tuple(map(str, np.array(self.map.ids, object)[self.rows]))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def __repr__(self) -> str:
        """One line: how many of how many."""
        return f"<OddGalaxies: {len(self):,} of {counted(len(self.map), 'galaxy')}>"

    def to_table(self) -> pa.Table:
        """An Arrow table of the columns id and score."""
        what = "oddness times the stars that are expected" if self.starred else _DISTANCE
        return pa.table([list(self.ids), self.scores.tolist()], schema=_schema(what))

    def write(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write the table as the extension says: .csv, .ecsv, .fits, .parquet, .vot or .xml.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if it cannot be written.
        """
        out = new_file(out, overwrite=overwrite)
        table = self.to_table()
        write_table(out, table.schema, [table])
        return out

    def contact_sheet(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write a page (.html) with pictures of the galaxies.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if the file cannot be written.
        """
        pictures = self.map.pictures(self.rows)
        cards = [
            card(name, pictures.get(name), score, "score", "" if self.starred else "1 − cos")
            for name, score in zip(self.ids, self.scores.tolist(), strict=True)
        ]
        like = f", and most like those of {counted(self.starred, 'galaxy')} with many stars"
        sentence = (
            f"The {counted(len(self), 'galaxy')} of {len(self.map):,} that are most unlike their"
            f" nearest neighbours{like if self.starred else ''}, by the network's representation"
            " of them."
        )
        return write_cards(out, "Odd ones out", sentence, [("", cards)], overwrite=overwrite)


def odd(
    galaxy_map: GalaxyMap | str | Path,
    count: int = 20,
    *,
    stars: Mapping[str, float | int] | str | Path | None = None,
    id_column: str | None = None,
) -> OddGalaxies:
    """The `count` galaxies of a map that are most unlike all others, the oddest first.

    With `stars`, 0 to 5 by id or in a table (`interest.read_stars`), whose ids are in `id_column`,
    those come first that are also like galaxies of many stars; the galaxies that have some are left
    out. A galaxy may be called by its id or the path of its file.

    The neighbours in the map count; those of a map without them are found by its index, or every
    galaxy is compared with all others.

    Raises ConfigError for a count below 1, and for an `id_column` that the table has not, or
    without a table; DataError if the map, its index or the table cannot be read, and for stars that
    are not 0 to 5, or of a galaxy that is not on the map or is called twice.
    """
    if count < 1:
        raise ConfigError(f"count is {count}; expected 1 or more")
    is_table = isinstance(stars, str | Path)
    if id_column is not None and not is_table:
        raise ConfigError("`id_column=…` is for a table of stars, `stars=…`, and none is named")
    galaxy_map = GalaxyMap.open(galaxy_map)
    scores = oddness_of(galaxy_map)
    if stars is None:
        rows = np.argsort(-scores, kind="stable")[:count]
        return OddGalaxies(galaxy_map, rows, scores[rows])
    given = read_stars(stars, id_column) if is_table else checked_stars(stars)
    seen = galaxy_map.rows_of([*given])
    if len(twice := np.flatnonzero(np.bincount(seen) > 1)):
        raise DataError(f"galaxy {galaxy_map.ids[twice[0]]!r} has stars twice; keep one row")
    if len(seen):
        numbers = np.array([*given.values()])
        scores = interest(galaxy_map.representations, scores, seen, numbers)
    order = np.argsort(-scores, kind="stable")
    rows = order[~np.isin(order, seen)][:count]
    return OddGalaxies(galaxy_map, rows, scores[rows], len(seen))


def oddness_of(galaxy_map: GalaxyMap) -> Float32[np.ndarray, " galaxy"]:
    """The mean distance of every galaxy of a map from its nearest neighbours.

    Raises DataError if the map or its index cannot be read.
    """
    distances = galaxy_map.neighbour_distances
    if distances is None:
        parts = galaxy_map.nearest_of_each(_NEAREST)
        distances = np.concatenate([part.distances for part in parts])
    return distances.mean(axis=1) if distances.shape[1] else np.zeros(len(distances), np.float32)
