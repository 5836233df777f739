import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxyvotes.tables import names as module
from galaxyvotes.tables.names import (
    codes_of,
    column_of,
    first_repeated,
    iterate,
    name_column,
    repeated,
    row_column,
)

some_names = st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=30)


@given(some_names, st.integers(1, 40))
def test_a_column_gives_back_its_names_whatever_the_size_of_its_parts(names, part):
    module.PART, before = part, module.PART
    try:
        column = name_column(iter(names))
        assert list(iterate(column)) == column.to_pylist() == names
    finally:
        module.PART = before
    assert column.type == pa.large_string()


def test_a_name_takes_its_letters_and_eight_bytes():
    column = name_column(f"images/{n}.jpg" for n in range(10_000, 110_000))
    assert column.nbytes < 1.01 * (16 + 8) * 100_000


def test_a_name_that_is_not_text_is_refused():
    with pytest.raises(UnicodeEncodeError):
        name_column(["a\udcff"])


@given(st.lists(st.binary(max_size=3), max_size=30))
def test_bytes_that_are_no_text_come_back_unchanged(paths):
    assert column_of(paths, pa.large_binary()).to_pylist() == paths


def test_rows_of_any_integer_type_and_order_are_taken():
    letters = name_column("abc")
    for rows in (np.array([2, 0], np.int32), np.arange(3)[::-2], np.array([], np.intp)):
        assert letters.take(row_column(rows)).to_pylist() == ["abc"[row] for row in rows]


@given(some_names)
def test_equal_names_and_only_these_have_equal_codes(names):
    codes = codes_of(name_column(names)).tolist()
    pairs = set(zip(names, codes, strict=True))
    assert len(pairs) == len(set(names)) == len(set(codes))


@given(some_names)
def test_repeated_are_all_rows_whose_name_another_row_has(names):
    codes = codes_of(name_column(names))
    expected = [row for row, name in enumerate(names) if names.count(name) > 1]
    assert repeated(codes).tolist() == expected


@given(st.lists(st.integers(0, 8), max_size=12))
def test_the_first_repeated_row_comes_with_the_first_row_like_it(codes):
    expected = next(
        ((codes.index(code), row) for row, code in enumerate(codes) if code in codes[:row]), None
    )
    assert first_repeated(np.array(codes, np.int64)) == expected
