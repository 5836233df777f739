import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxyvotes.sources import names as module
from galaxyvotes.sources.names import codes_of, first_repeated, iterate, name_column, repeated

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
