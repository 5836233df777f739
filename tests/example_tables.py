"""A table with a column of every type that formats have, for tests of writing and reading."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from galaxyvotes.table_formats.columns import column, with_meta


def arrays(values: np.ndarray) -> pa.Array:
    """A column of arrays, each with all its elements in one list."""
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])


def everything(rows: int = 23, seed: int = 0) -> pa.Table:
    """Unknown values stand in every column that may have some."""
    rng = np.random.default_rng(seed)
    lacking = rng.random(rows) < 0.3
    lacking[0] = False

    def whole(dtype: pa.DataType, *, gaps: bool = False) -> pa.Array:
        ends = np.iinfo(dtype.to_pandas_dtype())
        values = rng.integers(ends.min, ends.max, rows, ends.dtype)
        return pa.array(values, dtype, mask=lacking if gaps else None)

    floats = rng.normal(size=rows)
    floats[1], floats[2], floats[3] = np.nan, np.inf, -np.inf
    words = ["<a & b>", "x", 'Käse, "q"', "y z"]
    columns: dict[str, tuple[pa.Array, dict[str, str]]] = {
        "id": (pa.array([f"J{n:03d}" for n in range(rows)]), {"ucd": "meta.id;meta.main"}),
        "flag": (pa.array(rng.random(rows) < 0.5, mask=lacking), {}),
        "i1": (whole(pa.int8()), {}),
        "u1": (whole(pa.uint8(), gaps=True), {}),
        "i2": (whole(pa.int16(), gaps=True), {}),
        "u2": (whole(pa.uint16(), gaps=True), {}),
        "i4": (whole(pa.int32()), {}),
        "u4": (whole(pa.uint32()), {}),
        "objid": (whole(pa.int64(), gaps=True), {"description": "seventeen digits and more"}),
        "f4": (pa.array(floats.astype("f4")), {"unit": "mJy", "ucd": "phot.flux"}),
        "f8": (pa.array(floats), {"unit": "deg", "description": "<&> of a 'long' kind " * 6}),
        "matrix": (arrays(rng.random((rows, 2, 3))), {"shape": "2,3"}),
        "pair": (arrays(rng.integers(0, 9, (rows, 2)).astype("i2")), {}),
        "wave": (arrays(rng.random((rows, 2)).astype("f4")), {"complex": "yes"}),
        "list": (pa.array([list(range(n % 4)) for n in range(rows)], pa.list_(pa.int32())), {}),
        "name": (pa.array([words[n % 4] for n in range(rows)]), {}),
    }  # fmt: skip
    fields = [column(name, values.type, **facts) for name, (values, facts) in columns.items()]
    schema = with_meta(pa.schema(fields), {"tree": "kaggle", "galaxies": rows})
    return pa.table([values for values, _ in columns.values()], schema=schema)


def parts_of(table: pa.Table, sizes: tuple[int, ...] = (5, 0, 11)) -> Iterator[pa.Table]:
    """The table in parts of these sizes and the rest."""
    start = 0
    for size in (*sizes, len(table)):
        yield table.slice(start, size)
        start += size
