"""What a column of a table holds: its Arrow type, and beside that its description, unit and UCD.

Every format is read into Arrow and written from it. What Arrow has no place for stands in the
metadata of a column's field, under the keys of `KEYS`, and what is known of the whole table in the
schema's, under `META`. An array in each cell is a fixed-size list of all its elements, and its
`shape` says how many axes these have (lists of lists are understood, too); arrays of various
lengths are lists.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import DataError
from galaxyvotes.tables.astropy_tables import META
from galaxyvotes.tables.names import row_column

__all__ = [
    "COLUMNS",
    "KEYS",
    "META",
    "column",
    "elements",
    "fact",
    "facts_of",
    "meta_of",
    "plain",
    "plain_schema",
    "shape_of",
    "single",
    "with_meta",
]

KEYS = ("description", "unit", "ucd", "utype", "shape", "display", "null", "width", "complex")
COLUMNS = b"galaxyvotes.columns"

_INTEGERS = {pa.int8(), pa.int16(), pa.int32(), pa.int64()}
_UNSIGNED = {pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()}
_NUMBERS = _INTEGERS | _UNSIGNED | {pa.float32(), pa.float64(), pa.bool_()}


def column(name: str, dtype: pa.DataType, **facts: str) -> pa.Field:
    """A column with what is known of it; `facts` are some of `KEYS`, and empty ones are left
    out.
    """
    known = {key: value for key, value in facts.items() if value}
    return pa.field(name, dtype, metadata=known or None)


def fact(field: pa.Field, key: str) -> str:
    """What is known of a column under one of `KEYS`; empty if nothing is."""
    metadata = cast("dict[bytes, bytes]", field.metadata or {})
    return metadata.get(key.encode(), b"").decode()


def facts_of(field: pa.Field) -> dict[str, str]:
    """All that is known of a column."""
    return {key: value for key in KEYS if (value := fact(field, key))}


def with_meta(schema: pa.Schema, meta: Mapping[str, Any]) -> pa.Schema:
    """The schema with facts about the whole table, which JSON can hold."""
    metadata = cast("dict[bytes, bytes]", schema.metadata or {})
    return schema.with_metadata({**metadata, META: json.dumps(dict(meta)).encode()})


def meta_of(schema: pa.Schema) -> dict[str, Any]:
    """The facts about the whole table."""
    return json.loads(cast("dict[bytes, bytes]", schema.metadata or {}).get(META, b"{}"))


def shape_of(field: pa.Field) -> tuple[tuple[int, ...], pa.DataType]:
    """The shape of the arrays in a column's cells, () if these are single values, and the type of
    their elements.
    """
    dtype, axes = field.type, list[int]()
    while pa.types.is_fixed_size_list(dtype):
        axes.append(dtype.list_size)
        dtype = dtype.value_type
    if len(axes) == 1 and (known := fact(field, "shape")):
        shape = tuple(map(int, known.split(",")))
        return (shape if prod(shape) == axes[0] else tuple(axes)), dtype
    return tuple(axes), dtype


# ---- values


def single(values: pa.ChunkedArray) -> pa.Array:
    """The values of a column as one array."""
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def elements(values: pa.Array) -> pa.Array:
    """The elements of all fixed-size lists, one after the other; those of an unknown one are
    unknown. Single values are as they are.
    """
    while pa.types.is_fixed_size_list(values.type):
        if values.null_count:
            unknown = pa.array([[None] * values.type.list_size], values.type)
            rows = np.where(values.is_null(), len(values), np.arange(len(values)))
            values = pa.concat_arrays([values, unknown]).take(row_column(rows))
        values = values.flatten()
    return values


# ---- types that every format has


def plain_schema(schema: pa.Schema, name: str) -> pa.Schema:
    """The schema with types that formats of astronomy have: truth values, whole numbers, floats of
    32 and 64 bits, text, bytes, and arrays of these.

    Dates become text, decimals floats. DataError, in which `name` is the file, for a column of
    anything else.
    """
    fields = [field.with_type(_plain_type(field.type, field.name, name)) for field in schema]
    return pa.schema(fields, schema.metadata)


def plain(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the types of a schema that `plain_schema` made."""
    arrays = [
        _plain_column(values, field.type)
        for values, field in zip(table.itercolumns(), schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def _plain_type(dtype: pa.DataType, column: str, name: str) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(dtype):
        return _plain_type(dtype.value_type, column, name)
    if dtype in _NUMBERS:
        return dtype
    if dtype == pa.float16():
        return pa.float32()
    if types.is_decimal(dtype):
        return pa.float64()
    if types.is_binary(dtype) or types.is_large_binary(dtype) or types.is_fixed_size_binary(dtype):
        return pa.large_binary()
    texts = types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype)
    if texts or types.is_temporal(dtype) or types.is_null(dtype):
        return pa.large_string()
    if types.is_fixed_size_list(dtype):
        return pa.list_(_plain_type(dtype.value_type, column, name), dtype.list_size)
    if types.is_list(dtype) or types.is_large_list(dtype):
        inner = _plain_type(dtype.value_type, column, name)
        if inner in _NUMBERS:
            return pa.large_list(inner)
    raise DataError(
        f"{name}: column {column!r} holds {dtype}, which this format does not have: write .parquet,"
        " or leave the column out"
    )


def _plain_column(values: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_timestamp(values.type):
        return pc.replace_substring(values.cast(pa.large_string()), " ", "T")
    return values if values.type == dtype else values.cast(dtype)
