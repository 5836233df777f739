"""The galaxies that look like one of a map."""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int64

from galaxyvotes.errors import DataError
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.web.catalogue import Catalogue

__all__ = ["LookAlikes"]


@dataclass(frozen=True)
class LookAlikes:
    """The map whose galaxies are compared, one request at a time; they are called as in the
    catalogue.
    """

    galaxy_map: GalaxyMap
    catalogue: Catalogue
    lock: threading.Lock = field(default_factory=threading.Lock)

    def like(self, name: str, count: int) -> list[dict[str, Any]]:
        """The nearest galaxies of one, without itself; DataError if the map cannot be read or has
        no such galaxy.
        """
        with self.lock:
            rows = np.array([self._row(name)])
            asked = self.galaxy_map.representations_of(rows)
            near = self.galaxy_map.nearest(asked, count, rows)
            ids = self._ids(near.rows[0].tolist())
        pairs = zip(ids, near.distances[0].tolist(), strict=True)
        return [{"id": name, "distance": distance} for name, distance in pairs]

    def id_on_map(self, name: str) -> str:
        """What the map calls a galaxy; DataError if it has no such galaxy."""
        return self.galaxy_map.ids[self._row(name)]

    def _row(self, name: str) -> int:
        row = self.catalogue.row_of(name)
        if self.catalogue.on_map is not None:
            row = int(self.catalogue.on_map[row])
        if row < 0:
            raise DataError(f"{self.galaxy_map.path.name} has no galaxy {name!r}")
        return row

    def _ids(self, rows: list[int]) -> list[str]:
        """The ids of rows of the map; of a galaxy that is not in the catalogue, the map's own."""
        here = self._rows_here[rows]
        known = self.catalogue.read(here[here >= 0].tolist(), ())
        ids = {row["row"]: row["id"] for row in known}
        pairs = zip(rows, here.tolist(), strict=True)
        return [self.galaxy_map.ids[row] if mine < 0 else ids[mine] for row, mine in pairs]

    @cached_property
    def _rows_here(self) -> Int64[np.ndarray, " galaxy"]:
        """The row of the catalogue of each galaxy of the map, -1 if it is not there."""
        on_map = self.catalogue.on_map
        if on_map is None:
            return np.arange(len(self.galaxy_map))
        rows = np.full(len(self.galaxy_map) + 1, -1)
        rows[on_map[::-1]] = np.arange(len(on_map))[::-1]
        return rows[:-1]
