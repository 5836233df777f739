"""A table of Arrow's as one of astropy's or pandas', with what its columns mean.

What is null is masked; a whole number that is unknown has no other place in either. Texts of
unknown cells are masked, too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from galaxyvotes.errors import MissingExtraError
from galaxyvotes.table_formats.columns import (
    elements,
    fact,
    meta_of,
    plain,
    plain_schema,
    shape_of,
    single,
)

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

__all__ = ["to_astropy", "to_pandas"]


def to_pandas(table: pa.Table) -> "pd.DataFrame":
    """The table as a pandas data frame; MissingExtraError without pandas."""
    try:
        import_module("pandas")
    except ImportError:
        raise MissingExtraError("pandas", "pandas") from None
    return table.to_pandas()


def to_astropy(table: pa.Table) -> "Table":
    """The table as astropy's, with descriptions, units, and UCDs in each column's `meta`.

    DataError for a column of a type that astropy has no place for.
    """
    from astropy.table import Table

    schema = plain_schema(table.schema, "the table")
    columns = zip(plain(table, schema).itercolumns(), schema, strict=True)
    return Table(
        [_column(single(values), field) for values, field in columns], meta=meta_of(schema)
    )


def _column(values: pa.Array, field: pa.Field) -> Any:
    tables: Any = import_module("astropy.table")
    units: Any = import_module("astropy.units")
    unit = fact(field, "unit")
    known = {
        "name": field.name,
        "unit": units.Unit(unit, parse_strict="silent") if unit else None,
        "description": fact(field, "description") or None,
        "meta": {key: fact(field, key) for key in ("ucd", "utype") if fact(field, key)},
    }
    data, mask = _values(values, field)
    if mask.any():
        return tables.MaskedColumn(data, mask=mask, **known)
    return tables.Column(data, **known)


def _values(values: pa.Array, field: pa.Field) -> tuple[np.ndarray, np.ndarray]:
    """The values of a column, and where they are unknown."""
    shape, element = shape_of(field)
    flat = elements(values)
    mask = flat.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_large_list(element):
        cells = [None if cell is None else np.array(cell) for cell in flat.to_pylist()]
        data = np.empty(len(cells), object)
        data[:] = cells
    elif element in (pa.large_string(), pa.large_binary()):
        empty = "" if element == pa.large_string() else b""
        data = np.array([empty if text is None else text for text in flat.to_pylist()])
    elif pa.types.is_boolean(element):
        data = flat.fill_null(False).to_numpy(zero_copy_only=False)
    else:
        data = flat.fill_null(0).to_numpy()
    if fact(field, "complex"):
        data = np.ascontiguousarray(data).view(f"c{2 * data.dtype.itemsize}")
        shape, mask = shape[:-1], mask.reshape(-1, 2).any(axis=1)
    rows = (len(values), *shape)
    return data.reshape(rows), mask.reshape(rows)
