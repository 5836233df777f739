"""A table of galaxies as a file, in the format that its extension says."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from galaxyvotes.errors import ConfigError
from galaxyvotes.runtime.files import given_path, replacing
from galaxyvotes.table_formats.fits_writer import write_fits
from galaxyvotes.table_formats.parquet_writer import write_parquet
from galaxyvotes.table_formats.text_writers import write_csv, write_ecsv
from galaxyvotes.table_formats.votable_writer import write_votable

__all__ = ["check_format", "open_table", "write_table"]

_TOGETHER = 8192  # rows that are packed or written as text at a time

_FORMATS: dict[str, Callable[[Path, pa.Schema, Iterable[pa.Table]], None]] = {
    ".csv": write_csv,
    ".ecsv": write_ecsv,
    ".fits": write_fits,
    ".parquet": write_parquet,
    ".vot": write_votable,
    ".xml": write_votable,
}


def write_table(path: str | Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write the rows of all parts, each a table of this schema, as one file.

    `parts` may be gone through twice. The file appears whole or not at all; what was there before
    stays until then.

    Raises ConfigError for an unknown extension, DataError if the file cannot be written, or for a
    column or a value that its format does not have.
    """
    path = given_path(path)
    check_format(path)
    with replacing(path) as partial:
        _FORMATS[path.suffix.lower()](partial, schema, parts)


@contextmanager
def open_table(path: str | Path, schema: pa.Schema) -> Generator[Callable[[pa.Table], None]]:
    """A function that appends rows to a new table, in the format that the extension says.

    They wait on the disk until the context ends well, because headers say how many rows there are
    and how wide texts are. The file appears whole or not at all; what was there before stays until
    then.

    Raises ConfigError for an unknown extension, and DataError as `write_table`.
    """
    path = given_path(path)
    check_format(path)
    with replacing(path) as partial:
        waiting = _Waiting(partial.with_name(f"{partial.name}.rows"))
        try:
            with (
                pa.OSFile(str(waiting.path), "wb") as file,
                pa.ipc.new_stream(file, schema) as rows,
            ):
                yield lambda part: rows.write_table(part.cast(schema))
            _FORMATS[path.suffix.lower()](partial, schema, waiting)
        finally:
            waiting.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Waiting:
    """The rows in a file of Arrow's, to be gone through any number of times."""

    path: Path

    def __iter__(self) -> Iterator[pa.Table]:
        """Some thousand rows at a time."""
        together: list[pa.RecordBatch] = []
        with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as batches:
            for batch in batches:
                together.append(batch)
                if sum(map(len, together)) >= _TOGETHER:
                    yield pa.Table.from_batches(together)
                    together.clear()
            if together:
                yield pa.Table.from_batches(together)


def check_format(path: Path) -> None:
    """Refuse a table file of an unknown extension: a ConfigError."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        *others, last = _FORMATS
        raise ConfigError(
            f"{path}: unknown table format {suffix!r}; name a file that ends in"
            f" {', '.join(others)} or {last}"
        )
