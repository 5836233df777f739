from dataclasses import replace

import pytest

from galaxyvotes import kinds
from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.questions import FRACTION_COLUMNS
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_table import class_layout, explain_no_votes, find_vote_table
from galaxyvotes.tree import DecisionTree

CLASSES = Table("a/classes.csv", b"id,class\n1,spiral\n2,edge-on\n3,\n")
OTHERS = Table("others.csv", b"id,shape,magnitude\n1,round,17.5\n2,long,16\n")
NUMBERS = DecisionTree.of_numbers(["magnitude"])


def test_the_table_whose_header_fits_a_tree_is_found_among_others():
    table, layout = find_vote_table([OTHERS, CLASSES], LabelSettings(), None) or (None, None)
    assert table is CLASSES
    assert layout is not None
    assert (layout.tree.name, layout.main.holds) == ("classes5", "class")


def test_without_a_setting_a_table_that_fits_no_tree_is_no_error():
    assert find_vote_table([OTHERS], LabelSettings(), None) is None
    assert find_vote_table([], LabelSettings(), None) is None


@pytest.mark.parametrize("name", ["a/classes.csv", "classes.csv", "elsewhere/classes.csv"])
def test_a_table_is_named_by_its_path_or_by_its_file(name):
    found = find_vote_table([OTHERS, CLASSES], LabelSettings(table=name), None)
    assert found is not None
    assert found[0] is CLASSES


def test_a_table_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigError, match=r"no table 'x\.csv' .* there are others\.csv, a/class"):
        find_vote_table([OTHERS, CLASSES], LabelSettings(table="x.csv"), None)


def test_two_tables_that_hold_votes_are_refused_by_name():
    twice = Table("b.csv", CLASSES.data)
    with pytest.raises(ConfigError, match=r"several tables hold votes: .* a/classes\.csv, b\.csv"):
        find_vote_table([CLASSES, twice], LabelSettings(), None)


def test_a_tree_of_ones_own_is_of_classes_once_a_column_of_classes_is_read_with_it():
    shapes = DecisionTree.of_classes(["long", "round"], "shape")
    tree = replace(shapes, tables=FRACTION_COLUMNS)
    assert tree.kind is kinds.FRACTIONS
    layout = class_layout({"long"}, "shape", tree, "here")
    assert layout.tree.kind is kinds.CLASSES
    assert layout.tree.questions == tree.questions


def test_a_column_of_classes_makes_a_tree_of_one_question():
    found = find_vote_table([OTHERS, CLASSES], LabelSettings(classes="shape"), None)
    assert found is not None
    assert found[0] is OTHERS
    assert found[1].tree.columns == ("long", "round")


@pytest.mark.parametrize(
    ("labels", "tree", "reason"),
    [
        (LabelSettings(classes="size"), None, "no table has the column 'size': others.csv has id,"),
        (LabelSettings(votes="weighted"), None, "holds votes of kind 'weighted'"),
        (LabelSettings(table="others.csv"), None, "no table holds votes that a known tree"),
        (LabelSettings(), DecisionTree.of_numbers(["mass"]), "no table has the column 'mass'"),
    ],
)
def test_what_is_asked_for_and_not_there_is_refused(labels, tree, reason):
    with pytest.raises(DataError, match=reason):
        find_vote_table([OTHERS], labels, tree)


def test_a_column_of_numbers_that_is_there_is_found():
    found = find_vote_table([CLASSES, OTHERS], LabelSettings(), NUMBERS)
    assert found is not None
    assert found[0] is OTHERS


def test_classes_are_read_with_a_tree_of_one_question_only(kaggle):
    with pytest.raises(ConfigError, match="has 11 questions"):
        class_layout({"a", "b"}, "class", kaggle, "t.csv: the column 'class'")


@pytest.mark.parametrize("count", [0, 1, 101])
def test_one_class_or_very_many_are_no_classification(count):
    with pytest.raises(DataError, match=rf"has {count} different values?; classes are 2 to 100"):
        class_layout({str(n) for n in range(count)}, "class", None, "t.csv: the column 'class'")


def test_without_any_table_the_error_says_what_to_add():
    assert "add one (CSV or other text, Parquet, FITS, VOTable)" in explain_no_votes(
        [], LabelSettings(), None
    )


@pytest.mark.parametrize("labels", [LabelSettings(), LabelSettings(classes="class")])
def test_a_table_without_a_header_is_said_to_lack_one(labels):
    table = Table("t.csv", b"101,0.5,1e-3,spiral\n102,0.25,2e-3,edge-on\n")
    message = explain_no_votes([table], labels, None)
    assert "Its first line holds numbers: begin the table with the names of its columns" in message
    assert "Its first line" not in explain_no_votes([OTHERS], labels, None)
