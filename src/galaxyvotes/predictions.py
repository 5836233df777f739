"""What somebody says about some galaxies: one row a galaxy, one column an answer, joint fractions
or quantities.

A network, a baseline and the volunteers themselves all speak in this type, so one report compares
them. A calibrated network also says how far off it may be, and how familiar each galaxy is to it:
in a table, `<answer>_low` and `<answer>_high` stand behind the answers, and `familiarity` is the
last column.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from jaxtyping import Float

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.runtime.files import replacing
from galaxyvotes.sources.tables import Table
from galaxyvotes.tree import BOUNDS, FAMILIARITY

__all__ = ["Bounds", "Fractions", "Predictions", "writing"]

_FORMATS = (".csv", ".parquet")
_TOGETHER = (
    8_192  # rows of Parquet that share a description, which stays in memory until the last row
)


Fractions = Float[np.ndarray, "galaxy answer"]


class Bounds(NamedTuple):
    """The ends of each cell's interval around the prediction, of fractions in 0–1; NaN where a cell
    has none.
    """

    lower: Fractions
    upper: Fractions


@dataclass(frozen=True)
class Predictions:
    """Fractions (0–1), or quantities, per galaxy and answer; `columns` are answers of a tree, all
    of them or some.

    Fractions are joint unless a network was asked for conditional ones, which are NaN where nobody
    would be asked.

    `spread` is their standard deviation over the views they are the mean of, `bounds` the ends of
    their intervals, `familiarity` how familiar each galaxy is to who says this (0–1, see
    `novelty`), each if there is one.
    """

    ids: tuple[str, ...]
    columns: tuple[str, ...]
    values: Float[np.ndarray, "galaxy answer"]
    id_name: str = "id"
    bounds: Bounds | None = None
    spread: Float[np.ndarray, "galaxy answer"] | None = None
    familiarity: Float[np.ndarray, " galaxy"] | None = None

    def __post_init__(self) -> None:
        """Refuse a table whose sides do not fit."""
        if self.values.shape != (len(self.ids), len(self.columns)):
            raise ValueError(
                f"{self.values.shape} fractions for {len(self.ids)} galaxies ×"
                f" {len(self.columns)} answers"
            )

    @staticmethod
    def together(parts: Sequence["Predictions"]) -> "Predictions":
        """All galaxies of some parts that are alike, one after the other."""
        first = parts[0]
        bounds = [part.bounds for part in parts if part.bounds is not None]
        spreads = [part.spread for part in parts if part.spread is not None]
        familiarities = [part.familiarity for part in parts if part.familiarity is not None]
        return Predictions(
            tuple(name for part in parts for name in part.ids),
            first.columns,
            np.concatenate([part.values for part in parts]),
            first.id_name,
            (
                Bounds(*(np.concatenate(ends) for ends in zip(*bounds, strict=True)))
                if bounds
                else None
            ),
            np.concatenate(spreads) if spreads else None,
            np.concatenate(familiarities) if familiarities else None,
        )

    def __len__(self) -> int:
        """The number of galaxies."""
        return len(self.ids)

    def to_table(self) -> pa.Table:
        """An Arrow table: the id, a column an answer; if there, two an answer for bounds, and one
        for familiarity.
        """
        columns = dict(zip(self.columns, self.values.T, strict=True))
        for end, values in zip(BOUNDS, self.bounds or (), strict=False):
            columns |= {
                name + end: column for name, column in zip(self.columns, values.T, strict=True)
            }
        columns |= {} if self.familiarity is None else {FAMILIARITY: self.familiarity}
        arrays = [_texts(self.ids), *(_numbers(column) for column in columns.values())]
        return pa.table(arrays, names=[self.id_name, *columns])

    def write(self, path: str | Path) -> None:
        """Write CSV or Parquet, as the extension says; an unknown one is an error."""
        bounds, familiarity = self.bounds is not None, self.familiarity is not None
        with writing(
            path, self.columns, id_name=self.id_name, bounds=bounds, familiarity=familiarity
        ) as write:
            write(self)

    @staticmethod
    def read(path: str | Path) -> "Predictions":
        """Read back what `write` wrote: the first column is the id, the others are answers, bounds
        and familiarity.

        Raises ConfigError for an extension that is not .csv or .parquet; DataError if the file
        cannot be read, has a single column, or one that is not numbers.
        """
        path = Path(path)
        known_format(path)
        try:
            table = Table(str(path), path.read_bytes())
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
        id_name, *columns = table.header()
        if not columns:
            raise DataError(
                f"{path} has one column, {id_name!r}: expected an id, then a column for each answer"
            )
        data = table.read()
        fractions = np.empty((data.num_rows, len(columns)), np.float32)
        for place, column in enumerate(columns):
            try:
                fractions[:, place] = data.column(column).cast(pa.float32(), safe=False).to_numpy()
            except pa.ArrowException as error:
                raise DataError(f"{path}: column {column!r} is not numbers: {error}") from None
        familiarity = fractions[:, -1] if len(columns) > 1 and columns[-1] == FAMILIARITY else None
        columns = columns if familiarity is None else columns[:-1]
        places = {name: place for place, name in enumerate(columns)}
        answers = [
            name
            for name in columns
            if not any(name.removesuffix(end) in places for end in BOUNDS if end in name)
        ]
        ends = [[places.get(name + end) for name in answers] for end in BOUNDS]
        found = [
            fractions[:, [place for place in end if place is not None]]
            for end in ends
            if None not in end
        ]
        bounds = Bounds(*found) if len(found) == len(BOUNDS) and answers else None
        kept = fractions[:, [places[name] for name in answers]]
        return Predictions(
            tuple(table.texts(id_name)),
            tuple(answers),
            kept,
            id_name=id_name,
            bounds=bounds,
            familiarity=familiarity,
        )


@contextmanager
def writing(
    path: str | Path,
    columns: tuple[str, ...],
    *,
    id_name: str = "id",
    bounds: bool = False,
    familiarity: bool = False,
) -> Generator[Callable[[Predictions], None]]:
    """A function that appends predictions to a new table, CSV or Parquet as the extension says.

    The file appears whole when the context ends well, and not at all otherwise.
    """
    path = Path(path)
    suffix = known_format(path)
    names = [*columns, *(column + end for end in BOUNDS if bounds for column in columns)]
    names += [FAMILIARITY] * familiarity
    schema = pa.schema([(id_name, pa.string()), *((name, pa.float32()) for name in names)])
    waiting: list[pa.Table] = []
    with replacing(path) as partial:
        writer = (
            pacsv.CSVWriter(partial, schema)
            if suffix == ".csv"
            else pq.ParquetWriter(partial, schema)
        )

        def write(part: Predictions) -> None:
            waiting.append(part.to_table().cast(schema))
            if sum(len(table) for table in waiting) >= _TOGETHER:
                flush()

        def flush() -> None:
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()

        with writer:
            yield write
            flush()


# `pa.array` imports pandas, if it is there, which takes longer than one galaxy does; buffers do
# without.


def _texts(texts: Sequence[str]) -> pa.Array:
    parts = [text.encode() for text in texts]
    ends = np.cumsum([0, *(len(part) for part in parts)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(parts), pa.py_buffer(ends), pa.py_buffer(b"".join(parts))
    )


def _numbers(values: Float[np.ndarray, " galaxy"]) -> pa.Array:
    packed = np.ascontiguousarray(values, np.float32)
    return pa.Array.from_buffers(pa.float32(), len(packed), [None, pa.py_buffer(packed)])


def known_format(path: Path) -> str:
    """The extension of a table file, `.csv` or `.parquet`; ConfigError for any other."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise ConfigError(
            f"{path}: unknown table format {suffix!r}; name a file that ends in .csv or .parquet"
        )
    return suffix
