import gzip
import tracemalloc

import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.tables.table import Table

CSV = "id,name,x,n\n007,NGC 1,0.5,3\n008,M 31,-1.25,4\n"
ROWS = [("007", "NGC 1", "0.5", "3"), ("008", "M 31", "-1.25", "4")]


def rows(text: str | bytes) -> tuple[list[str], list[tuple[str, ...]]]:
    table = Table("t.txt", text if isinstance(text, bytes) else text.encode())
    columns = [table.texts(name) for name in table.header()]
    return table.header(), list(zip(*columns, strict=True))


@pytest.mark.parametrize("sign", list(",;\t|"))
def test_columns_may_be_divided_by_any_usual_sign(sign):
    assert rows(CSV.replace(",", sign)) == (["id", "name", "x", "n"], ROWS)


@pytest.mark.parametrize("sign", list(",;\t|"))
def test_what_is_in_quotes_divides_nothing(sign):
    text = CSV.replace(",", sign).replace("NGC 1", '"a;b,c\td|e"')
    assert rows(text)[1][0] == ("007", "a;b,c\td|e", "0.5", "3")


@pytest.mark.parametrize(
    "text",
    [
        "id  name    x     n\n007 'x'   0.5   3\n008 M31  -1.25  4\n",
        "   id name x n\n  007 'x' 0.5 3  \n\n008    M31  -1.25     4",
        "id\tname x   n\n007 'x'\t0.5 3\n008 M31 -1.25 4\n",
        "# made by hand\n#\n# id name x n\n007 'x' 0.5 3\n008 M31 -1.25 4\n",
        "| id | name | x | n |\n|---|:--|--:|---|\n| 007 | 'x' | 0.5 | 3 |\n|008|M31|-1.25|4|\n",
        "+--+\n|id|name|x|n|\n+--+\n|007|'x'|0.5|3|\n|008|M31|-1.25|4|\n+--+\n",
    ],
)
def test_columns_may_be_divided_by_spaces_or_drawn_with_bars(text):
    expected = [("007", "'x'", "0.5", "3"), ("008", "M31", "-1.25", "4")]
    assert rows(text) == (["id", "name", "x", "n"], expected)


def test_columns_of_a_fixed_width_may_hold_spaces_and_gaps():
    text = (
        "id   name    x      n\n"
        "007  NGC 1   0.5    3\n"
        "008  M 31           4\n"
        "009         -1.25   5\n"
    )
    assert rows(text)[1] == [
        ("007", "NGC 1", "0.5", "3"), ("008", "M 31", "", "4"), ("009", "", "-1.25", "5")
    ]  # fmt: skip


def test_lines_of_words_that_fit_no_columns_are_refused_by_line():
    with pytest.raises(DataError, match=r"t.txt line 3 has 2 cells and the header 3"):
        rows("id name x\n1 a 0.5\n2 b\n33 ccc 0.75\n")


def test_a_semicolon_beside_decimal_commas_divides_the_columns():
    text = "id;x\n1;0,5\n2;0,25\n"
    assert rows(text) == (["id", "x"], [("1", "0,5"), ("2", "0,25")])


def test_comments_above_the_header_are_no_rows_and_lines_count_them():
    table = Table("t.csv", b"# a\n# b, c\nid,x\n1,2\n3,4\n")
    assert (table.header(), table.at(1)) == (["id", "x"], "t.csv line 5")
    commented = Table("t.csv", b"# a\n#id,x\n1,2\n3,4\n")
    assert (commented.header(), commented.at(1)) == (["id", "x"], "t.csv line 4")


def test_one_column_is_a_table():
    assert rows("path\na/1.jpg\nb c/2.jpg\n") == (["path"], [("a/1.jpg",), ("b c/2.jpg",)])


def test_a_gzip_that_unpacks_a_thousandfold_is_refused_before_it_takes_the_memory():
    bomb = Table("votes.csv.gz", gzip.compress(b"id,type\n" + bytes(2**26)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"votes\.csv\.gz: unpacks to .* over 1,000 times its size"):
        bomb.header()
    assert Table("votes.csv.gz", gzip.compress(b"id,type\n1,a\n")).header() == ["id", "type"]
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()


def test_gzip_makes_no_difference_and_damage_is_refused():
    packed = gzip.compress(CSV.encode())
    assert rows(packed) == rows(CSV)
    for damaged in (packed[:-9], packed[:20] + b"\0\0" + packed[22:]):
        with pytest.raises(DataError, match=r"^t.txt: (is damaged|not a table)"):
            rows(damaged)


@pytest.mark.parametrize("letter", list("\x0b\x0c\x1c\x85\u2028\u2029"))
@pytest.mark.parametrize("sign", [",", "\t", " "])
def test_only_line_feeds_and_carriage_returns_end_a_line(sign, letter):
    text = f"id{sign}name{sign}n\n007{sign}a{letter}b{sign}3\n008{sign}c{sign}4\n"
    assert rows(text) == (["id", "name", "n"], [("007", f"a{letter}b", "3"), ("008", "c", "4")])


def test_several_columns_without_a_name_are_called_by_their_number():
    assert rows("id,n,,\n1,2,,\n3,4,5,\n") == (
        ["id", "n", "column 3", "column 4"],
        [("1", "2", "", ""), ("3", "4", "5", "")],
    )
    assert rows("\n\n,id,\n0,1,\n")[1] == [("0", "1", "")]


@pytest.mark.parametrize("sign", [",", " "])
def test_comments_between_rows_are_no_rows_and_lines_keep_their_numbers(sign):
    text = f"id{sign}n\n1{sign}2\n# checked{sign} until{sign}here\n3{sign}4\n".encode()
    table = Table("t.txt", text)
    assert table.texts("n") == ["2", "4"]
    assert table.at(1) == "t.txt line 4"


def test_byte_order_marks_are_no_part_of_a_name_however_many_there_are():
    assert rows("\ufeff\ufeffid,n\n1,2\n") == (["id", "n"], [("1", "2")])


@pytest.mark.parametrize("text", ["id,n", "id,n\n", "id,n\n# nothing\n"])
def test_a_header_without_rows_is_refused_as_empty(text):
    with pytest.raises(DataError, match=r"^t\.csv is empty: it has a header but no rows"):
        Table("t.csv", text.encode()).texts("n")
