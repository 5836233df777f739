"""A map of galaxies: the Parquet table that `embed` writes, one row a galaxy.

    id              the file's stem, or the id in the store
    x, y            place on the map in two dimensions
    representation  the features from which the network's last layer predicts, float32
    neighbors       the nearest other galaxies: `ids`, their rows in the table from 0, and
                    `distances` (1 − cos)
    thumbnail       a small JPEG: `bytes`, and a name (`path`)

`x`, `y`, `neighbors` and `thumbnail` have the forms in which Apple's Embedding Atlas reads them
(its documentation, "Command Line Tool" and "Data Formats"). What made the map stands in its
metadata. A map may come from a stranger: pictures in it go through the same reader as all images.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float32, Int64, UInt8

from galaxyvotes.errors import DataError, MissingExtraError
from galaxyvotes.images.read import decode
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import given_path
from galaxyvotes.search.index import NeighbourIndex, path_of_index
from galaxyvotes.search.neighbours import Neighbours, Representations, nearest, nearest_of_each
from galaxyvotes.sources.suffixes import called
from galaxyvotes.table_formats.columns import column, meta_of, with_meta
from galaxyvotes.tables.names import iterate

__all__ = ["PRINCIPAL", "GalaxyMap", "map_schema"]

_WRITE_ONE = 'write one with `galaxyvotes.embed("galaxies", out="map.parquet")`'
PRINCIPAL = ("first principal component", "second principal component")

_NEIGHBORS = pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))])
_THUMBNAIL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def map_schema(
    features: int,
    *,
    neighbours: bool,
    thumbnails: bool,
    meta: dict[str, str],
    axes: tuple[str, str] = PRINCIPAL,
) -> pa.Schema:
    """The columns of a map of representations of so many features."""
    what = "features from which the network's last layer predicts"
    fields = [
        column("id", pa.string(), description="name of the image", ucd="meta.id;meta.main"),
        column("x", pa.float32(), description=axes[0]),
        column("y", pa.float32(), description=axes[1]),
        column("representation", pa.list_(pa.float32(), features), description=what),
    ]
    if neighbours:
        what = "rows of the nearest galaxies, from 0, and their distances, 1 - cos"
        fields.append(column("neighbors", _NEIGHBORS, description=what))
    if thumbnails:
        fields.append(column("thumbnail", _THUMBNAIL, description="small JPEG of the galaxy"))
    return with_meta(pa.schema(fields), meta)


@dataclass(frozen=True, eq=False)
class GalaxyMap:
    """Representations of galaxies in a table that `embed` wrote; columns are read when they are
    asked for.
    """

    path: Path
    galaxies: int
    features: int
    columns: tuple[str, ...]
    meta: dict[str, Any]

    @staticmethod
    def open(path: "str | Path | GalaxyMap") -> "GalaxyMap":
        """The map at a path.

        Raises DataError if the file cannot be read or is no map.
        """
        if isinstance(path, GalaxyMap):
            return path
        path = given_path(path)
        try:
            with path.open("rb") as file:
                is_parquet = file.read(4) == b"PAR1"
        except OSError as error:
            raise DataError(
                f"the map {path} cannot be read: {error.strerror or error}; {_WRITE_ONE}"
            ) from None
        if not is_parquet:
            raise DataError(f"{path} is no map of galaxies, which is a Parquet table; {_WRITE_ONE}")
        try:
            with pq.ParquetFile(path) as file:
                schema, galaxies = file.schema_arrow, file.metadata.num_rows
            meta = meta_of(schema)
        except (OSError, pa.ArrowException, ValueError) as error:
            raise DataError(f"{path} cannot be read as a Parquet table: {error}") from None
        names = cast("list[str]", schema.names)
        kind = schema.field("representation").type if "representation" in names else None
        if "id" not in names or kind is None or not pa.types.is_fixed_size_list(kind):
            has = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
            raise DataError(
                f"{path} is no map of galaxies: expected the columns `id` and `representation`,"
                f" and it has {has}; {_WRITE_ONE}"
            )
        return GalaxyMap(path, galaxies, kind.list_size, tuple(schema.names), meta)

    def __len__(self) -> int:
        """The number of galaxies."""
        return self.galaxies

    def __repr__(self) -> str:
        """One line: where it is, and of what."""
        galaxies, features = counted(self.galaxies, "galaxy"), counted(self.features, "feature")
        return f"<GalaxyMap {self.path}: {galaxies} × {features}>"

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The id of each galaxy; DataError if one is no text."""
        texts = self._read("id").column("id").combine_chunks()
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            raise DataError(f"{self.path}: column `id` is {texts.type}; expected text")
        if texts.null_count:
            raise DataError(f"{self.path}: {counted(texts.null_count, 'galaxy')} without an id")
        return tuple(iterate(texts.cast(pa.large_string())))

    @cached_property
    def representations(self) -> Representations:
        """The representation of each galaxy; DataError if one is not whole, finite numbers."""
        lists = self._read("representation").column("representation").combine_chunks()
        values = pc.list_flatten(lists)
        if lists.null_count or values.null_count or not pa.types.is_floating(values.type):
            raise DataError(f"{self.path}: column `representation` is not numbers throughout")
        numbers = np.from_dlpack(values.cast(pa.float32())).reshape(-1, self.features)
        if not np.isfinite(numbers).all():
            raise DataError(f"{self.path}: column `representation` has NaN or infinite numbers")
        return numbers

    @cached_property
    def neighbour_distances(self) -> Float32[np.ndarray, "galaxy neighbour"] | None:
        """How far the neighbours are that the map has of each galaxy, the nearest first; None if it
        has none. DataError unless all have as many, and distances are numbers from 0 to 2.
        """
        if "neighbors" not in self.columns:
            return None
        try:
            cells = self._read("neighbors").column("neighbors").combine_chunks()
            lists = pc.struct_field(cells, "distances")
            values = np.from_dlpack(pc.list_flatten(lists).cast(pa.float32()))
            lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
        except (pa.ArrowException, TypeError) as error:
            raise DataError(f"{self.path}: column `neighbors` has no distances: {error}") from None
        if len(lengths) > 1 or None in lengths or not ((values >= 0) & (values <= 2)).all():
            raise DataError(
                f"{self.path}: column `neighbors` is damaged; expected as many distances of 0 to 2"
                " in each row"
            )
        return values.reshape(self.galaxies, -1)

    @cached_property
    def index(self) -> NeighbourIndex | None:
        """The index beside the map; None if there is none, or without usearch. DataError if it is
        damaged or that of another map.
        """
        path = path_of_index(self.path)
        if "index" not in self.meta or not path.exists():
            return None
        try:
            return NeighbourIndex.open(path, self.meta, self.galaxies, self.features)
        except MissingExtraError:
            return None

    def nearest(
        self,
        queries: Float32[np.ndarray, "query feature"],
        count: int,
        own: Int64[np.ndarray, " query"] | None = None,
    ) -> Neighbours:
        """The nearest galaxies of the map of each query, the nearest first, as
        `neighbours.nearest`: by the index if there is one, otherwise exactly.

        Raises DataError if the map or its index cannot be read.
        """
        found = self.index and self.index.nearest(queries, count, own)
        return found or nearest(self.representations, queries, count, own)

    def nearest_of_each(self, count: int) -> Iterator[Neighbours]:
        """The nearest other galaxies of every galaxy, some galaxies at a time, as `nearest`."""
        find = self.index and self.index.nearest
        return nearest_of_each(self.representations, count, find)

    def representations_of(
        self, rows: Int64[np.ndarray, " chosen"]
    ) -> Float32[np.ndarray, "chosen feature"]:
        """The representations of some galaxies; of a map with an index, only their parts of the
        table are read.

        Raises DataError as `representations`.
        """
        if self.index is None:
            return self.representations[rows]
        chosen = np.empty((len(rows), self.features), np.float32)
        for row, cell in self._cells("representation", np.unique(rows)):
            try:
                chosen[rows == row] = cell.values.to_numpy()
            except (AttributeError, ValueError, pa.ArrowException):
                chosen[rows == row] = np.nan
        if not np.isfinite(chosen).all():
            raise DataError(
                f"{self.path}: column `representation` is not finite numbers throughout"
            )
        return chosen

    @cached_property
    def points(self) -> Float32[np.ndarray, "galaxy 2"]:
        """Where each galaxy is on the map, x and y; DataError if that is not numbers throughout."""
        if not {"x", "y"} <= {*self.columns}:
            raise DataError(f"{self.path} has no columns `x` and `y`")
        columns = [self._read(name).column(name) for name in ("x", "y")]
        if any(not pa.types.is_floating(one.type) or one.null_count for one in columns):
            raise DataError(f"{self.path}: columns `x` and `y` are not numbers throughout")
        return np.stack([one.to_numpy().astype(np.float32) for one in columns], axis=1)

    @cached_property
    def row_by_id(self) -> dict[str, int]:
        """The row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    def row_called(self, word: str) -> int:
        """The row of the galaxy of this id, or whose file has this path; -1 if there is none."""
        rows = self.row_by_id
        return next((rows[name] for name in called(word) if name in rows), -1)

    def rows_of(self, ids: Sequence[str]) -> Int64[np.ndarray, " chosen"]:
        """The rows of galaxies, by their ids or the paths of their files; DataError for one that is
        not on the map.
        """
        rows = np.array([self.row_called(name) for name in ids], np.int64)
        if unknown := [name for name, row in zip(ids, rows, strict=True) if row < 0]:
            raise DataError(
                f"{self.path} has no galaxy {unknown[0]!r}: its ids are like {self.ids[0]!r}"
                if self.ids
                else f"{self.path} has no galaxies"
            )
        return rows

    def pictures(
        self, rows: Int64[np.ndarray, " chosen"]
    ) -> dict[str, UInt8[np.ndarray, "height width 3"]]:
        """The thumbnails of these rows, by id; one that is not there or damaged is left out.

        Raises DataError if the column cannot be read.
        """
        if "thumbnail" not in self.columns:
            return {}
        pictures: dict[str, UInt8[np.ndarray, "height width 3"]] = {}
        for row, cell in self._cells("thumbnail", np.unique(rows)):
            with suppress(DataError):
                pictures[self.ids[row]] = decode(_bytes_of(cell))
        return pictures

    def _read(self, name: str) -> pa.Table:
        try:
            return pq.read_table(self.path, columns=[name], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self.path}: column `{name}` cannot be read: {error}") from None

    def _cells(
        self, name: str, rows: Int64[np.ndarray, " chosen"]
    ) -> Iterator[tuple[int, pa.Scalar]]:
        """A column's cells in these rows, which rise; only their parts of the file are read."""
        start = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for number in range(file.num_row_groups):
                    stop = start + file.metadata.row_group(number).num_rows
                    here = rows[(rows >= start) & (rows < stop)].tolist()
                    if here:
                        cells = file.read_row_group(number, columns=[name]).column(0)
                        for row in here:
                            yield row, cells[row - start]
                    start = stop
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self.path}: column `{name}` cannot be read: {error}") from None


def _bytes_of(cell: pa.Scalar) -> bytes:
    """The file in a cell; empty if there is none."""
    file: dict[str, Any] | None = cell.as_py()
    return (file or {}).get("bytes") or b""
