"""A table as CSV or ECSV, written part by part.

CSV holds the values and nothing else. ECSV, astropy's own format (APE 6), says in front of them
what each column is, and keeps arrays as JSON. An empty text and an unknown one are the same in
both.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from galaxyvotes.table_formats.columns import (
    fact,
    meta_of,
    plain,
    plain_schema,
    shape_of,
    single,
)
from galaxyvotes.table_formats.text_cells import has_arrays, json_cells, text_cells

__all__ = ["astropy_columns", "write_csv", "write_ecsv"]


def write_csv(path: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write a table to a new file; DataError for a column that cannot be text."""
    schema = plain_schema(schema, path.name)
    flat = pa.schema([_as_text(field) if has_arrays(field.type) else field for field in schema])
    with pacsv.CSVWriter(path, flat) as writer:
        for part in parts:
            columns = [
                json_cells(single(values), field) if has_arrays(values.type) else values
                for values, field in zip(plain(part, schema).itercolumns(), schema, strict=True)
            ]
            writer.write_table(pa.table(columns, schema=flat))


def write_ecsv(path: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write a table to a new file, with commas between cells; DataError for a column that cannot
    be text.
    """
    schema = plain_schema(schema, path.name)
    texts = pa.schema([_as_text(field) for field in schema])
    with path.open("wb") as file:
        file.write("".join(f"# {line}\n" for line in _ecsv_header(schema)).encode())
        with pacsv.CSVWriter(file, texts) as writer:
            for part in parts:
                values = map(single, plain(part, schema).itercolumns())
                columns = [*map(_ecsv_cells, values, schema)]
                writer.write_table(pa.table(columns, schema=texts))


def astropy_columns(schema: pa.Schema) -> list[dict[str, Any]]:
    """What astropy keeps of each column in the header of ECSV, and in the metadata of Parquet."""
    return [_astropy_column(field) for field in schema]


def _ecsv_header(schema: pa.Schema) -> Iterator[str]:
    """The header, whose YAML is JSON, column by column."""
    yield "%ECSV 1.0"
    yield "---"
    yield "delimiter: ','"
    yield "datatype:"
    for column in astropy_columns(schema):
        yield f"- {json.dumps(column)}"
    if meta := meta_of(schema):
        yield f"meta: {json.dumps(meta)}"
    yield "schema: astropy-2.0"


def _astropy_column(field: pa.Field) -> dict[str, Any]:
    shape, element = shape_of(field)
    is_list = pa.types.is_large_list(element)
    name = _type_name(element.value_type if is_list else element)
    column: dict[str, Any] = {"name": field.name}
    if unit := fact(field, "unit"):
        column["unit"] = unit
    if shape or is_list:
        axes = [*map(str, shape), *(["null"] if is_list else [])]
        column |= {"datatype": "string", "subtype": f"{name}[{','.join(axes)}]"}
    else:
        column["datatype"] = name
    if description := fact(field, "description"):
        column["description"] = description
    meta = {key: fact(field, key) for key in ("ucd", "utype") if fact(field, key)}
    return {**column, "meta": meta} if meta else column


def _type_name(dtype: pa.DataType) -> str:
    if pa.types.is_large_string(dtype) or pa.types.is_large_binary(dtype):
        return "string"
    return {"double": "float64", "float": "float32"}.get(str(dtype), str(dtype))


def _ecsv_cells(values: pa.Array, field: pa.Field) -> pa.Array:
    if has_arrays(values.type):
        return json_cells(values, field)
    if pa.types.is_boolean(values.type):  # as Python writes them
        return pa.array(["False", "True"], pa.large_string()).take(values.cast(pa.int8()))
    return text_cells(values)


def _as_text(field: pa.Field) -> pa.Field:
    return pa.field(field.name, pa.large_string())
