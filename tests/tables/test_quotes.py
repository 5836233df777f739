import pytest

from galaxyvotes.errors import DataError
from galaxyvotes.tables.table import Table

ROWS = ["id,kind,note", *(f"{number},spiral,5 arcmin" for number in range(101, 121))]


def table(**changed: str) -> Table:
    """A table some rows of which are others; `_104` is the row of id 104."""
    lines = [changed.get(f"_{line[:3]}", line) for line in ROWS]
    return Table("t.csv", "\n".join(lines).encode())


@pytest.mark.parametrize(
    "rows",
    [
        {"_104": '104,spiral,"5 arcmin'},
        {"_104": '"104,spiral,5 arcmin'},
        {"_104": '104,"spiral,5 arcmin'},
        {"_104": '104,"spiral,5 arcmin', "_109": '109,"spiral,5 arcmin'},
        {"_104": '104,spiral,"5 arcmin', "_109": '109,spiral,5"'},
        {"_104": '"104,spiral,5 arcmin', "_105": '"105,spiral,5 arcmin'},
    ],
)
def test_a_quote_that_joins_rows_is_refused_by_its_line(rows):
    with pytest.raises(DataError, match=r"^t\.csv line 5: a quote .* is opened here .*: close it"):
        table(**rows).read()


def test_a_quote_that_is_never_closed_in_a_large_table_is_refused():
    rows = "id,note\n" + "".join(f"{n},{n}\n" for n in range(100)) + '"' + "1,2\n" * 200_000
    with pytest.raises(DataError, match=r"^t\.csv line 102: a quote"):
        Table("t.csv", rows.encode()).read()


def test_a_quote_within_a_cell_is_a_letter():
    assert table(_104='104,spiral,5" wide').texts("note")[3] == '5" wide'
    assert table(_104='104,spiral,"5"" wide"').texts("note")[3] == '5" wide'


def test_a_cell_in_quotes_may_go_on_over_lines_wherever_it_stands():
    notes = [f"two\nlines, and {number}" for number in range(100_000)]  # of more than one block
    text = "id,note,n\n" + "".join(f'{n},"{note}",{n}\n' for n, note in enumerate(notes))
    table = Table("t.csv", text.encode())
    assert table.texts("note") == notes
    assert table.read().column("n").to_pylist() == list(range(100_000))
    assert table.at(2) == "t.csv line 6"
