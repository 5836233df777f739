"""More like this: the galaxies of a map that are nearest to some of them, or to other images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from galaxyvotes.errors import CheckpointError, ConfigError
from galaxyvotes.images.read import decode
from galaxyvotes.inference.predict import open_network
from galaxyvotes.inference.predicted import Rejected
from galaxyvotes.inference.stream import open_stream, pack_for
from galaxyvotes.reports.contact_sheet import Card
from galaxyvotes.runs.network import Network
from galaxyvotes.runs.run import Run
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import given_sources, new_file
from galaxyvotes.runtime.memory_limits import enough_memory
from galaxyvotes.search.embed import Represented, represent, weights_digest
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.search.neighbours import Neighbours, nearest
from galaxyvotes.search.sheet import Picture, card, write_cards
from galaxyvotes.sky.fits import ANYWHERE, FitsLayout
from galaxyvotes.table_formats.columns import column
from galaxyvotes.table_formats.write import write_table

__all__ = ["Similar", "similar"]


@dataclass(frozen=True, eq=False)
class Similar:
    """The galaxies of a map that are nearest to each query, the nearest first.

    `queries` are ids of the map, or of images; `on_map` has what the map calls each query, which is
    no neighbour of itself, or "" if it is not there. `neighbours` has the rows of the nearest
    galaxies on the map and their distances, 1 − cos: 0 for the same representation, 1 for one that
    has nothing in common with it. `pictures` has one of each query, None if the map has none.
    `rejected` are images that could not be used, each with its reason.
    """

    map: GalaxyMap
    queries: tuple[str, ...]
    on_map: tuple[str, ...]
    neighbours: Neighbours
    pictures: tuple[Picture | None, ...]
    rejected: tuple[Rejected, ...] = ()

    @property
    def ids(self) -> tuple[tuple[str, ...], ...]:
        """The ids of the nearest galaxies of each query."""
        ids = self.map.ids
        near: list[list[int]] = self.neighbours.rows.tolist()
        return tuple(tuple(ids[row] for row in rows) for rows in near)

    @property
    def distances(self) -> Float32[np.ndarray, "query neighbour"]:
        """Their distances."""
        return self.neighbours.distances

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.queries)

    def __repr__(self) -> str:
        """One line: how many neighbours of how many galaxies."""
        count = counted(self.distances.shape[1], "neighbour")
        return f"<Similar: {count} of {counted(len(self), 'galaxy')}, from {self.map.path}>"

    def to_table(self) -> pa.Table:
        """An Arrow table of the columns query, rank (from 1), id and distance."""
        count = self.distances.shape[1]
        return pa.table(
            [
                [query for query in self.queries for _ in range(count)],
                [*range(1, count + 1)] * len(self),
                [name for ids in self.ids for name in ids],
                self.distances.reshape(-1).tolist(),
            ],
            schema=_SCHEMA,
        )

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
        """Write a page (.html) with the picture of each query and of its nearest galaxies.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if the file cannot be written.
        """
        pictures = self.map.pictures(self.neighbours.rows.reshape(-1))
        groups: list[tuple[str, list[Card]]] = []
        for query, picture, ids, distances in zip(
            self.queries, self.pictures, self.ids, self.distances.tolist(), strict=True
        ):
            near = zip(ids, distances, strict=True)
            others = [card(name, pictures.get(name), distance) for name, distance in near]
            groups.append((query, [card(query, picture), *others]))
        sentence = (
            "Each group begins with a galaxy; the others are the nearest to it of"
            f" {counted(len(self.map), 'galaxy')} by the network's representation of them."
        )
        title = "Galaxies that look alike"
        return write_cards(out, title, sentence, groups, overwrite=overwrite)


_SCHEMA = pa.schema([
    column("query", pa.string(), description="galaxy whose neighbours these are"),
    column("rank", pa.int64(), description="1 for the nearest"),
    column("id", pa.string(), description="name of the image", ucd="meta.id;meta.main"),
    column("distance", pa.float32(), description="1 - cos of the angle of representations"),
])  # fmt: skip


_SAME = 1e-5  # of distances: computed from the same pixels, whatever stands beside them
_NEARLY_SAME = 1e-3  # by an index, which rounds


@enough_memory("lower `workers=…`, each of which holds images, or use `device='cpu'`")
def similar(
    galaxy_map: GalaxyMap | str | Path,
    ids: str | Sequence[str] = (),
    *,
    images: str | Path | Sequence[str | Path] = (),
    count: int = 10,
    run: Run | str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    scale: float | None = None,
    fit: bool = False,
    stretch: str | None = None,
    layout: FitsLayout = ANYWHERE,
    progress: bool = True,
) -> Similar:
    """The `count` galaxies of a map that look most like each of some: those of these ids, or of
    files of these paths, then those of other images, which the run of the map represents.

    No galaxy is like itself: an image is a galaxy of the map if it has the same representation; of
    several such it is the one of its name, or else the first. They are found by the map's index if
    it has one, otherwise every galaxy of the map is compared, in memory. Images are read and
    cropped as `predict` does.

    Raises ConfigError if there is neither an id nor an image, or for a count below 1, and what
    `embed` raises for images; CheckpointError if the map was made with another run; DataError if
    the map or its index cannot be read, if the map has no such id, or if no image can be used.
    """
    if count < 1:
        raise ConfigError(f"count is {count}; expected 1 or more")
    ids = (ids,) if isinstance(ids, str) else tuple(ids)
    paths = given_sources(images)
    if not ids and not paths:
        raise ConfigError("no galaxy is named: name ids of the map, or images")
    galaxy_map = GalaxyMap.open(galaxy_map)
    own = galaxy_map.rows_of(ids)
    near = galaxy_map.nearest(galaxy_map.representations_of(own), count, own if ids else None)
    shown = galaxy_map.pictures(own)
    rows: list[int] = own.tolist()
    names = tuple(galaxy_map.ids[row] for row in rows)
    queries = Similar(galaxy_map, ids, names, near, tuple(map(shown.get, names)))
    if not paths:
        return queries
    network = _network_of(galaxy_map, run, device)
    pack = pack_for(network.pack, paths, scale=scale, fit=fit, stretch=stretch)
    compute = partial(represent, network, thumbnails=True)
    with open_stream(pack, paths, compute, layout, workers, progress=progress) as stream:
        parts = [queries, *(_near_images(galaxy_map, part, count) for part in stream)]
    width = min(part.distances.shape[1] for part in parts)
    return Similar(
        galaxy_map,
        tuple(query for part in parts for query in part.queries),
        tuple(name for part in parts for name in part.on_map),
        Neighbours(
            np.concatenate([part.neighbours.rows[:, :width] for part in parts]),
            np.concatenate([part.distances[:, :width] for part in parts]),
        ),
        tuple(picture for part in parts for picture in part.pictures),
        tuple(stream.rejected),
    )


def _near_images(galaxy_map: GalaxyMap, images: Represented, count: int) -> Similar:
    """The galaxies nearest to some images, without those that they are themselves."""
    near = galaxy_map.nearest(images.representations, count + 1)
    asked = zip(images.ids, images.representations, near.rows, near.distances, strict=True)
    own: list[int] = [_own_row(galaxy_map, *one) for one in asked]
    others = near.rows != np.array(own)[:, None]
    if near.rows.shape[1] > count or max(own) >= 0:
        others[others.all(axis=1), -1:] = False  # one too many of those that are not on the map
    return Similar(
        galaxy_map,
        images.ids,
        tuple(galaxy_map.ids[row] if row >= 0 else "" for row in own),
        Neighbours(*(part[others].reshape(len(own), -1) for part in near)),
        tuple(map(decode, images.thumbnails)),
    )


def _own_row(
    galaxy_map: GalaxyMap,
    name: str,
    representation: Float32[np.ndarray, " feature"],
    rows: Int64[np.ndarray, " neighbour"],
    distances: Float32[np.ndarray, " neighbour"],
) -> int:
    """The row of an image's own galaxy among the nearest; -1 if it is none of them."""
    near = rows[distances < _NEARLY_SAME]
    exact = nearest(galaxy_map.representations_of(near), representation[None], len(near))
    same: list[int] = np.sort(near[exact.rows[exact.distances < _SAME]]).tolist()
    return next((row for row in same if galaxy_map.ids[row] == name), next(iter(same), -1))


def _network_of(galaxy_map: GalaxyMap, run: Run | str | Path | None, device: str) -> Network:
    """The network that made a map."""
    network, origin = open_network(run, device)
    weights = weights_digest(network, origin)
    if weights != galaxy_map.meta.get("weights"):
        raise CheckpointError(
            f"{galaxy_map.path} was made with other weights than those of {origin} ({weights}):"
            " name the run that made it, `run=…`, or make the map again"
        )
    return network.folded
