import json

import pytest
from astropy.io.votable.ucd import check_ucd

from galaxyvotes.answer_columns import answer_names, identifiers, table_schema
from galaxyvotes.table_formats.columns import fact, meta_of
from galaxyvotes.tree import DecisionTree, bundled_trees


def test_identifiers_have_letters_digits_and_underlines_and_differ_whatever_their_case():
    assert identifiers(["Class1.1", "edge-on", "a b", "4ever", "a-b", "A_B", "é", ""]) == (
        "Class1_1", "edge_on", "a_b", "c_4ever", "a_b_2", "A_B_3", "column", "column_2",
    )  # fmt: skip


@pytest.mark.parametrize("name", bundled_trees())
def test_all_names_of_a_bundled_tree_differ(name):
    tree = DecisionTree.load(name)
    for naming in ("tree", "identifier", "galaxyzoo"):
        names = answer_names(tree.columns, naming, tree)
        assert len({each.lower() for each in names}) == len(tree.columns)
    assert all(each.isidentifier() for each in answer_names(tree.columns, "identifier"))


def test_galaxy_zoos_names_are_those_of_its_catalogues():
    decals, kaggle, gz2 = map(DecisionTree.load, ("decals", "kaggle", "gz2"))
    assert answer_names(decals.columns[:2], "galaxyzoo", decals) == (
        "smooth-or-featured_smooth_fraction",
        "smooth-or-featured_featured-or-disk_fraction",
    )
    assert answer_names(gz2.columns[:1], "galaxyzoo", gz2) == (
        "t01_smooth_or_features_a01_smooth_fraction",
    )
    assert answer_names(("Class2.2", "Class11.6"), "galaxyzoo", kaggle) == (
        "Q2_not-edge-on_fraction",
        "Q11_cant-tell_fraction",
    )


def test_columns_stand_in_order_with_descriptions_and_words_of_the_ivoas_list(kaggle):
    names = answer_names(kaggle.columns, "identifier", kaggle)
    schema = table_schema(
        kaggle.columns, names=names, tree=kaggle, bounds=True, familiarity=True, meta={"a": 1}
    )
    lows, highs = ([name + end for name in names] for end in ("_low", "_high"))
    assert schema.names == ["id", *names, *lows, *highs, "familiarity"]
    assert fact(schema.field("Class3_1"), "description") == (
        "Is there a sign of a bar feature through the centre of the galaxy? bar"
    )
    low = fact(schema.field("Class3_1_low"), "description")
    assert low.startswith("lower end of the prediction interval: Is there a sign of a bar")
    for field in schema:
        assert fact(field, "description")
        assert check_ucd(fact(field, "ucd"), check_controlled_vocabulary=True)
    assert meta_of(schema) == {"a": 1, "answers": json.dumps(kaggle.columns)}


def test_quantities_are_parameters_and_no_probabilities():
    tree = DecisionTree.of_numbers(["T"])
    field = table_schema(tree.columns, tree=tree).field("T")
    assert (fact(field, "description"), fact(field, "ucd")) == ("T", "src.morph")
