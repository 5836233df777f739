import pytest

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.largest import columns_of_answers, largest_layout
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_layout import VoteLayout
from galaxyvotes.tables.vote_table import explain_no_votes, find_vote_table
from galaxyvotes.tables.votes import read_votes
from galaxyvotes.tree import DecisionTree

LARGEST = LabelSettings(largest="biggest")


def table_of(*words: str) -> Table:
    lines = "".join(f"{row},{word}\n" for row, word in enumerate(words))
    return Table("weak.csv", f"id,biggest\n{lines}".encode())


def layout_of(table: Table, tree: DecisionTree | None = None) -> VoteLayout:
    layout = largest_layout(table, LARGEST, tree)
    assert layout is not None
    return layout


def test_the_tree_is_the_one_whose_answers_the_words_are(kaggle):
    layout = layout_of(table_of("Class1.1", "Class6.2", ""))
    assert layout.tree == kaggle
    assert layout.column_names == {"biggest"}
    assert largest_layout(Table("x.csv", b"id,class\n1,a\n"), LARGEST, None) is None


def test_the_answers_are_read_and_their_fractions_are_unknown(kaggle):
    table = table_of("Class6.2", "", "Class1.1")
    data = table.read().set_column(1, "biggest", table.text("biggest"))
    votes = read_votes(data, layout_of(table), at=str)
    assert votes.largest is not None
    expected = [kaggle.columns.index("Class6.2"), -1, 0]
    assert votes.largest.tolist() == expected
    assert votes.labelled.tolist() == [True, False, True]
    assert (votes.values != votes.values).all()
    assert votes.counts is None


def test_a_word_that_is_no_answer_is_refused_with_its_row_and_the_nearest(kaggle):
    table = table_of("Class1.1", "Clas1.2")
    with pytest.raises(DataError) as error:
        read_votes(table.read(), layout_of(table), at=table.at)
    assert str(error.value) == (
        "weak.csv line 3: biggest is 'Clas1.2'; did you mean 'Class1.2'? It must name an answer of"
        " the tree 'kaggle'"
    )


def test_words_of_no_tree_or_of_several_are_refused():
    with pytest.raises(DataError, match=r"names no answer of the trees .*: it has 'round'"):
        layout_of(table_of("round", "round"))
    with pytest.raises(ConfigError, match=r"'decals', .* and 'ukidss': say which"):
        layout_of(table_of("smooth-or-featured_smooth"))
    decals = DecisionTree.load("decals")
    assert layout_of(table_of("smooth-or-featured_smooth"), decals).tree == decals


def test_classes_have_no_largest_fraction():
    with pytest.raises(ConfigError, match=r"LabelSettings\(classes='biggest'\)"):
        layout_of(table_of("spiral"), DecisionTree.load("classes5"))
    with pytest.raises(ConfigError, match="leave out votes and classes"):
        LabelSettings(largest="biggest", classes="class")
    with pytest.raises(ConfigError, match="leave out tree, votes, classes and largest"):
        LabelSettings(largest="biggest", quantity="t")


def test_without_the_option_the_refusal_names_it(kaggle):
    table = table_of("Class1.1", "Class6.2")
    assert [*columns_of_answers(table)] == [("biggest", "kaggle")]
    assert find_vote_table([table], LabelSettings(), None) is None
    hint = "`labels=LabelSettings(largest='biggest')`"
    assert hint in explain_no_votes([table], LabelSettings(), None)
    with pytest.raises(ConfigError) as error:
        find_vote_table([table], LabelSettings(classes="biggest"), kaggle)
    assert hint in str(error.value)
    with pytest.raises(DataError, match="no table has the column 'other'"):
        find_vote_table([table], LabelSettings(largest="other"), None)


def test_an_error_calls_the_words_answers():
    with pytest.raises(DataError, match=r"has the answers 'Class1\.1' and 'class1\.1', which"):
        layout_of(table_of("Class1.1", "class1.1"))
