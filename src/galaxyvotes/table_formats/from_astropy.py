"""A table of astropy's as one of Arrow's, with units, descriptions and all arrays.

What is masked is null; NaN stays NaN. Coordinates and times of several numbers become a column
each.
"""

from importlib import import_module
from typing import Any, cast

import numpy as np
import pyarrow as pa

from galaxyvotes.table_formats.columns import column, with_meta
from galaxyvotes.tables.astropy_tables import simple

__all__ = ["from_astropy"]

_FACTS = ("ucd", "utype")


def from_astropy(table: Any) -> pa.Table:
    """The table with Arrow's types."""
    plain = import_module("astropy.table.serialize").represent_mixins_as_columns(table)
    columns = [*map(_column, plain.itercols())]
    meta = {str(name): value for name, value in plain.meta.items() if simple(value)}
    schema = with_meta(pa.schema([field for field, _ in columns]), meta)
    return pa.table([values for _, values in columns], schema=schema)


def _column(column_: Any) -> tuple[pa.Field, pa.Array]:
    info, values = column_.info, np.ma.asarray(getattr(column_, "value", column_))
    meta = cast("dict[str, Any]", info.meta or {})
    facts = {key: str(meta.get(key) or "") for key in _FACTS}
    facts["unit"] = "" if info.unit is None else str(info.unit)
    facts["description"] = str(info.description or "")
    shape, data, mask = values.shape[1:], np.ma.getdata(values), np.ma.getmaskarray(values)
    if data.dtype.kind == "c":
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("="))
        data = data.view(f"f{data.dtype.itemsize // 2}")
        data, mask = data.reshape(*values.shape, 2), np.stack([mask, mask], axis=-1)
        shape, facts["complex"] = (*shape, 2), "yes"
    if data.dtype.kind in "SU":
        letters = data.dtype.itemsize // (1 if data.dtype.kind == "S" else 4)
        facts["width"] = str(letters)
    if data.dtype.kind == "O" and not shape:
        array = _objects(data, mask)
    else:
        array = _elements(data.reshape(-1), mask.reshape(-1))
    if shape:
        array = pa.FixedSizeListArray.from_arrays(array, int(np.prod(shape)))
        facts["shape"] = ",".join(map(str, shape)) if len(shape) > 1 else ""
    return column(str(info.name), array.type, **facts), array


def _elements(values: np.ndarray, mask: np.ndarray) -> pa.Array:
    if values.dtype.kind in "SUO":
        pairs = zip(values.tolist(), mask.tolist(), strict=True)
        texts = [None if unknown else _text(value) for value, unknown in pairs]
        return pa.array(texts, pa.string())
    native = values.astype(values.dtype.newbyteorder("="))
    return pa.array(native, mask=mask if mask.any() else None, from_pandas=False)


def _objects(values: np.ndarray, mask: np.ndarray) -> pa.Array:
    """Cells that are arrays of various lengths, or texts."""
    cells: list[Any] = [None if unknown else v for v, unknown in zip(values, mask, strict=True)]
    arrays = [cell for cell in cells if hasattr(cell, "dtype")]
    kinds = {each.dtype for each in arrays if each.size} or {each.dtype for each in arrays}
    if not arrays or any(kind.kind not in "biuf" for kind in kinds):
        return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())
    element = pa.from_numpy_dtype(np.result_type(*kinds).newbyteorder("="))
    lists = [None if cell is None else np.ravel(cell).tolist() for cell in cells]
    return pa.array(lists, pa.list_(element))


def _text(value: Any) -> str:
    """A text; bytes that are not UTF-8 as Latin-1."""
    if isinstance(value, bytes):
        try:
            return value.rstrip(b" \0").decode()
        except UnicodeDecodeError:
            return value.rstrip(b" \0").decode("latin-1")
    return str(value)
