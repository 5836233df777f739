import pytest

from galaxyvotes.tables.lines import split_lines, without_comments


def test_lines_end_where_csv_ends_them():
    assert split_lines("a\nb\r\nc\rd") == ["a", "b", "c", "d"]
    assert split_lines("a\n\n") == ["a", ""]
    assert split_lines("a\x0b\x0c\x1c\x85\u2028\u2029b\n") == ["a\x0b\x0c\x1c\x85\u2028\u2029b"]


@pytest.mark.parametrize("comment", ["# checked, until here", "#", "#---", "##", "  # x", "#\tx"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comments_between_rows_become_empty_lines(comment, end):
    lines = ["id,n", "1,2", comment, "3,4"]
    expected = ["id,n", "1,2", "", "3,4"]
    assert without_comments(end.join(lines).encode()) == (end.join(expected).encode(), 0)


def test_what_only_looks_like_a_comment_stays():
    rows = b'id,n\n#104,2\n"one\n# two",3\n5,# no\n'
    assert without_comments(rows) == (rows, 0)


@pytest.mark.parametrize("line", ["sep=,\n", "SEP=;\r\n", '"sep=\t"\n'])
def test_the_line_that_names_the_sign_to_excel_is_no_header(line):
    assert without_comments(line.encode() + b"id,n\n1,2\n") == (b"id,n\n1,2\n", 1)


def test_comments_and_blank_lines_before_the_header_are_counted():
    assert without_comments(b"# a\n# b\n\n \r\nid,n\n1,2\n") == (b"id,n\n1,2\n", 4)
