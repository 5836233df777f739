"""The values of a column as the text that stands in the cells of CSV, ECSV and VOTable.

Single numbers are written with as many digits as they need to be read back the same.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from galaxyvotes.table_formats.columns import shape_of

__all__ = ["has_arrays", "json_cells", "text_cells"]


def has_arrays(dtype: pa.DataType) -> bool:
    """Whether cells hold more than one value."""
    return pa.types.is_fixed_size_list(dtype) or pa.types.is_large_list(dtype)


def text_cells(values: pa.Array) -> pa.Array:
    """Single values as text; null where they are unknown. Bytes are taken for UTF-8 as far as they
    are.
    """
    if pa.types.is_large_binary(values.type):
        texts = [None if v is None else v.decode("utf-8", "replace") for v in values.to_pylist()]
        return pa.array(texts, pa.large_string())
    return values.cast(pa.large_string())


def json_cells(values: pa.Array, field: pa.Field) -> pa.Array:
    """Arrays of numbers as JSON, as ECSV has them; null where they are unknown."""
    is_flat = not pa.types.is_fixed_size_list(values.type.value_type)
    inner = shape_of(field)[0][:0:-1] if is_flat else ()
    texts = [
        None if cell is None else json.dumps(_nested(cell, inner), separators=(",", ":"))
        for cell in values.to_pylist()
    ]
    return pa.array(texts, pa.large_string())


def _nested(cell: list[Any], sizes: Sequence[int]) -> list[Any]:
    """Elements in lists of lists: so many in each of the innermost, and so on."""
    for size in sizes:
        cell = [cell[start : start + size] for start in range(0, len(cell), size)]
    return cell
