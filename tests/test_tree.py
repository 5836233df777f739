import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import CLASSES, FRACTIONS
from galaxyvotes.questions import FRACTION_COLUMNS
from galaxyvotes.tree import Answer, DecisionTree, Question, VoteColumns, bundled_trees

TREES = [
    "candels",
    "classes5",
    "cosmic_dawn",
    "decals",
    "decals12",
    "euclid",
    "gz2",
    "hubble",
    "jwst",
    "kaggle",
    "ukidss",
]

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@st.composite
def trees(draw) -> DecisionTree:
    """Any tree: questions of two to four answers, asked of everybody or of an answer of an earlier
    question."""
    names = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    sizes = [draw(st.integers(2, 4)) for _ in names]
    columns = iter(draw(st.lists(words, min_size=sum(sizes), max_size=sum(sizes), unique=True)))
    questions: list[Question] = []
    for name, size in zip(names, sizes, strict=True):
        earlier = [answer.column for question in questions for answer in question.answers]
        asked_of = draw(st.none() | st.sampled_from(earlier)) if earlier else None
        following = st.none() | st.sampled_from(names)
        answers = tuple(Answer(next(columns), draw(words), draw(following)) for _ in range(size))
        questions.append(Question(name, draw(words), answers, asked_of))
    order = draw(st.permutations(questions))
    tables = (
        VoteColumns("fraction", "{answer}", "joint"),
        VoteColumns("votes", "{answer}_n", "votes", draw(st.booleans())),
    )
    return DecisionTree("any", draw(words), tuple(order), tables)


def conditional_of(
    tree: DecisionTree, galaxies: int, seed: int, *, zeros: bool = False
) -> np.ndarray:
    """Conditional fractions, a few of them 0 and 1 if asked."""
    random = np.random.default_rng(seed)
    blocks = [
        random.dirichlet(np.full(len(q.answers), 0.1 if zeros else 1.0), galaxies)
        for q in tree.questions
    ]
    values = np.concatenate(blocks, axis=1)
    if zeros:
        values[::2] = np.concatenate(
            [
                np.eye(len(q.answers))[random.integers(len(q.answers), size=len(values[::2]))]
                for q in tree.questions
            ],
            axis=1,
        )
    return values


@given(trees(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_conditional_fractions_come_back_from_joint_ones(tree, seed):
    conditional = conditional_of(tree, 5, seed)
    joint = tree.joint(conditional)
    back = tree.conditional(joint)
    reached = np.repeat(tree.asked(joint) > 0, [len(q.answers) for q in tree.questions], axis=1)
    np.testing.assert_allclose(back[reached], conditional[reached], rtol=1e-9, atol=1e-12)


@given(trees(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_joint_fractions_come_back_from_conditional_ones_even_where_nobody_was_asked(tree, seed):
    joint = tree.joint(conditional_of(tree, 6, seed, zeros=True))
    np.testing.assert_allclose(tree.joint(tree.conditional(joint)), joint, rtol=1e-9, atol=1e-300)


@given(trees(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_joint_fractions_of_a_question_add_up_to_the_answer_it_is_asked_of(tree, seed):
    joint = tree.joint(conditional_of(tree, 4, seed))
    asked = tree.asked(joint)
    for index, (_, where) in enumerate(tree):
        np.testing.assert_allclose(
            joint[:, where].sum(axis=1), asked[:, index], rtol=1e-9, atol=1e-12
        )


@given(trees())
@settings(max_examples=60, deadline=None)
def test_every_tree_comes_back_equal_from_its_file(tree):
    assert DecisionTree.from_toml(tree.to_toml()) == tree


def test_units_come_back_from_a_file_and_are_of_quantities_only(kaggle):
    tree = dataclasses.replace(DecisionTree.of_numbers(["size", "n"]), units={"size": "arcsec"})
    back = DecisionTree.from_toml(tree.to_toml())
    assert (back, back.units) == (tree, {"size": "arcsec"})
    assert "unit" not in kaggle.to_toml()
    with pytest.raises(ConfigError, match=r"has a unit for 'Class1\.1', which is no quantity"):
        dataclasses.replace(kaggle, units={"Class1.1": "%"})


def test_units_differ_where_both_are_known():
    tree = dataclasses.replace(DecisionTree.of_numbers(["size", "n"]), units={"size": "arcsec"})
    assert tree.unlike_unit({}) == tree.unlike_unit({"size": "arcsec", "n": "ct"}) == ""
    assert (
        tree.unlike_unit({"size": "kpc"})
        == "size is in arcsec for the one and in kpc for the other"
    )


@pytest.mark.parametrize("name", TREES)
def test_every_tree_that_ships_comes_back_equal_from_its_file_source_and_all(name):
    tree = DecisionTree.load(name)
    back = DecisionTree.from_toml(tree.to_toml())
    assert (back, back.source) == (tree, tree.source)
    assert tree.name == name
    assert tree.source


def test_exactly_these_trees_ship():
    assert bundled_trees() == tuple(TREES)


def test_shapes_in_annotations_are_checked_in_this_test_run(kaggle):
    with pytest.raises(TypeError, match="asked"):
        kaggle.asked(np.zeros(37))


def test_conditional_fractions_of_some_answers_are_those_of_the_whole_tree(kaggle, make_fractions):
    joint = make_fractions(kaggle, 20)
    whole = kaggle.conditional(joint)
    columns = ("Class2.1", "Class1.2", "Class6.1")  # edge-on: yes; a disc; anything odd
    places = [kaggle.columns.index(name) for name in columns]
    np.testing.assert_array_equal(kaggle.conditional(joint[:, places], columns), whole[:, places])
    assert kaggle.parents_of(columns) == ("Class1.2", "", "")


def test_answers_without_their_parent_have_no_conditional_fractions(kaggle):
    columns = ("Class3.1", "Class1.2")
    assert kaggle.orphans(columns) == ("Class3.1",)
    assert kaggle.parents_of(columns) == ("", "")
    with pytest.raises(ConfigError, match=r"fraction of Class3\.1 needs that of Class2\.2: add"):
        kaggle.conditional(np.zeros((1, 2)), columns)


def test_values_that_a_tree_does_not_have_are_refused(kaggle):
    ttype = DecisionTree.of_numbers(["ttype"])
    with pytest.raises(ConfigError, match="'ttype' asks for quantities, which have no joint frac"):
        ttype.check_values("joint", ["ttype"])
    with pytest.raises(ConfigError, match="tree 'kaggle' asks for fractions, not for quantities"):
        kaggle.check_values("quantity", kaggle.columns)
    with pytest.raises(ConfigError, match="tree 'kaggle' has no answer 'bar'; its answers are"):
        kaggle.check_values("joint", ["bar"])


def test_the_challenges_tree_has_its_eleven_questions_thirty_seven_columns_and_who_asks_whom(
    kaggle,
):
    assert [q.name for q in kaggle.questions] == [f"Q{n}" for n in range(1, 12)]
    sizes = [3, 2, 2, 2, 4, 2, 3, 7, 3, 3, 6]
    assert [len(q.answers) for q in kaggle.questions] == sizes
    assert list(kaggle.columns) == [
        f"Class{q}.{a}" for q, size in enumerate(sizes, 1) for a in range(1, size + 1)
    ]
    asked_of = {q.name: q.asked_of for q in kaggle.questions if q.asked_of}
    assert asked_of == {
        "Q2": "Class1.2",
        "Q3": "Class2.2",
        "Q4": "Class2.2",
        "Q5": "Class2.2",
        "Q7": "Class1.1",
        "Q8": "Class6.1",
        "Q9": "Class2.1",
        "Q10": "Class4.1",
        "Q11": "Class4.1",
    }


def test_galaxy_zoo_2_is_the_same_flowchart_with_other_column_names(kaggle):
    gz2 = DecisionTree.load("gz2")
    for ours, theirs in zip(kaggle.questions, gz2.questions, strict=True):
        assert [a.next for a in ours.answers] == [a.next for a in theirs.answers]
        assert len(ours.answers) == len(theirs.answers)


@pytest.mark.parametrize("name", TREES)
def test_every_question_but_the_first_is_reached_and_follows_the_answer_it_is_asked_of(name):
    tree = DecisionTree.load(name)
    following = {answer.next for answer in tree.answers}
    assert {question.name for question in tree.questions[1:]} <= following
    for question in tree.questions:
        assert question.asked_of in (None, *tree.columns)


@pytest.mark.parametrize("name", TREES)
def test_drawing_names_every_question_and_answer_once(name):
    tree = DecisionTree.load(name)
    lines = [line.split()[0] for line in tree.draw().splitlines()[1:]]
    assert sorted(lines) == sorted([*(q.name for q in tree.questions), *tree.columns])


def test_a_plain_classification_is_a_tree_of_one_question_in_alphabetical_order():
    tree = DecisionTree.of_classes(["ring", "no ring", "ring"], name="has_ring")
    assert tree.columns == ("no ring", "ring")
    assert tree.tables[0] == VoteColumns("class", "has_ring", "class")
    assert DecisionTree.from_toml(tree.to_toml()) == tree


def test_a_tree_of_one_question_is_of_classes_if_its_tables_may_hold_a_class(kaggle):
    tree = DecisionTree.of_classes(["ring", "no ring"])
    assert tree.kind is CLASSES
    assert DecisionTree.load("classes5").kind is CLASSES
    assert dataclasses.replace(tree, tables=FRACTION_COLUMNS).kind is FRACTIONS
    assert kaggle.kind is FRACTIONS
    assert tree.kind_of(tree.columns) is CLASSES
    assert tree.kind_of(["ring"]) is FRACTIONS


def test_a_tree_is_loaded_from_a_file_of_ones_own(tmp_path, kaggle):
    (tmp_path / "mine.toml").write_text(dataclasses.replace(kaggle, name="mine").to_toml(), "utf-8")
    assert DecisionTree.load(str(tmp_path / "mine.toml")).columns == kaggle.columns


def test_an_unknown_tree_is_refused_with_the_names_of_those_that_ship(tmp_path):
    with pytest.raises(
        ConfigError, match=f"no tree 'kagle': give one of {', '.join(TREES)}, or a .toml file"
    ):
        DecisionTree.load("kagle")
    with pytest.raises(ConfigError, match=r"no tree file .*missing.toml"):
        DecisionTree.load(tmp_path / "missing.toml")


def test_a_tree_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "photo.toml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(
        Exception, match=re.escape(f"{tmp_path / 'photo.toml'} cannot be read as UTF-8 text")
    ):
        DecisionTree.load(tmp_path / "photo.toml")
