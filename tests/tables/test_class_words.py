import pyarrow as pa
import pytest

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.class_words import ClassWords
from galaxyvotes.tree import DecisionTree

BAR = DecisionTree.of_classes(["none", "weak", "strong"], "bar")


def column(*words: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(words, pa.large_string())])


def words(tree: DecisionTree | None = None, **labels) -> ClassWords:
    return ClassWords.of(LabelSettings(**labels), tree)


def test_spaces_and_words_for_nothing_make_no_classes():
    read = words().read(column("spiral ", "NaN", " spiral", "NULL", "", "-", "1.0", "01"))
    assert read.to_pylist() == ["spiral", "", "spiral", "", "", "", "1", "01"]


def test_words_read_as_unknown_are_counted_but_for_empty_cells():
    assert words().unknown(column("a", "NaN", "NULL", "NaN", " ", "")) == {"NaN": 2, "NULL": 1}


def test_an_answer_of_the_tree_is_a_class_whatever_else_it_may_mean():
    assert words(BAR).read(column("none", "None", "weak")).to_pylist() == ["none", "", "weak"]


def test_classes_have_the_names_that_are_given_to_them():
    names = words(class_names={"0": "no", "1": "ring", "None": "no bar"})
    assert names.read(column("0", "1.0", "None", "NULL", "2")).to_pylist() == [
        "no", "ring", "no bar", "", "2"
    ]  # fmt: skip


@pytest.mark.parametrize("missing", [-1, "-1", (-1.0, 9), ("-1", "9")])
def test_values_that_mean_unknown_are_no_classes(missing):
    read = words(missing=missing).read(column("-1", "-1.0", "0", "1"))
    assert read.to_pylist() == ["", "", "0", "1"]


def test_accents_written_in_two_ways_and_what_nobody_sees_make_no_other_class():
    written = column("re\u0301gulie\u0300re", "réguli\u200bère", "\u00a0régulière", "missing", "??")
    assert words().classes(written, "t") == {"régulière"}
    assert words().read(written).to_pylist() == ["régulière"] * 3 + ["", ""]


def test_a_name_for_a_word_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="t has no '2', which class names name; it has 0, 1"):
        words(class_names={"2": "both"}).classes(column("0", "1"), "t")


def test_classes_that_differ_by_case_only_are_refused_unless_they_are_named():
    with pytest.raises(DataError, match=r"'Spiral' and 'spiral', which differ only by case"):
        words().classes(column("Spiral", "spiral", "E"), "t")
    one = words(class_names={"Spiral": "spiral"})
    assert one.classes(column("Spiral", "spiral", "E"), "t") == {"spiral", "E"}
    both = words(class_names={"S": "lenticular", "s": "spiral"})
    assert both.classes(column("S", "s"), "t") == {"lenticular", "spiral"}
