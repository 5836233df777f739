"""Stars that people gave to galaxies on the page, 0 to 5, and the order that is learned from them.

A star that is clicked is 5; a galaxy that was opened and got none has 0. They are what `odd` takes.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.counted import counted
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.search.interest import interest
from galaxyvotes.search.odd import oddness_of
from galaxyvotes.web.catalogue import STARS, Catalogue
from galaxyvotes.web.selection import Range, Selection
from galaxyvotes.web.votes_file import VotesFile

__all__ = ["INTEREST", "Interest", "Stars"]

INTEREST = "learned_interest"
_MOST_COMPARED = 20_000  # galaxies each of which is compared with all others: seconds
_TABLE = """
CREATE TABLE IF NOT EXISTS stars (
    galaxy TEXT PRIMARY KEY,
    stars INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Stars:
    """The stars in a file, and in a catalogue as its column of them."""

    file: VotesFile
    catalogue: Catalogue

    def __post_init__(self) -> None:
        """Bring the catalogue up to date; DataError if the file cannot be read."""
        self.catalogue.set_stars(self.given())

    def give(self, galaxies: Sequence[str], stars: int) -> None:
        """Give galaxies of the catalogue so many stars, 0 to 5; they are on the disk when this
        returns. DataError for a galaxy that there is not, and if the file cannot be written.
        """
        for name in galaxies:
            self.catalogue.row_of(name)
        with self.file.writing(_TABLE) as database:
            rows = ((name, stars) for name in galaxies)
            database.executemany("INSERT OR REPLACE INTO stars VALUES (?, ?)", rows)
        self.catalogue.set_stars(self.given())

    def given(self) -> dict[str, int]:
        """The stars of each galaxy that has some, or 0; DataError if the file cannot be read."""
        if not self.file.path.exists():
            return {}
        with self.file.opened() as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'stars'").fetchone():
                return {}
            rows: list[tuple[str, int]] = database.execute("SELECT * FROM stars").fetchall()
        return dict(rows)

    def table(self) -> Iterator[str]:
        """The table that `odd` reads as CSV, line by line; DataError as of `given`."""
        yield "id,stars\n"
        for name, stars in sorted(self.given().items(), key=lambda one: (-one[1], one[0])):
            quoted = '"' + name.replace('"', '""') + '"'
            yield f"{quoted},{stars}\n"


@dataclass
class Interest:
    """The galaxies of a catalogue sorted by what stars say of a map of them."""

    galaxy_map: GalaxyMap
    stars: Stars
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _oddness: Float32[np.ndarray, " galaxy"] | None = None
    _learned: Mapping[str, int] | None = None

    def learn(self) -> None:
        """Let the catalogue be sorted by `INTEREST`: the scores of all galaxies by the stars that
        there are now.

        Raises DataError if the map cannot be read, ConfigError if it has no neighbours.
        """
        with self._lock:
            given = self.stars.given()
            if given != self._learned:
                self.stars.catalogue.orders.set_scores(INTEREST, self._scores())
                self._learned = given

    def _scores(self) -> Float32[np.ndarray, " galaxy"]:
        """The score of each galaxy of the catalogue, NaN of those that are not on the map."""
        catalogue = self.stars.catalogue
        # Opened anew: representations of a million galaxies are a gigabyte.
        galaxy_map = GalaxyMap.open(self.galaxy_map.path)
        scores = self._oddness_of(galaxy_map)
        seen = catalogue.rows(Selection((Range(STARS, 0),)))
        given = np.array([row[STARS] for row in catalogue.read(seen.tolist(), [STARS])], np.float64)
        on_map = np.arange(len(scores)) if catalogue.on_map is None else catalogue.on_map
        there = on_map[seen] >= 0
        if there.any():
            rows = on_map[seen][there].astype(np.int64)
            scores = interest(galaxy_map.representations, scores, rows, given[there])
        return np.append(scores, np.float32(np.nan))[on_map]

    def _oddness_of(self, galaxy_map: GalaxyMap) -> Float32[np.ndarray, " galaxy"]:
        if self._oddness is None:
            has_neighbours = galaxy_map.index or "neighbors" in galaxy_map.columns
            if not has_neighbours and len(galaxy_map) > _MOST_COMPARED:
                raise ConfigError(
                    f"the map of {counted(len(galaxy_map), 'galaxy')} has no neighbours, from which"
                    " odd ones are found: a map that `embed` makes by default has them"
                )
            self._oddness = oddness_of(galaxy_map)
        return self._oddness
