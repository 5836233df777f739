"""The galaxies that look like one of a map."""

import threading
from dataclasses import dataclass, field
from typing import Any

from galaxyvotes.search.galaxy_map import GalaxyMap

__all__ = ["LookAlikes"]


@dataclass(frozen=True)
class LookAlikes:
    """The map whose galaxies are compared, one request at a time."""

    galaxy_map: GalaxyMap
    lock: threading.Lock = field(default_factory=threading.Lock)

    def like(self, name: str, count: int) -> list[dict[str, Any]]:
        """The nearest galaxies of one, without itself; DataError if the map cannot be read or has
        no such galaxy.
        """
        with self.lock:
            rows = self.galaxy_map.rows_of([name])
            asked = self.galaxy_map.representations_of(rows)
            near = self.galaxy_map.nearest(asked, count, rows)
            ids = self.galaxy_map.ids
        pairs = zip(near.rows[0].tolist(), near.distances[0].tolist(), strict=True)
        return [{"id": ids[row], "distance": distance} for row, distance in pairs]
