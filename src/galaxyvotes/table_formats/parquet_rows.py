"""The rows of a Parquet file, in slices: memory holds a slice and the group of rows that it is of.

What the columns mean is taken from Arrow's own fields, or else from what this package wrote, a
VOTable header (VOParquet) or astropy's `table_meta_yaml`.
"""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from galaxyvotes.errors import DataError
from galaxyvotes.runtime.quiet import quiet
from galaxyvotes.table_formats.columns import COLUMNS, KEYS, facts_of

__all__ = ["ParquetRows"]

_WRITTEN_ANEW = (
    b"table_meta_yaml",
    b"IVOA.VOTable-Parquet.version",
    b"IVOA.VOTable-Parquet.content",
    b"pandas",
    COLUMNS,
)


@dataclass(frozen=True)
class ParquetRows:
    """The rows of a file that stays open; `name` is what errors call it."""

    name: str
    file: pq.ParquetFile
    schema: pa.Schema

    @staticmethod
    def of(name: str, file: Any) -> "ParquetRows":
        """The rows of a file, or of its path; DataError if it is no Parquet."""
        try:
            parquet = pq.ParquetFile(file, pre_buffer=False)
            return ParquetRows(name, parquet, _with_facts(parquet.schema_arrow))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{name}: not a table: {error}") from None

    @property
    def count(self) -> int:
        """The number of rows."""
        return self.file.metadata.num_rows

    def slices(self, size: int, start: int = 0) -> Iterator[pa.Table]:
        """So many rows at a time, from a row on; DataError if they are damaged."""
        groups, skipped = list(range(self.file.num_row_groups)), 0
        while groups and skipped + self.file.metadata.row_group(groups[0]).num_rows <= start:
            skipped += self.file.metadata.row_group(groups.pop(0)).num_rows
        skip, waiting = start - skipped, list[pa.RecordBatch]()
        try:
            for batch in self.file.iter_batches(size, groups, use_threads=False):
                batch, skip = batch[min(skip, len(batch)) :], max(skip - len(batch), 0)
                waiting.append(batch)
                while sum(map(len, waiting)) >= size:
                    rows = pa.Table.from_batches(waiting)
                    yield self._take(rows[:size])
                    waiting = rows[size:].to_batches()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.name}: is damaged: {error}") from None
        if sum(map(len, waiting)):
            yield self._take(pa.Table.from_batches(waiting))

    def _take(self, rows: pa.Table) -> pa.Table:
        return pa.table(rows.columns, schema=self.schema)


def _with_facts(schema: pa.Schema) -> pa.Schema:
    """The schema with what its metadata say of each column, and without these metadata, which are
    written anew.
    """
    metadata = cast("dict[bytes, bytes]", schema.metadata or {})
    known: dict[str, dict[str, str]] = {}
    with suppress(Exception), quiet():  # nothing depends on what a column is said to mean
        known = _ours(metadata) or _from_votable(metadata) or _from_yaml(metadata)
    fields = [_with_known(field, known.get(field.name, {})) for field in schema]
    kept = {
        key: value
        for key, value in metadata.items()
        if key not in _WRITTEN_ANEW and not key.startswith(b"table::len::")
    }
    return pa.schema(fields, kept)


def _with_known(field: pa.Field, facts: dict[str, str]) -> pa.Field:
    if not facts or facts_of(field):
        return field
    metadata = cast("dict[bytes, bytes]", field.metadata or {})
    known = {key: value for key, value in facts.items() if value}
    return field.with_metadata({**metadata, **known})


def _ours(metadata: dict[bytes, bytes]) -> dict[str, dict[str, str]]:
    facts: dict[str, dict[str, str]] = json.loads(metadata.get(COLUMNS, b"{}"))
    return {
        name: {key: str(value) for key, value in known.items() if key in KEYS}
        for name, known in facts.items()
    }


def _from_votable(metadata: dict[bytes, bytes]) -> dict[str, dict[str, str]]:
    if not (content := metadata.get(b"IVOA.VOTable-Parquet.content")):
        return {}
    votable: Any = import_module("astropy.io.votable")
    fields = votable.parse(io.BytesIO(content), verify="ignore").get_first_table().fields
    names = ("description", "unit", "ucd", "utype")
    return {
        field.name: {name: str(getattr(field, name) or "") for name in names} for field in fields
    }


def _from_yaml(metadata: dict[bytes, bytes]) -> dict[str, dict[str, str]]:
    if not (content := metadata.get(b"table_meta_yaml")):
        return {}
    meta: Any = import_module("astropy.table.meta")
    columns = meta.get_header_from_yaml(content.decode().splitlines())["datatype"]
    return {
        str(each["name"]): {
            "description": str(each.get("description") or ""),
            "unit": str(each.get("unit") or ""),
            "ucd": str(cast("dict[str, Any]", each.get("meta") or {}).get("ucd") or ""),
        }
        for each in columns
    }
