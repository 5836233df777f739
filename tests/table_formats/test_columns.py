import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.table_formats.columns import (
    column,
    elements,
    fact,
    meta_of,
    plain,
    plain_schema,
    shape_of,
    with_meta,
)


def test_facts_stand_in_a_column_and_empty_ones_are_left_out():
    field = column("a", pa.int16(), unit="mJy", ucd="")
    assert (fact(field, "unit"), fact(field, "ucd"), len(field.metadata)) == ("mJy", "", 1)
    assert column("a", pa.int16()).metadata is None
    schema = with_meta(pa.schema([field], {b"pandas": b"{}"}), {"n": 1})
    assert (meta_of(schema), schema.metadata[b"pandas"]) == ({"n": 1}, b"{}")


def test_the_shape_of_arrays_is_that_of_their_lists_or_is_said():
    nested = pa.list_(pa.list_(pa.int16(), 3), 2)
    assert shape_of(pa.field("a", nested)) == ((2, 3), pa.int16())
    assert shape_of(column("a", pa.list_(pa.int16(), 6), shape="2,3")) == ((2, 3), pa.int16())
    assert shape_of(column("a", pa.list_(pa.int16(), 6), shape="2,2")) == ((6,), pa.int16())
    assert shape_of(pa.field("a", pa.int16())) == ((), pa.int16())


def test_elements_of_unknown_arrays_are_unknown():
    values = pa.array(
        [[[1, 2], [3, 4]], None, [None, [5, 6]]], pa.list_(pa.list_(pa.int16(), 2), 2)
    )
    expected = [1, 2, 3, 4, None, None, None, None, None, None, 5, 6]
    assert elements(values).to_pylist() == expected
    assert elements(values.slice(2)).to_pylist() == expected[8:]


def test_types_that_formats_lack_become_those_that_they_have():
    when = datetime.datetime(2026, 11, 29, 7, 30)
    table = pa.table({
        "word": pa.array(["a", "b"]).dictionary_encode(),
        "time": pa.array([when, None], pa.timestamp("s")),
        "day": pa.array([when.date(), None]),
        "price": pa.array([Decimal("1.25"), None]),
        "half": pa.array([0.5, 1], pa.float16()),
        "nothing": pa.nulls(2),
    })  # fmt: skip
    schema = plain_schema(table.schema, "t.fits")
    assert plain(table, schema).to_pylist() == [
        {"word": "a", "time": "2026-11-29T07:30:00", "day": "2026-11-29", "price": 1.25,
         "half": 0.5, "nothing": None},
        {"word": "b", "time": None, "day": None, "price": None, "half": 1.0, "nothing": None},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "dtype",
    [
        pa.struct([("x", pa.int8())]),
        pa.list_(pa.string()),
        pa.list_(pa.struct([("x", pa.int8())]), 2),
        pa.map_(pa.string(), pa.int8()),
    ],
)
def test_other_types_are_refused_by_the_columns_name(dtype):
    with pytest.raises(DataError, match=r"t\.fits: column 'a' holds "):
        plain_schema(pa.schema([("a", dtype)]), "t.fits")
