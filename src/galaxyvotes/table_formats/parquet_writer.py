"""A table as a Parquet file, written part by part, with what its columns mean in three places.

Arrow's own fields have it for pyarrow (which forgets that of fields of arrays, so `COLUMNS` has
it, too), `table_meta_yaml` for astropy's
`Table.read`, and a VOTable header without data for TOPCAT and all who follow the VOParquet
convention (Taylor et al. 2025, IVOA Note "Parquet in the VO" 1.0, section 2).
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import COLUMNS, facts_of, meta_of, plain_schema
from galaxyvotes.table_formats.text_writers import astropy_columns
from galaxyvotes.table_formats.votable_writer import votable_header

__all__ = ["write_parquet"]

_ROW_GROUP = 8192  # rows, at least: each group's description stays in memory


def write_parquet(path: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write a table to a new file, with the types that it has; `parts` are gone through twice,
    because astropy wants to know how long texts are.
    """
    schema = _with_descriptions(schema, path.name, _longest_texts(schema, parts))
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(path, schema) as writer:
        for part in parts:
            waiting.append(part.cast(schema))
            if sum(map(len, waiting)) >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _longest_texts(schema: pa.Schema, parts: Iterable[pa.Table]) -> dict[str, int]:
    """How many letters the longest text of each column of texts has."""
    texts = [
        field.name
        for field in schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    longest = dict.fromkeys(texts, 1)
    for part in parts if texts else ():
        for name in texts:
            length = pc.max(pc.utf8_length(part.column(name))).as_py() or 0
            longest[name] = max(longest[name], length)
    return longest


def _with_descriptions(schema: pa.Schema, name: str, longest: dict[str, int]) -> pa.Schema:
    """The schema with astropy's and VOParquet's descriptions of it, if all columns have types that
    these know.
    """
    facts = {field.name: facts_of(field) for field in schema if facts_of(field)}
    lengths = {f"table::len::{name}": str(length) for name, length in longest.items()}
    known_facts = {COLUMNS: json.dumps(facts), **lengths}
    schema = schema.with_metadata({**(schema.metadata or {}), **known_facts})
    try:
        known = plain_schema(schema, name)
    except DataError:
        return schema
    yaml = {"datatype": astropy_columns(known), "meta": meta_of(schema)}
    return schema.with_metadata({
        **(schema.metadata or {}),
        "table_meta_yaml": json.dumps(yaml),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable_header(known),
    })  # fmt: skip
