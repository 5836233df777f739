import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxyvotes.errors import DataError
from galaxyvotes.tables.encodings import to_utf8

TEXT = "id,type\n1,Sérsic\n2,Ångström\n"


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"],
)
def test_what_a_text_is_encoded_in_makes_no_difference_where_it_shows(encoding):
    assert to_utf8(TEXT.encode(encoding)) == TEXT.encode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["星系,类型\n1,涡旋\n2,椭圆\n", "éé,ß\n1,ö\n", "ид;тип\r\n1;спираль\r\n"]
)
def test_utf_16_without_a_mark_is_known_in_any_language(text, encoding):
    assert to_utf8(text.encode(encoding)) == text.encode()


def test_a_text_with_some_zero_bytes_is_not_taken_for_utf_16():
    text = b"id,type\n" + b"1,S\0\n" * 200
    assert to_utf8(text) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("спираль", "cp1251"), ("渦巻", "shift-jis"), ("sé", "mac-roman"), ("S0–a", "cp1252")],
)
def test_bytes_that_could_be_several_things_stay_as_they_are(text, encoding):
    assert to_utf8(text.encode(encoding)) == text.encode(encoding)


def test_a_text_that_breaks_off_in_a_letter_is_refused():
    with pytest.raises(DataError, match="damaged UTF-16-LE text"):
        to_utf8("id,type".encode("utf-16")[:-1])


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff")))
def test_utf8_comes_back_as_it_is(text):
    assert to_utf8(text.encode()) == text.encode()
