"""Odd ones out: the galaxies of a map that are unlike all others.

The score of a galaxy is its mean distance (1 − cos) from its nearest neighbours. It found the
galaxies that most volunteers called odd better than an isolation forest and the local outlier
factor did (docs/experiments.md).

Source: Angiulli & Pizzuti 2002, PKDD, LNCS 2431, 15 (the sum over neighbours).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import new_file
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.search.sheet import card, write_cards
from galaxyvotes.table_formats.columns import column
from galaxyvotes.table_formats.write import check_format, write_table

__all__ = ["OddGalaxies", "odd"]

_NEAREST = 10  # where the map has no neighbours

_SCHEMA = pa.schema([
    column("id", pa.string(), description="name of the image", ucd="meta.id;meta.main"),
    column("score", pa.float32(), description="mean distance from the nearest galaxies, 1 - cos"),
])  # fmt: skip


@dataclass(frozen=True, eq=False)
class OddGalaxies:
    """The rows of some galaxies of a map and their scores, the oddest first: 0 for a galaxy that
    others are exactly like.
    """

    map: GalaxyMap
    rows: Int64[np.ndarray, " chosen"]
    scores: Float32[np.ndarray, " chosen"]

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
        return pa.table([list(self.ids), self.scores.tolist()], schema=_SCHEMA)

    def write(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write the table as the extension says: .csv, .ecsv, .fits, .parquet, .vot or .xml.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if it cannot be written.
        """
        out = new_file(out, overwrite=overwrite)
        check_format(out)
        write_table(out, _SCHEMA, [self.to_table()])
        return out

    def contact_sheet(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write a page (.html) with pictures of the galaxies.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if the file cannot be written.
        """
        pictures = self.map.pictures(self.rows)
        cards = [
            card(name, pictures.get(name), score, "score")
            for name, score in zip(self.ids, self.scores.tolist(), strict=True)
        ]
        sentence = (
            f"The {counted(len(self), 'galaxy')} of {len(self.map):,} that are most unlike their"
            " nearest neighbours, by the network's representation of them."
        )
        return write_cards(out, "Odd ones out", sentence, [("", cards)], overwrite=overwrite)


def odd(galaxy_map: GalaxyMap | str | Path, count: int = 20) -> OddGalaxies:
    """The `count` galaxies of a map that are most unlike all others, the oddest first.

    The neighbours in the map count; those of a map without them are found by its index, or every
    galaxy is compared with all others.

    Raises ConfigError for a count below 1, DataError if the map or its index cannot be read.
    """
    if count < 1:
        raise ConfigError(f"count is {count}; expected 1 or more")
    galaxy_map = GalaxyMap.open(galaxy_map)
    distances = galaxy_map.neighbour_distances
    if distances is None:
        parts = galaxy_map.nearest_of_each(_NEAREST)
        distances = np.concatenate([part.distances for part in parts])
    scores = distances.mean(axis=1) if distances.shape[1] else np.zeros(len(distances), np.float32)
    rows = np.argsort(-scores, kind="stable")[:count]
    return OddGalaxies(galaxy_map, rows, scores[rows])
