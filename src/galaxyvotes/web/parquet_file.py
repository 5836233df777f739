"""The file that DuckDB asks: a Parquet table of whatever table of galaxies was named.

Galaxies are known by the ids of one column (`tables.ids`). What else names them, as a map or images
do, may have the words of another one, such as paths: the first rows show which.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int32

from galaxyvotes.errors import DataError
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.sources.suffixes import called
from galaxyvotes.table_formats.read import open_rows
from galaxyvotes.tables.ids import id_candidates, id_texts, ids_in
from galaxyvotes.web.answer_table import columns_of_classes

__all__ = [
    "PLACES",
    "converted",
    "id_column_of",
    "is_parquet",
    "naming_column",
    "rows_on_map",
    "values_named",
    "with_places",
]

PLACES = ("map_x", "map_y")
_SLICE = 65_536  # rows
_TRIED = 100  # rows that show which column names images, or the galaxies of a map


def is_parquet(path: Path) -> bool:
    """Whether a file begins as a Parquet table; DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def converted(path: Path, file: Path) -> Path:
    """The table in a file of another format, written as Parquet; classes that `evaluate` wrote are
    words, whatever these look like: "NA", "1.0", "True".
    """
    with open_rows(path) as rows:
        schema, words = rows.schema, _words_of_classes(path, rows.schema.names)
        for name in words:
            schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
        start = 0
        with pq.ParquetWriter(file, schema) as writer:
            for part in rows.slices(_SLICE):
                end = start + len(part)
                for name, column in words.items():
                    place = schema.get_field_index(name)
                    part = part.set_column(place, schema.field(name), column[start:end])
                writer.write_table(part)
                start = end
    return file


def _words_of_classes(path: Path, names: list[str]) -> dict[str, pa.ChunkedArray]:
    columns = columns_of_classes(names)
    if not columns:
        return {}
    with open_rows(path, as_text=True) as rows:
        parts = [part.select(columns) for part in rows.slices(_SLICE)]
    return {name: pa.concat_tables(parts).column(name).cast(pa.string()) for name in columns}


def id_column_of(file: Path, path: Path, wanted: str | None) -> str:
    """The column of ids in the file of the table at `path`, as `ids_in` has it; DataError also if
    it holds anything but texts and whole numbers.
    """
    schema = pq.read_schema(file)
    name = ids_in(schema, lambda names: next(_slices(file, names)), str(path), wanted)
    if name not in id_candidates(schema, floats=False):
        raise DataError(
            f"{path}: the column {name!r} holds {schema.field(name).type}, which can be no ids:"
            " write them as whole numbers or as text, or name another column, `id_column=…`"
        )
    return name


def naming_column(file: Path, id_column: str, is_one: Callable[[str], bool]) -> str:
    """The column whose words are names of something: that of ids, unless none of its first is one
    and another column has some.
    """
    names = id_candidates(pq.read_schema(file), floats=False)
    rows = next(_slices(file, names, _TRIED))
    hits = {name: sum(map(is_one, {*id_texts(rows.column(name))})) for name in names}
    return id_column if hits[id_column] else max([id_column, *names], key=hits.__getitem__)


def rows_on_map(
    file: Path, path: Path, id_column: str, galaxy_map: GalaxyMap
) -> Int32[np.ndarray, " galaxy"]:
    """The row on a map of each galaxy in the file of the table at `path`, -1 if it is not there;
    DataError if none is.
    """
    row = galaxy_map.row_called
    column = naming_column(file, id_column, lambda word: row(word) >= 0)
    words = (word for part in _slices(file, [column]) for word in id_texts(part.column(column)))
    here = np.fromiter(map(row, words), np.int32)
    if not (here >= 0).any():
        like = id_texts(next(_slices(file, [id_column], 1)).column(0))[0]
        raise DataError(
            f"{galaxy_map.path} has not one of the galaxies of {path}: the map calls them like"
            f" {next(iter(galaxy_map.ids), '')!r}, the column {id_column!r} like {like!r}; name the"
            " column that has the map's ids, `id_column=…`, or make a map of these galaxies"
        )
    return here


def values_named(
    file: Path, id_column: str, values: Mapping[str, float]
) -> Float32[np.ndarray, " galaxy"]:
    """The value of each galaxy in a file, where values are of what its ids, or the words of another
    column, name; NaN of the others.
    """

    def value(word: str) -> float:
        return next((values[tried] for tried in called(word) if tried in values), np.nan)

    column = naming_column(file, id_column, lambda word: not np.isnan(value(word)))
    words = (word for part in _slices(file, [column]) for word in id_texts(part.column(column)))
    return np.fromiter(map(value, words), np.float32)


def with_places(
    file: Path, here: Int32[np.ndarray, " galaxy"], galaxy_map: GalaxyMap, out: Path
) -> Path:
    """The table with the places of its galaxies on a map as two more columns, null for those that
    are not on it; DataError if the map has no places.
    """
    points = np.append(galaxy_map.points, [[np.nan, np.nan]], axis=0).astype(np.float32)
    schema = pq.read_schema(file)
    kept = [name for name in schema.names if name not in PLACES]
    schema = pa.schema([schema.field(name) for name in kept], schema.metadata)
    for name in PLACES:
        schema = schema.append(pa.field(name, pa.float32()))
    start = 0
    with pq.ParquetWriter(out, schema) as writer:
        for part in _slices(file, kept):
            rows = here[start : start + len(part)]
            places = [pa.array(points[rows, axis], from_pandas=True) for axis in (0, 1)]
            writer.write_table(pa.table([*part.columns, *places], schema=schema))
            start += len(part)
    return out


def _slices(file: Path, names: list[str], size: int = _SLICE) -> Iterator[pa.Table]:
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(size, columns=names, use_threads=False):
            yield pa.Table.from_batches([batch])
