import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxyvotes.tables.cells import (
    NotANumber,
    is_unknown,
    numbers_of,
    rewrite,
    unfit_as_ids,
    without_point,
)


def texts(*words: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(words, pa.large_string())])


@pytest.mark.parametrize(
    "word",
    ["", " ", "NaN", "nan", "NULL", "None", "NA", "n/a", "N/A", "-", "<NA>", " null ", "#N/A"],
)
def test_words_for_nothing_are_unknown_in_any_case_and_with_spaces(word):
    assert is_unknown(word)


@pytest.mark.parametrize("word", ["0", "nano", "S0", "nullarbor", "-1", "no", "unknown"])
def test_other_words_are_not(word):
    assert not is_unknown(word)


@pytest.mark.parametrize("word", ["-1", "-1.0", " -1.00", "-1e0", "-1D0"])
def test_a_number_that_means_unknown_does_however_it_is_written(word):
    assert is_unknown(word, ["-1"])
    assert is_unknown(word, ["-1.0"])
    assert not is_unknown(word, ["1"])
    assert not is_unknown(word, ["unsure"])


def test_a_word_that_means_unknown_is_meant_as_it_is_written():
    assert is_unknown("unsure", ["unsure"])
    assert not is_unknown("Unsure", ["unsure"])


def test_only_whole_floats_lose_their_point():
    words = ["100008.0", "-7.00", "1.50", "007", "5.", "1e5", "x.0", "01.0"]
    assert list(map(without_point, words)) == [
        "100008", "-7", "1.50", "007", "5.", "1e5", "x.0", "01"
    ]  # fmt: skip


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=3), min_size=1, max_size=20))
def test_a_column_is_rewritten_text_by_text(words):
    column = rewrite(texts(*words), str.upper)
    assert column.to_pylist() == [word.upper() for word in words]


# Numbers


def test_texts_are_read_as_numbers_and_words_for_nothing_as_nan():
    numbers = numbers_of(texts(" 0.5", "1e3", "1.5D+03", "NULL", "-", "", "-.25", "1."))
    assert isinstance(numbers, np.ndarray)
    np.testing.assert_array_equal(numbers, [0.5, 1000, 1500, np.nan, np.nan, np.nan, -0.25, 1])


@pytest.mark.parametrize("word", ["0x10", "½", "1.2.3", "many", "1 2", "٣", "1_0", "１２", "<5"])
def test_what_python_or_people_might_read_as_a_number_is_refused_with_its_row(word):
    assert numbers_of(texts("1", word)) == NotANumber(1, word, "expected a number")


@pytest.mark.parametrize(
    "word", ["1_000", "12,345,678", "1,234.5", "1.234,5", "1 234", "1'234", "-1\u202f234"]
)
def test_signs_between_thousands_are_refused_by_row(word):
    expected = "expected a number without signs between thousands"
    assert numbers_of(texts("1", word)) == NotANumber(1, word, expected)


def test_a_printers_minus_sign_is_a_minus_and_a_per_cent_sign_is_refused():
    numbers = numbers_of(texts("\N{MINUS SIGN}1.5", "\N{MINUS SIGN}", "2e\N{MINUS SIGN}3"))
    assert isinstance(numbers, np.ndarray)
    assert numbers[[0, 2]].tolist() == [-1.5, 0.002]
    refused = numbers_of(texts("15.9%"))
    assert isinstance(refused, NotANumber)
    assert refused.expected == "expected a number without %: a fraction lies in 0–1"


def test_decimal_commas_are_read_where_they_can_be_nothing_else():
    numbers = numbers_of(texts("0,5", "1,234", "-12,5", "2"))
    assert isinstance(numbers, np.ndarray)
    assert numbers.tolist() == [0.5, 1.234, -12.5, 2]


def test_a_comma_that_may_stand_between_thousands_is_refused():
    answer = numbers_of(texts("1,234", "2,345"))
    assert isinstance(answer, NotANumber)
    assert (answer.row, answer.word) == (0, "1,234")
    assert "decimal point" in answer.expected


@pytest.mark.parametrize("kind", [pa.int32(), pa.float32(), pa.float64(), pa.string()])
def test_values_that_mean_unknown_are_nan_in_a_column_of_any_type(kind):
    column = pa.chunked_array([pa.array([1, -99, 3]).cast(kind)])
    numbers = numbers_of(column, ["-99"])
    assert isinstance(numbers, np.ndarray)
    np.testing.assert_array_equal(numbers, [1, np.nan, 3])


def test_a_value_that_means_unknown_is_found_in_single_precision():
    numbers = numbers_of(pa.chunked_array([pa.array([0.5, -99.9], pa.float32())]), ["-99.9"])
    assert isinstance(numbers, np.ndarray)
    assert np.isnan(numbers).tolist() == [False, True]


# Ids


@pytest.mark.parametrize(
    ("kind", "largest"), [(pa.float32(), 2**24), (pa.float64(), 2**53), (pa.float16(), 2**11)]
)
def test_floats_are_no_ids_from_where_they_skip_whole_numbers(kind, largest):
    small = pa.chunked_array([pa.array([None, float(largest - 1), float("nan")]).cast(kind)])
    large = pa.chunked_array([pa.array([1.0, float(largest)]).cast(kind)])
    assert unfit_as_ids(small) is None
    assert unfit_as_ids(large) == (1, str(largest))


@pytest.mark.parametrize("word", ["5.877229828298508e+17", "587722982829850763.0", "5.8E17"])
def test_texts_of_large_floats_are_no_ids(word):
    assert unfit_as_ids(texts("1.0", "NaN", word)) == (2, word)


@pytest.mark.parametrize("word", ["5.877229828298508e+17", "587722982829850763.0"])
def test_one_word_that_is_no_number_hides_no_float(word):
    assert unfit_as_ids(texts("unknown target", word)) == (1, word)


@pytest.mark.parametrize(
    "words",
    [
        ["587722982829850763", "587722982829850764"],  # whole numbers
        ["12e17", "3fa8c1"],  # hexadecimal
        ["1.2e-5", "0.5"],  # measurements
        ["1e5", "100008.0"],
    ],
)
def test_other_texts_may_be_ids(words):
    assert unfit_as_ids(texts(*words)) is None
