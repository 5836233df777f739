import io
import re
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.errors import DataError
from galaxyvotes.tables.table import Table


def csv(text: str | bytes) -> Table:
    return Table("votes.csv", text if isinstance(text, bytes) else text.encode())


def parquet(**columns) -> Table:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return Table("votes.parquet", buffer.getvalue())


def refusal(table: Table) -> str:
    with pytest.raises(DataError) as error:
        table.read()
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "votes.csv is empty: expected a header and one row a galaxy"),
        ("\n\n", "votes.csv is empty: expected a header and one row a galaxy"),
        ("id,a\n", "votes.csv is empty: it has a header but no rows"),
        ("id,a", "votes.csv is empty: it has a header but no rows"),
        ("id,a,b,a\n1,2,3,4\n", "votes.csv: the column 'a' is there 2 times; names must differ"),
        ("id,a\n1,2\n3\n", "votes.csv line 3 has 1 cell and the header 2"),
        ("id,a\n1,2\n3,4,5\n", "votes.csv line 3 has 3 cells and the header 2"),
        ('id,a\n1,"x\ny"\n\n3\n', "votes.csv line 5 has 1 cell and the header 2"),
        (
            "ид,a\n1,2\n".encode("cp1251"),
            "votes.csv: the header is not UTF-8 text (column 1 is b'\\xe8\\xe4'); save the table",
        ),
        ("id,a\n1,2\n".encode("utf-16")[:-1], "votes.csv is damaged UTF-16-LE text: "),
        ("id,x;y\n1,2;3\n", "votes.csv: columns may be separated by ',' or ';': save the table"),
        (b"PAR1 and nothing more", "votes.csv: not a table: "),
        (b"id,a\n1,2\n" + b'"' + b"x" * 3_000_000 + b"\n", 'votes.csv line 3: a quote (")'),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_name_and_line(content, message):
    assert message in refusal(csv(content))


def test_a_row_broken_far_down_is_found_by_its_line():
    assert refusal(csv("id,a\n" + "1,2\n" * 200_000 + "3\n")).startswith(
        "votes.csv line 200002 has 1 cell and the header 2: correct it ("
    )


def test_an_empty_parquet_table_or_one_with_a_column_twice_is_refused():
    assert (
        refusal(parquet(id=pa.array([], pa.string())))
        == "votes.parquet is empty: it has a header but no rows"
    )
    buffer = io.BytesIO()
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), buffer)
    assert refusal(Table("votes.parquet", buffer.getvalue())).startswith(
        "votes.parquet: the column 'a' is there 2 times"
    )


@given(st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_a_parquet_table_with_a_flipped_bit_is_read_or_refused_but_never_anything_else(
    position, bit
):
    table = parquet(id=["a", "b", "c"], x=[1.0, 2.0, 3.0])
    damaged = bytearray(table.data)
    damaged[position % len(damaged)] ^= 1 << bit
    with suppress(DataError):
        Table("votes.parquet", bytes(damaged)).read()


def test_a_truncated_parquet_table_is_refused():
    table = parquet(id=list(range(1000)))
    for end in (5, len(table.data) // 2, len(table.data) - 1):
        assert refusal(Table("votes.parquet", table.data[:end])).startswith(
            "votes.parquet: not a table: "
        )


def test_line_numbers_count_blank_lines_and_line_breaks_in_quotes():
    table = csv('id,a\n1,"x\ny"\n\n\n2,z\n')
    assert [table.at(0), table.at(1)] == ["votes.csv line 2", "votes.csv line 6"]


def test_parquet_has_rows_and_no_lines():
    assert parquet(id=["a", "b"]).at(1) == "votes.parquet row 2"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_ending_and_a_byte_order_mark_are_read(end):
    table = csv("\ufeff" + end.join(["id,a", "001,0.5", "002,0.25", ""]))
    assert table.header() == ["id", "a"]
    assert table.read().column("a").to_pylist() == [0.5, 0.25]
    assert table.at(1) == "votes.csv line 3"


def test_ids_are_text_as_they_are_written():
    texts = [
        "007",
        "1e5",
        "587722981742084144",
        "18446744073709551617",
        "NA",
        "true",
        "2020-01-01",
        "",
    ]
    assert csv("id,a\n" + "".join(f"{each},1\n" for each in texts)).texts("id") == texts


def test_ids_that_pandas_made_into_floats_are_whole_numbers_again():
    assert parquet(id=[100008.0, None, float("nan"), 0.5]).texts("id") == ["100008", "", "", "0.5"]


@pytest.mark.parametrize("values", [[[1], [2]], [{"a": 1}, {"a": 2}]])
def test_a_column_of_several_values_a_row_is_none_of_texts(values):
    with pytest.raises(DataError, match="parquet: the column 'id' holds several values a row: sav"):
        parquet(id=values).texts("id")
    (words,) = parquet(id=values).text_columns(["id"])
    assert (words.texts.to_pylist(), "several values a row" in words.unfit) == (["", ""], True)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=5),
        min_size=1,
        max_size=70,
    )
)
@settings(max_examples=50, deadline=None)
def test_every_text_comes_back_from_parquet_and_in_the_order_of_the_columns(texts):
    columns = {f"c{n}": [text] for n, text in enumerate(texts)}
    table = parquet(**columns)
    words = table.text_columns(list(columns))
    assert [column.texts.to_pylist() for column in words] == list(columns.values())


def test_an_unreadable_byte_in_a_column_nobody_needs_does_not_matter():
    table = csv("id,a,name\n1,0.5,Ångström\n".encode("latin-1"))
    assert table.read().column("a").to_pylist() == [0.5]
    assert re.match("votes.csv line 2", table.at(0))


def test_a_name_may_hold_the_sign_for_an_unreadable_letter():
    assert Table("votes.csv", "id,\ufffd\n1,2\n".encode()).header() == ["id", "\ufffd"]


@pytest.mark.parametrize(
    "table",
    [
        parquet(id=[1.0, 5.87722984439545906e17]),
        parquet(id=pa.array([1.0, 2.0**24], pa.float32())),
    ],
)
def test_ids_that_floats_have_cut_short_are_refused_by_row(table):
    with pytest.raises(DataError, match=r"(row 2|line 3): id is .* have lost their last digits"):
        table.texts("id")


def test_texts_of_floats_that_were_cut_short_are_no_ids():
    table = csv("id,a\n1.0,1\n5.877229844395459e+17,1\n")
    assert (
        "votes.csv line 3: id is 5.877229844395459e+17, a float"
        in next(table.text_columns(["id"])).unfit
    )


def test_long_whole_numbers_in_a_column_of_ones_own_keep_their_digits():
    table = csv("id,a,b\n18446744073709551617,1e300,x\n5,2,y\n").read()
    assert table.column("id").to_pylist() == ["18446744073709551617", "5"]
    assert table.column("a").to_pylist() == [1e300, 2]


def not_utf8() -> pa.Array:
    letters = pa.array([b"Sb", b"S\xe9"], pa.binary())
    return pa.Array.from_buffers(pa.string(), 2, letters.buffers())


def test_a_column_that_is_not_utf8_is_refused_by_row_if_it_is_needed_and_kept_as_bytes_if_not():
    table = parquet(id=["1", "2"], type=not_utf8())
    with pytest.raises(
        DataError, match=r"votes.parquet row 2: type is b'S\\xe9', which is not UTF"
    ):
        table.text("type")
    assert table.read().column("type").to_pylist() == [b"Sb", b"S\xe9"]
    assert [words.unfit != "" for words in table.text_columns(["id", "type"])] == [False, True]
    cyrillic = csv("id,type\n1,Sb\n2,спираль\n".encode("cp1251"))
    with pytest.raises(DataError, match=r"votes.csv line 3: type is b'.*', which is not UTF-8"):
        cyrillic.text("type")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig", "utf-16-be"])
def test_a_text_in_another_encoding_is_read(encoding):
    table = csv("id,type\n1,Sérsic\n".encode(encoding))
    assert (table.header(), table.texts("type")) == (["id", "type"], ["Sérsic"])
