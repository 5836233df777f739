"""What somebody says about some galaxies: one row a galaxy, one column an answer, joint fractions.

A network, a baseline and the volunteers themselves all speak in this type, so one report compares them.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from jaxtyping import Float

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.files import replacing
from galaxyvotes.tables import Table

__all__ = ["Predictions", "writing"]

_FORMATS = (".csv", ".parquet")


@dataclass(frozen=True)
class Predictions:
    """Joint fractions (0–1) per galaxy and answer; `columns` are answers of a tree, all of them or some."""

    ids: tuple[str, ...]
    columns: tuple[str, ...]
    fractions: Float[np.ndarray, "galaxy answer"]
    id_name: str = "id"

    def __post_init__(self) -> None:
        """Refuse a table whose sides do not fit."""
        if self.fractions.shape != (len(self.ids), len(self.columns)):
            raise ValueError(
                f"{self.fractions.shape} fractions for {len(self.ids)} galaxies × {len(self.columns)} answers"
            )

    def __len__(self) -> int:
        """The number of galaxies."""
        return len(self.ids)

    def to_table(self) -> pa.Table:
        """An Arrow table: the id, then one column an answer."""
        arrays = [pa.array(self.ids, pa.string()), *(pa.array(column) for column in self.fractions.T)]
        return pa.table(arrays, names=[self.id_name, *self.columns])

    def write(self, path: str | Path) -> None:
        """Write CSV or Parquet, as the extension says; an unknown one is an error."""
        with writing(path, self.columns, id_name=self.id_name) as write:
            write(self)

    @staticmethod
    def read(path: str | Path) -> "Predictions":
        """Read back what `write` wrote: the first column is the id, all others are answers."""
        path = Path(path)
        known_format(path)
        try:
            table = Table(str(path), path.read_bytes())
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
        id_name, *columns = table.header()
        if not columns:
            raise DataError(f"{path} has one column, {id_name!r}: expected an id, then a column for each answer")
        data = table.read()
        fractions = np.empty((data.num_rows, len(columns)), np.float32)
        for place, column in enumerate(columns):
            try:
                fractions[:, place] = data.column(column).cast(pa.float32(), safe=False).to_numpy()
            except pa.ArrowException as error:
                raise DataError(f"{path}: column {column!r} is not numbers: {error}") from None
        return Predictions(tuple(table.texts(id_name)), tuple(columns), fractions, id_name=id_name)


@contextmanager
def writing(
    path: str | Path, columns: tuple[str, ...], *, id_name: str = "id"
) -> Generator[Callable[[Predictions], None]]:
    """A function that appends predictions to a new table, CSV or Parquet as the extension says.

    The file appears whole when the context ends well, and not at all otherwise.
    """
    path = Path(path)
    suffix = known_format(path)
    schema = pa.schema([(id_name, pa.string()), *((column, pa.float32()) for column in columns)])
    with replacing(path) as partial:
        writer = pacsv.CSVWriter(partial, schema) if suffix == ".csv" else pq.ParquetWriter(partial, schema)
        with writer:
            yield lambda part: writer.write_table(part.to_table().cast(schema))


def known_format(path: Path) -> str:
    """The extension of a table file, `.csv` or `.parquet`; any other is an error."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise ConfigError(f"{path}: unknown table format {suffix!r}; name a file that ends in .csv or .parquet")
    return suffix
