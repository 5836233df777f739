"""The galaxies of a table as images that are cut from mosaics when they are read.

To whoever reads them they are FITS files called by the id of each row; where they are cut says the
table, by position (see `positions`), and from what the `Mosaic`.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from galaxyvotes.sky.cutouts import Cutout, Cutouts, fits_bytes
from galaxyvotes.sky.mosaic import Mosaic
from galaxyvotes.sky.places import find_places
from galaxyvotes.sky.tiles import Tile
from galaxyvotes.sources.positions import At, PositionColumns, find_position
from galaxyvotes.tables.ids import unique_column
from galaxyvotes.tables.names import column_of, iterate

__all__ = ["CutOuts", "cut_outs_of", "id_column"]

_SUFFIX = ".fits"


@dataclass(frozen=True, eq=False, repr=False)
class CutOuts:
    """Cut-outs of the rows of a table, each called by its id."""

    name: str  # of the table
    ids: pa.Array
    cutouts: Cutouts
    problems: dict[int, str] = field(default_factory=dict[int, str])

    def path(self, row: int) -> str:
        """What the file of a cut-out would be called."""
        return f"{self.ids[row].as_py()}{_SUFFIX}"

    def paths(self) -> Iterator[str]:
        """What all would be called."""
        return (f"{name}{_SUFFIX}" for name in iterate(self.ids))

    def cut(self, row: int, side_px: int = 0, arcsec_px: float = 0.0) -> Cutout:
        """A cut-out, as `Cutouts.cut` has it."""
        return self.cutouts.cut(row, side_px, arcsec_px)

    def read(self, row: int) -> bytes:
        """A cut-out with the mosaic's own pixels as a FITS file."""
        return fits_bytes(self.cut(row), {})

    def size(self, _: int) -> int:
        """No bytes, as there is no file."""
        return 0

    def files(self, row: int) -> list[tuple[str, os.stat_result]]:
        """The tiles that a cut-out is from, and their sizes and times."""
        places = self.cutouts.places
        tiles: list[int] = places.tile[:, row].tolist() if places.inside[row] else []
        paths = [self.cutouts.tiles[tile].path for tile in tiles]
        return [(path.name, path.stat()) for path in paths]

    def peek(self, _: int, count: int) -> bytes:
        """How the file would begin."""
        return b"SIMPLE  ="[:count]

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "CutOuts":
        """Some of them, in that order."""
        return CutOuts(self.name, self.ids.take(pa.array(rows)), self.cutouts.take(rows))


def cut_outs_of(
    rows: pa.Table,
    table: str,
    mosaic: Mosaic,
    tiles: Sequence[Tile],
    bands: Sequence[str],
    at: At,
    *,
    id_name: str | None,
    first: int = 0,
) -> CutOuts:
    """The cut-outs of some rows of the table called `table`, of which the first is its row `first`
    and `at` says where each stands. They are called as in the column `id_name`, or by number.

    Raises ConfigError and DataError as `PositionColumns` and `find_places`.
    """
    columns = PositionColumns.of(rows.schema, mosaic, table)
    ra, dec = columns.positions(rows, at)
    places = find_places(tiles, ra, dec, bands)
    in_px = columns.size.unit == "px"
    called = columns.size.column or "the size"
    cutouts = Cutouts(tiles, places, columns.sides(rows, at), in_px, called)
    return CutOuts(table, _ids(rows, id_name, first), cutouts)


def id_column(rows: pa.Table) -> str | None:
    """The column that tells the rows apart, which is no position; None if there is none."""
    return unique_column(rows.schema, rows.select, find_position(rows.schema) or ())


def _ids(rows: pa.Table, name: str | None, first: int) -> pa.Array:
    """What each row is called: as in a column, or by its number, from 1."""
    if name is None:
        numbers = range(first + 1, first + 1 + len(rows))
        return column_of([f"row-{number}".encode() for number in numbers], pa.large_string())
    texts = pc.fill_null(rows.column(name).cast(pa.large_string()), "").combine_chunks()
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(texts), r"[/\\\0]", "_")
