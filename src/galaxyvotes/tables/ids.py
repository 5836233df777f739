"""Which column of a table of galaxies holds their ids, and these as texts.

It is one that is called as ids are, `id` before others; else one of texts, or of whole numbers. Of
several it is the first with a value in each row and none twice.
"""

import re
from collections.abc import Callable, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.table import Table

__all__ = ["id_candidates", "id_texts", "ids_in", "ids_of", "unique_column"]

_CALLED_ID = re.compile(
    r"(?:.*[^a-z])?(?:id|name|number|source|object|designation)|[a-z0-9]+id|iauname"
)
_SHOWN = 12  # columns that an error names

First = Callable[[list[str]], pa.Table]  # the first rows of some columns


def ids_in(
    schema: pa.Schema,
    first: First,
    table: str,
    wanted: str | None = None,
    without: Sequence[str] = (),
) -> str:
    """The column of ids of the table called `table`: `wanted`, or else as this module says, but
    none of those in `without`. It may hold floats if it is called as ids are.

    Raises ConfigError if there is no column `wanted`, DataError if no column could be one of ids.
    """
    names = [name for name in cast("list[str]", schema.names) if name not in without]
    listed = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    if wanted is not None:
        found = Header(names).find(wanted)
        if found is None:
            raise ConfigError(f"{table} has no column {wanted!r} for ids, it has {listed}")
        return found
    candidates = id_candidates(schema, without)
    if not candidates:
        raise DataError(
            f"{table} has no column of texts or whole numbers that could be ids, only {listed}:"
            " add one"
        )
    if pa.types.is_floating(schema.field(candidates[0]).type):
        return candidates[0]
    return unique_column(schema, first, without) or candidates[0]


def ids_of(table: Table, wanted: str | None = None, without: Sequence[str] = ()) -> list[str]:
    """The ids in a table, by the column that `ids_in` finds, as they are written.

    Raises ConfigError and DataError as `ids_in`; DataError if the table is damaged or empty, and
    for ids that have lost digits.
    """
    rows = table.read()
    return table.texts(ids_in(rows.schema, rows.select, table.name, wanted, without))


def unique_column(schema: pa.Schema, first: First, without: Sequence[str] = ()) -> str | None:
    """The first column that could be one of ids, and is not of floats, with a value in each of the
    first rows and none twice; None if there is none.
    """
    candidates = id_candidates(schema, without, floats=False)
    rows = first(candidates)
    for name in candidates:
        column = rows.column(name)
        if not column.null_count and len(pc.unique(column)) == len(column):
            return name
    return None


def id_texts(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """A column of texts or whole numbers as texts, "" where it is empty."""
    return pc.fill_null(column.cast(pa.large_string()), "").to_pylist()


def id_candidates(
    schema: pa.Schema, without: Sequence[str] = (), *, floats: bool = True
) -> list[str]:
    """The columns that could be ids, the likeliest first; with `floats` also those of floats that
    are called so.
    """
    ranks: list[tuple[tuple[bool, ...], str]] = []
    for field in schema:
        dtype = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        texts = pa.types.is_string(dtype) or pa.types.is_large_string(dtype)
        texts = texts or pa.types.is_string_view(dtype)
        word = field.name.strip().lower()
        called = bool(_CALLED_ID.fullmatch(word))
        exact = texts or pa.types.is_integer(dtype)
        if field.name in without:
            continue
        if exact or (floats and called and pa.types.is_floating(dtype)):
            rank = (word == "id", exact, called, texts or called)
            ranks.append((tuple(not each for each in rank), field.name))
    return [name for _, name in sorted(ranks, key=lambda pair: pair[0])]
