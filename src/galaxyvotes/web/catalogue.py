"""A table of galaxies, of any size, asked by DuckDB: nothing is loaded whole.

A table in another format than Parquet is first written as such to a temporary folder. The rows of
a selection, in its order, are kept as numbers while it is looked through (4 bytes a galaxy), so
that a page anywhere in it is read directly.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.questions import BOUNDS, FAMILIARITY
from galaxyvotes.runtime.files import given_path
from galaxyvotes.search.galaxy_map import GalaxyMap
from galaxyvotes.tables.astropy_tables import table_facts
from galaxyvotes.tree import DecisionTree
from galaxyvotes.web.answer_table import AnswerColumns, find_answers
from galaxyvotes.web.evaluated import with_errors
from galaxyvotes.web.orders import Orders, Rows
from galaxyvotes.web.parquet_file import (
    PLACES,
    converted,
    id_column_of,
    is_parquet,
    naming_column,
    rows_on_map,
    with_places,
)
from galaxyvotes.web.selection import Selection, quoted

__all__ = ["STARS", "UNCERTAINTY", "Catalogue"]

UNCERTAINTY, STARS = "uncertainty", "given_stars"
_ID = "id as text"  # the column of the view
_BINS = 40
_SLICE = 65_536  # rows
_STARS = pa.schema([("name", pa.string()), ("stars", pa.uint8())])
_NUMBERS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_boolean)


@dataclass(frozen=True)
class Catalogue:
    """A Parquet table of galaxies; `path` is what the user named, `file` what is read.

    `id_column` has the ids, texts or whole numbers. `answers` says which columns hold a tree's
    answers, None if no tree fits, and `on_map` on which row of the map beside it each galaxy is, -1
    for none, None if it has no map beside it.
    """

    path: Path
    file: Path
    schema: pa.Schema
    galaxies: int
    id_column: str
    on_map: Rows | None
    answers: AnswerColumns | None
    _metadata: pq.FileMetaData
    _connection: duckdb.DuckDBPyConnection
    orders: Orders = field(default_factory=Orders)
    _ranges: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    @staticmethod
    @contextmanager
    def open(
        path: str | Path,
        trees: Sequence[DecisionTree] = (),
        galaxy_map: GalaxyMap | None = None,
        id_column: str | None = None,
    ) -> "Generator[Catalogue]":
        """The catalogue in a table of any format, while the context lasts. `trees` are known
        besides those that come with the package; galaxies get their places on `galaxy_map`. The
        ids are in `id_column`, or else where `tables.ids` finds them.

        Raises DataError if the file cannot be read, or has no rows, no column of ids or no galaxy
        of the map; ConfigError if there is no column of that name.
        """
        path = given_path(path)
        with TemporaryDirectory(prefix="galaxyvotes-") as folder:
            file = path if is_parquet(path) else converted(path, Path(folder) / "table.parquet")
            try:
                with pq.ParquetFile(file) as table:
                    schema, metadata = table.schema_arrow, table.metadata
                galaxies, here = metadata.num_rows, None
                if not galaxies:
                    raise DataError(f"{path} has no rows: there is nothing to show")
                id_column = id_column_of(file, path, id_column)
                if galaxy_map is not None:
                    here = rows_on_map(file, path, id_column, galaxy_map)
                    file = with_places(file, here, galaxy_map, Path(folder) / "placed.parquet")
                answers = find_answers(schema.names, table_facts(schema), trees)
                if answers is not None and answers.is_evaluated:
                    file = with_errors(file, answers, id_column, Path(folder) / "judged.parquet")
                with pq.ParquetFile(file) as table:
                    schema, metadata = table.schema_arrow, table.metadata
            except (OSError, pa.ArrowException, ValueError) as error:
                raise DataError(f"{path} cannot be read as a Parquet table: {error}") from None
            with duckdb.connect(":memory:", config={"threads": 2}) as connection:
                catalogue = Catalogue(
                    path, file, schema, galaxies, id_column, here, answers, metadata, connection
                )
                catalogue._prepare()
                yield catalogue

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("SET parquet_metadata_cache = true")
        file = str(self.file).replace("'", "''")
        uncertainty = self.answers.uncertainty if self.answers else "0.0"
        connection.execute(
            f"CREATE VIEW galaxies AS SELECT *, {uncertainty} AS _uncertainty,"
            f" {quoted(self.id_column)}::varchar AS {quoted(_ID)}"
            f" FROM read_parquet('{file}', file_row_number = true)"
        )
        self.set_stars({})
        # Nothing but this table can be read, whatever a query says.
        connection.execute(f"SET allowed_paths = ['{file}']")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")

    # ---- its columns

    @cached_property
    def sky(self) -> tuple[str, str] | None:
        """The columns of right ascension and declination; None if there are none."""
        by_name = {name.lower(): name for name in self.numbers}
        for ra, dec in (("ra", "dec"), ("ra_deg", "dec_deg"), ("raj2000", "dej2000")):
            if ra in by_name and dec in by_name:
                return by_name[ra], by_name[dec]
        return None

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers; ids are none."""
        return tuple(
            field.name
            for field in self.schema
            if field.name != self.id_column and any(is_of(field.type) for is_of in _NUMBERS)
        )

    def naming_column(self, is_one: Callable[[str], bool]) -> str:
        """The column whose words are names of something, as `parquet_file.naming_column`."""
        return naming_column(self.file, self.id_column, is_one)

    @cached_property
    def places(self) -> tuple[str, str] | None:
        """The columns of x and y on the map; None if it is no map and has none beside it."""
        for places in (PLACES, ("x", "y")):
            is_map = places == PLACES or "representation" in self.schema.names
            if is_map and {*places} <= {*self.numbers}:
                return places
        return None

    def values(self, column: str) -> Float32[np.ndarray, " galaxy"]:
        """The number of every galaxy in a column, NaN where there is none; ConfigError for a column
        that there is not.
        """
        sql = self.sql_of(column)
        found = self._query(f"SELECT {sql}::float AS v FROM galaxies ORDER BY file_row_number", [])
        return np.ma.filled(found["v"].astype(np.float32), np.nan)

    @property
    def stretch(self) -> str:
        """The stretch that FITS images were predicted with; empty if nothing says it."""
        return table_facts(self.schema).get("stretch", "")

    @property
    def has_thumbnails(self) -> bool:
        """Whether it has pictures of its own, as a map has."""
        return "thumbnail" in self.schema.names and pa.types.is_struct(
            self.schema.field("thumbnail").type
        )

    def thumbnail(self, name: str) -> bytes:
        """The picture of a galaxy as an image file; DataError if there is none."""
        result = self._cursor().execute(
            "SELECT thumbnail.bytes FROM galaxies WHERE file_row_number = ?", [self.row_of(name)]
        )
        found = result.fetchone()
        if found is None or not isinstance(found[0], bytes):
            raise DataError(f"{self.path.name} has no picture of {name!r}")
        return found[0]

    @property
    def familiarity(self) -> str | None:
        """The column of familiarity scores, if there is one."""
        return FAMILIARITY if FAMILIARITY in self.numbers else None

    def sql_of(self, column: str) -> str:
        """A column of numbers in SQL; ConfigError if there is none of that name."""
        if column == UNCERTAINTY and UNCERTAINTY not in self.numbers and self.answers:
            return "_uncertainty"
        if column == STARS and STARS not in self.numbers:
            return f"(SELECT stars FROM _stars WHERE name = {quoted(_ID)})"
        name = self.answers.column_of(column) if self.answers else column
        if name not in self.numbers:
            raise ConfigError(f"{self.path.name} has no column of numbers {column!r}")
        return quoted(name)

    def text_sql_of(self, column: str) -> str:
        """A column as text in SQL; ConfigError if there is none of that name."""
        if column not in self.schema.names or pa.types.is_nested(self.schema.field(column).type):
            raise ConfigError(f"{self.path.name} has no column {column!r}")
        return f"{quoted(column)}::varchar"

    # ---- selections

    def rows(self, selection: Selection) -> Rows:
        """The rows of a selection, in its order; ConfigError for a column that there is not."""
        return self.orders.rows(selection, self._find)

    def _find(self, selection: Selection) -> Rows:
        if selection == Selection():
            return np.arange(self.galaxies, dtype=np.int32)
        where, values = self._where(selection)
        order = "file_row_number"
        if selection.sort:
            column = selection.sort.removeprefix("-")
            down = " desc" if selection.sort.startswith("-") else ""
            sql = quoted(column) if column == self.id_column else self.sql_of(column)
            if column != self.id_column:  # NaN is no number, and comes last
                sql = f"CASE WHEN isnan({sql}::double) THEN NULL ELSE {sql} END"
            order = f"{sql}{down} nulls last, file_row_number"
        sql = f"SELECT file_row_number::int AS r FROM galaxies WHERE {where} ORDER BY {order}"
        return self._query(sql, values)["r"].astype(np.int32)

    def _where(self, selection: Selection) -> tuple[str, list[object]]:
        return selection.where(self.sql_of, _ID, self.sky, self.places, self.text_sql_of)

    def set_stars(self, stars: Mapping[str, int]) -> None:
        """Give galaxies, by their ids, the values of the column `STARS`; others have none."""
        cursor = self._cursor()
        cursor.register("given", pa.table([[*stars], [*stars.values()]], schema=_STARS))
        cursor.execute("CREATE OR REPLACE TABLE _stars AS SELECT * FROM given")
        cursor.unregister("given")
        self.orders.forget(STARS)

    def read(self, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """The id and these columns of numbers, in the order of the rows; each row has its `row`."""
        if not rows:
            return []
        chosen = {column: self.sql_of(column) for column in columns}
        listed = ", ".join([f"{sql} AS {quoted(f'c{n}')}" for n, sql in enumerate(chosen.values())])
        numbers = ",".join(str(int(row)) for row in rows)
        result = self._cursor().execute(
            f"SELECT file_row_number, {quoted(_ID)}{listed and ', ' + listed}"
            f" FROM galaxies WHERE file_row_number IN ({numbers})"
        )
        found = {int(row): (name, values) for row, name, *values in result.fetchall()}
        return [
            {
                "row": int(row),
                "id": str(found[row][0]),
                **dict(zip(chosen, found[row][1], strict=True)),
            }
            for row in rows
        ]

    def row_of(self, name: str) -> int:
        """The first row with that id; DataError if there is none."""
        return int(self._cell("file_row_number", name))

    def word_of(self, column: str, name: str) -> str:
        """What stands in a column of texts or whole numbers in the first row with that id;
        DataError if there is none.
        """
        return str(self._cell(f"coalesce({quoted(column)}::varchar, '')", name))

    def _cell(self, sql: str, name: str) -> Any:
        result = self._cursor().execute(
            f"SELECT {sql} FROM galaxies WHERE {quoted(_ID)} = ? LIMIT 1", [name]
        )
        found = result.fetchone()
        if found is None:
            raise DataError(f"{self.path.name} has no galaxy {name!r}")
        return found[0]

    def whole_row(self, row: int) -> dict[str, Any]:
        """All single values of a row; DataError if there is no such row."""
        with pq.ParquetFile(self.file, metadata=self._metadata) as file:
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if row < count:
                    names = [f.name for f in self.schema if not pa.types.is_nested(f.type)]
                    table = file.read_row_group(group, columns=names, use_threads=False)
                    return cast("dict[str, Any]", table.slice(row, 1).to_pylist()[0])
                row -= count
        raise DataError(f"{self.path.name} has no row {row}")

    def predictions_in(self, values: dict[str, Any]) -> Predictions | None:
        """The answers in a row, as predictions; None without a tree."""
        if self.answers is None:
            return None
        columns = self.answers.columns
        ends = [self.answers.ends(end) for end in BOUNDS]
        bounded = all(name in values for end in ends for name in end)
        scores = values.get(self.familiarity or "")
        return Predictions(
            (str(values[self.id_column]),),
            tuple(columns),
            _floats(values, columns.values()),
            bounds=Bounds(*(_floats(values, end) for end in ends)) if bounded else None,
            familiarity=None if scores is None else np.array([scores], np.float32),
        )

    def histograms(self, columns: Sequence[str], selection: Selection) -> dict[str, Any]:
        """How many galaxies of a selection have values of each column in each of a number of equal
        bins; conditions of the selection on the column itself do not count.

        Raises ConfigError for a column that there is not.
        """
        together = dict[Selection, list[str]]()  # columns of the same galaxies are read at once
        for name in columns:
            together.setdefault(selection.without(name), []).append(name)
        found = dict[str, Any]()
        for chosen, names in together.items():
            found |= self._histograms(names, chosen)
        return {name: found[name] for name in columns}

    def _histograms(self, names: Sequence[str], selection: Selection) -> dict[str, Any]:
        ranges = {name: self._range(self.sql_of(name)) for name in names}
        bins = [_bin(self.sql_of(name), *ends) for name, ends in ranges.items()]
        where, values = self._where(selection)
        listed = ", ".join(f"{sql} AS b{number}" for number, sql in enumerate(bins))
        result = self._query(f"SELECT {listed} FROM galaxies WHERE {where}", values)
        return {
            name: {
                "low": low,
                "high": high,
                "counts": np.bincount(result[f"b{number}"], minlength=_BINS)[:_BINS].tolist(),
            }
            for number, (name, (low, high)) in enumerate(ranges.items())
        }

    def _range(self, sql: str) -> tuple[float, float]:
        if sql not in self._ranges:
            self._ranges[sql] = self._ends(sql)
        return self._ranges[sql]

    def _ends(self, sql: str) -> tuple[float, float]:
        """The range that a histogram shows: 0 to 1 of fractions, else that of the values."""
        result = self._query(
            f"SELECT min({sql}::double) AS low, max({sql}::double) AS high FROM galaxies WHERE"
            f" isfinite({sql}::double)",
            [],
        )
        low, high = float(result["low"][0] or 0), float(result["high"][0] or 0)
        return (0.0, 1.0) if low >= 0 and 0 < high <= 1 else (low, high)

    def parts(self, rows: Rows) -> Iterator[pa.Table]:
        """The table's rows among these, as it stands, some at a time."""
        wanted = np.zeros(self.galaxies, bool)
        wanted[rows] = True
        start = 0
        with pq.ParquetFile(self.file) as file:
            for batch in file.iter_batches(_SLICE, use_threads=False):
                mask = wanted[start : start + batch.num_rows]
                start += batch.num_rows
                if mask.any():
                    yield pa.Table.from_batches([batch.filter(pa.array(mask))], self.schema)

    def _query(self, sql: str, values: list[object]) -> dict[str, Any]:
        return cast("dict[str, Any]", self._cursor().execute(sql, values).fetchnumpy())

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        return self._connection.cursor()


def _bin(sql: str, low: float, high: float) -> str:
    """The number of the bin of a value in SQL; one more than there are of what is not finite."""
    width = (high - low) / _BINS or 1.0
    number = f"least(greatest(floor(({sql} - {low}) / {width}), 0), {_BINS - 1})"
    return f"CASE WHEN isfinite({sql}::double) THEN {number} ELSE {_BINS} END::utinyint"


def _floats(values: dict[str, Any], columns: Any) -> Any:
    numbers = [values.get(name) for name in columns]
    return np.array([[np.nan if n is None else n for n in numbers]], np.float32)
