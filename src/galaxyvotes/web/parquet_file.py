"""The file that DuckDB asks: a Parquet table of whatever table of galaxies was named."""

from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyvotes.errors import DataError
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.table_formats.read import open_rows

__all__ = ["PLACES", "converted", "id_column_of", "is_parquet", "with_places"]

PLACES = ("map_x", "map_y")
_SLICE = 65_536  # rows


def _is_text(dtype: pa.DataType) -> bool:
    types = pa.types
    return types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype)


def is_parquet(path: Path) -> bool:
    """Whether a file begins as a Parquet table; DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def converted(path: Path, file: Path) -> Path:
    """The table in a file of another format, written as Parquet."""
    with open_rows(path) as rows:
        schema = _with_ids_as_text(rows.schema)
        with pq.ParquetWriter(file, schema) as writer:
            for part in rows.slices(_SLICE):
                writer.write_table(part.cast(schema))
    return file


def _with_ids_as_text(schema: pa.Schema) -> pa.Schema:
    """CSV does not say that ids of digits are texts."""
    place = schema.get_field_index("id")
    if place < 0 or not pa.types.is_integer(schema.field(place).type):
        return schema
    return schema.set(place, schema.field(place).with_type(pa.string()))


def id_column_of(schema: pa.Schema, path: Path) -> str:
    """The column of ids: `id`, or the first of texts; DataError if there is none."""
    names = [field.name for field in schema if _is_text(field.type)]
    if not names:
        raise DataError(f"{path} has no column of texts that could be ids")
    return "id" if "id" in names else names[0]


def with_places(file: Path, galaxy_map: GalaxyMap, out: Path) -> Path:
    """The table with the places of its galaxies on a map as two more columns, null for those that
    are not on it; DataError if the map has no places, or no galaxy of the table.
    """
    rows, found = galaxy_map.row_by_id, False
    points = np.append(galaxy_map.points, [[np.nan, np.nan]], axis=0).astype(np.float32)
    with pq.ParquetFile(file) as table:
        id_column = id_column_of(table.schema_arrow, file)
        kept = [name for name in table.schema_arrow.names if name not in PLACES]
        schema = pa.schema(
            [table.schema_arrow.field(name) for name in kept], table.schema_arrow.metadata
        )
        for name in PLACES:
            schema = schema.append(pa.field(name, pa.float32()))
        with pq.ParquetWriter(out, schema) as writer:
            for batch in table.iter_batches(_SLICE, columns=kept, use_threads=False):
                names = cast("list[str | None]", batch.column(id_column).to_pylist())
                here = np.array([rows.get(name or "", -1) for name in names])
                found = found or bool((here >= 0).any())
                places = [pa.array(points[here, axis], from_pandas=True) for axis in (0, 1)]
                writer.write_batch(pa.record_batch([*batch.columns, *places], schema=schema))
    if not found:
        raise DataError(f"{galaxy_map.path} has not one of the galaxies of the catalogue")
    return out
