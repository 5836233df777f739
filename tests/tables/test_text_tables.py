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


def test_dos_may_end_a_text_with_ctrl_z():
    assert rows("id,x\r\n1,2\r\n\x1a") == (["id", "x"], [("1", "2")])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,type\n1,S\0b\n", "line 2 holds a zero byte, which no text does"),
        ("id,x\n" + "1,2\n" * 99 + "\0" * 500, "line 101 holds a zero byte"),
        ("\0" * 5000, "line 1 holds a zero byte"),
        ("Table 1, of many\nid;x;y\n1;2;3\n", "line 1 has 1 cell and the lines below 3: begin"),
        ("Table 1\nid,x\n1,2\n3,4\n", "line 1 has 1 cell and the lines below 2: begin the table"),
        ("# a\nid,x\n1,2\nid,x\n3,4\n", "line 4 is the header once more: leave out that line"),
        ("id\tx\r\n1\t2\r\nid\tx", "line 3 is the header once more"),
        ("x" * 200_000 + ",y\n1,2\n", "the name of a column has more than 131,072 letters"),
        ("," * 100_001 + "\n", "has 100,002 columns, and at most 100,000 are read"),
    ],
)
def test_a_text_that_is_not_the_table_it_was_is_refused_by_line(text, problem):
    with pytest.raises(DataError, match=f"^t.txt:? {problem}"):
        rows(text)


def test_a_row_may_be_longer_than_what_is_parsed_at_a_time():
    long = "x" * 3_000_000
    assert rows(f"id,note\n1,a\n2,{long}\n3,b\n")[1][1] == ("2", long)


def test_a_column_of_one_value_may_have_it_like_its_name():
    assert rows("id\n1\nid\n")[1] == [("1",), ("id",)]
