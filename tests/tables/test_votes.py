import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.vote_layout import closest_layout, find_layout
from galaxyvotes.tables.votes import Votes, read_votes
from galaxyvotes.tree import DecisionTree, Question, VoteColumns, bundled_trees


def at(row: int) -> str:
    return f"votes.csv line {row + 2}"


def table_of(names: list[str], values: np.ndarray) -> pa.Table:
    return pa.table(dict(zip(names, values.T, strict=True)))


def read(table: pa.Table, tree: DecisionTree, kind: str | None = None) -> Votes:
    layout = find_layout(table.column_names, tree=tree, kind=kind)
    assert layout is not None
    return read_votes(table, layout, at=at)


def refusal(values: np.ndarray | pa.Table, tree: DecisionTree, kind: str | None = None) -> str:
    table = values if isinstance(values, pa.Table) else table_of(list(tree.columns), values)
    with pytest.raises(DataError) as error:
        read(table, tree, kind)
    return str(error.value)


@pytest.fixture
def fractions(kaggle, make_fractions) -> np.ndarray:
    """Four galaxies in the challenge's form."""
    return make_fractions(kaggle, 4).astype(np.float64)


@pytest.fixture(scope="module")
def gz2() -> DecisionTree:
    return DecisionTree.load("gz2")


# Which columns are votes


def names_of(tree: DecisionTree, table: str) -> list[str]:
    columns = next(each for each in tree.tables if each.name == table)
    return ["id", *dict.fromkeys(columns.of(answer) for answer in tree.columns), "more"]


@pytest.mark.parametrize(
    ("tree", "table"),
    [
        ("kaggle", "fraction"),
        ("kaggle", "votes"),
        ("gz2", "weighted"),
        ("gz2", "debiased"),
        ("gz2", "votes"),
        ("decals", "votes"),
        ("decals", "fraction"),
        ("decals12", "votes"),
        ("classes5", "class"),
        ("classes5", "fraction"),
    ],
)
def test_the_header_alone_tells_the_tree_and_the_kind_of_columns(tree, table):
    layout = find_layout(names_of(DecisionTree.load(tree), table))
    assert layout is not None
    assert (layout.tree.name, layout.main.name) == (tree, table)


def test_the_order_of_the_columns_does_not_matter(kaggle):
    assert find_layout(names_of(kaggle, "fraction")[::-1]) == find_layout(
        names_of(kaggle, "fraction")
    )


def test_a_column_called_class_does_not_hide_a_whole_campaign(kaggle):
    layout = find_layout(["class", *kaggle.columns])
    assert layout is not None
    assert layout.tree == kaggle


def test_a_header_that_fits_two_campaigns_is_refused_until_one_is_named():
    both = sorted(
        {
            *names_of(DecisionTree.load("decals"), "fraction"),
            *names_of(DecisionTree.load("decals12"), "fraction"),
        }
    )
    with pytest.raises(
        ConfigError,
        match="fit the trees 'decals' and 'decals12': say which with `labels=LabelSettings",
    ):
        find_layout(both)
    layout = find_layout(both, tree=DecisionTree.load("decals12"))
    assert layout is not None
    assert layout.tree.name == "decals12"


def test_counts_beside_fractions_are_found_but_never_in_the_same_columns(kaggle):
    alone = find_layout(kaggle.columns)
    both = find_layout([*kaggle.columns, *(f"{answer}_votes" for answer in kaggle.columns)])
    asked = find_layout(kaggle.columns, kind="counts")
    assert alone is not None
    assert both is not None
    assert asked is not None
    assert (alone.main.name, alone.counts) == ("fraction", None)
    assert (both.main.name, both.counts) == (
        "fraction",
        VoteColumns("votes", "{answer}_votes", "votes"),
    )
    assert (asked.main.holds, asked.counts) == ("votes", None)


def test_a_missing_column_an_unknown_kind_or_another_tree_is_no_layout(kaggle):
    assert find_layout(kaggle.columns[:4]) is None
    assert find_layout(kaggle.columns, kind="debiased") is None
    assert find_layout(kaggle.columns, tree=DecisionTree.load("gz2")) is None


def test_the_nearest_columns_are_named_for_the_error(kaggle):
    nearest = "nearest is tree 'kaggle', columns 'fraction': "
    others = "; other trees are " + ", ".join(n for n in bundled_trees() if n != "kaggle")
    assert (
        closest_layout(kaggle.columns[:-1])
        == nearest + "1 of 37 is missing, e.g. Class11.6" + others
    )
    assert closest_layout(kaggle.columns) == nearest + "all are there" + others
    assert closest_layout(kaggle.columns, kaggle) == nearest + "all are there"
    assert closest_layout(["x"], kaggle).startswith(
        "no column of the tree 'kaggle' is there; expected Class1.1, Class1.2, Class1.3, Class2.1 …"
    )


@pytest.mark.parametrize("sign", ["_", "-", " - "])
def test_columns_with_other_signs_are_named_for_the_error(kaggle, sign):
    columns = [column.replace(".", sign) for column in kaggle.columns]
    for tree in (None, kaggle):
        assert closest_layout(columns, tree) == (
            "37 of the 37 columns of the tree 'kaggle' are there with other signs, e.g."
            f" 'Class1{sign}1' for 'Class1.1': rename them"
        )
    predicted = [*columns, *(f"{column}_low" for column in columns)]
    for named in (predicted, [*columns, "familiarity"]):
        assert closest_layout(named) == "it is a table of predictions, not of volunteers' votes"


# Trees that fit in part


def columns_of(tree: DecisionTree, *questions: str) -> list[str]:
    return [a.column for q in tree.questions if q.name in questions for a in q.answers]


def test_a_question_is_there_if_all_its_columns_are(kaggle):
    layout = find_layout([*columns_of(kaggle, "Q1", "Q2", "Q6"), "Class11.2", "Class11.6"])
    assert layout is not None
    assert layout.tree == kaggle
    assert layout.unknown["Q3"] == "no column"
    assert layout.unknown["Q11"] == "no Class11.1, Class11.3, Class11.4, Class11.5"
    assert [*layout.unknown] == ["Q3", "Q4", "Q5", "Q7", "Q8", "Q9", "Q10", "Q11"]
    assert layout.column_names == {*columns_of(kaggle, "Q1", "Q2", "Q6")}


def test_one_question_is_no_campaign_unless_its_tree_is_asked_for(kaggle):
    # pandas calls repeated columns so
    repeated = ["Class1", "Class1.1", "Class1.2", "Class1.3", "Class2", "Class2.1"]
    assert find_layout(repeated) is None
    layout = find_layout(repeated, tree=kaggle)
    assert layout is not None
    assert len(layout.unknown) == 10
    assert find_layout(["Class1.1", "Class1.2"], tree=kaggle) is None
    assert find_layout(["x"], tree=DecisionTree.of_numbers(["x", "y"])) is None


def test_a_tree_that_fits_whole_comes_before_one_that_fits_in_part(kaggle, gz2):
    some = [f"{name}_count" for name in gz2.columns[:-3]]
    layout = find_layout([*some, *kaggle.columns])
    assert layout is not None
    assert (layout.tree.name, layout.unknown) == ("kaggle", {})
    of_classes = find_layout(["class", *some])
    assert of_classes is not None
    assert of_classes.main.holds == "class"


def test_parts_of_two_campaigns_are_refused_unless_one_has_all_of_the_other():
    decals, decals12 = DecisionTree.load("decals"), DecisionTree.load("decals12")
    common = columns_of(decals, "smooth-or-featured", "disk-edge-on", "has-spiral-arms")
    with pytest.raises(ConfigError) as error:
        find_layout(common)
    assert str(error.value) == (
        "the columns of one table fit, in part, the trees 'decals' and 'decals12': say which with"
        " `labels=LabelSettings(tree=…)`"
    )
    layout = find_layout(common, tree=decals12)
    assert layout is not None
    assert layout.tree == decals12
    more = find_layout(decals.columns[:-1])
    assert more is not None
    assert more.tree == decals


def test_fractions_of_those_who_were_asked_are_unknown_without_those_who_were(gz2):
    names = columns_of(gz2, "Q1", "Q6", "Q8", "Q3")
    layout = find_layout([f"{name}_fraction" for name in names])
    assert layout is not None
    assert layout.main.name == "fraction"
    edge_on = next(q for q in gz2.questions if q.name == "Q3").asked_of
    assert layout.unknown["Q3"] == f"no fraction of {edge_on}"
    assert {"Q1", "Q6", "Q8"}.isdisjoint(layout.unknown)


def test_counts_beside_fractions_in_part_are_read_if_they_have_the_same_questions(kaggle):
    names = columns_of(kaggle, "Q1", "Q6", "Q7")
    votes = [f"{name}_votes" for name in names]
    both, fewer = find_layout([*names, *votes]), find_layout([*names, *votes[:-1]])
    assert both is not None
    assert fewer is not None
    assert both.counts is not None
    assert both.column_names == {*names, *votes}
    assert fewer.counts is None


def test_answers_of_questions_that_are_not_there_are_unknown(kaggle, fractions):
    names = columns_of(kaggle, "Q2", "Q6", "Q8")
    places = [kaggle.columns.index(name) for name in names]
    read_back = read(table_of(names, fractions[:, places]), kaggle).values
    assert np.allclose(read_back[:, places], fractions[:, places])
    assert np.isnan(np.delete(read_back, places, axis=1)).all()


def test_sums_are_checked_where_what_they_add_up_to_is_known(kaggle, fractions):
    names = columns_of(kaggle, "Q2", "Q6", "Q8")
    values = fractions[:, [kaggle.columns.index(name) for name in names]]
    values[0, :2] = 0.1, 0.2  # of how many is not known
    read(table_of(names, values), kaggle)
    values[1, 4] += 0.3
    assert "the answers of Q8 (" in refusal(table_of(names, values), kaggle)


@pytest.mark.parametrize("kind", ["weighted", "votes"])
def test_of_an_unknown_question_nothing_is_known_even_if_nobody_was_asked_it(gz2, kind):
    names = columns_of(gz2, "Q1", "Q6")
    pattern = next(table for table in gz2.tables if table.name == kind)
    values = np.array([[1, 0, 0, 0, 1]], float)
    known = [gz2.columns.index(name) for name in names]
    votes = read(table_of([pattern.of(name) for name in names], values), gz2)
    assert votes.values[0, known].tolist() == values[0].tolist()
    assert np.isnan(np.delete(votes.values, known, axis=1)).all()
    if kind == "votes":
        assert votes.counts is not None
        assert votes.counts[0, known].tolist() == values[0].tolist()
        assert (np.delete(votes.counts, known, axis=1) == -1).all()


# Joint fractions


def test_joint_fractions_are_read_as_they_are(kaggle, fractions):
    votes = read(table_of(list(kaggle.columns), fractions), kaggle)
    np.testing.assert_array_equal(votes.values, fractions.astype(np.float32))
    assert votes.counts is None


def test_a_row_without_any_value_is_a_galaxy_without_votes(kaggle, fractions):
    fractions[2] = np.nan
    votes = read(table_of(list(kaggle.columns), fractions), kaggle)
    assert np.isnan(votes.values).all(axis=1).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.nan,
            (
                "votes.csv line 4: Class3.1 is empty or NaN; expected a fraction in 0–1. Fill it"
                " in, or leave all "
            ),
        ),
        (
            -0.1,
            (
                "votes.csv line 4: Class3.1 is -0.1; fractions lie in 0–1. Correct it, or leave all"
                " votes of this row "
            ),
        ),
        (
            1.42,
            (
                "votes.csv line 4: Class3.1 is 1.42; fractions lie in 0–1. Correct it, or leave all"
                " votes of this row "
            ),
        ),
        (np.inf, "votes.csv line 4: Class3.1 is inf; fractions lie in 0–1."),
        (-np.inf, "votes.csv line 4: Class3.1 is -inf; fractions lie in 0–1."),
    ],
)
def test_an_impossible_fraction_is_refused_with_file_line_column_and_value(
    kaggle, fractions, value, message
):
    fractions[2, kaggle.columns.index("Class3.1")] = value
    assert message in refusal(fractions, kaggle)


def test_counts_passed_as_fractions_are_refused_with_the_way_out_which_then_works(kaggle):
    counts = np.zeros((2, 37))
    counts[:, [0, 1]], counts[:, 14] = [[30, 10], [7, 33]], 40
    message = refusal(counts, kaggle)
    assert message.startswith("votes.csv line 2: Class1.1 is 30; fractions lie in 0–1.")
    assert "If they are percentages, divide them by 100." in message
    assert "If these are whole counts, pass `labels=LabelSettings(votes='counts')`." in message
    assert message.endswith("(5 more like it)")
    votes = read(table_of(list(kaggle.columns), counts), kaggle, "counts")
    np.testing.assert_allclose(votes.values[:, :3], [[0.75, 0.25, 0], [0.175, 0.825, 0]])
    np.testing.assert_array_equal(votes.counts, counts)


def test_answers_of_the_first_question_that_do_not_add_up_to_one_are_refused(kaggle, fractions):
    fractions[1, :3] = 0.5, 0.2, 0.1
    assert (
        refusal(fractions, kaggle)
        == "votes.csv line 3: the answers of Q1 (Class1.1, Class1.2, Class1.3) add up to 0.8;"
        " expected 1. Correct the row, or leave all its votes empty"
    )


def test_answers_that_do_not_add_up_to_the_answer_they_are_asked_of_are_refused(kaggle, fractions):
    fractions[3, 1] = 0.6
    fractions[3, [0, 2]] = 0.4, 0
    fractions[3, [3, 4]] = 0.5, 0.3
    message = refusal(fractions, kaggle)
    assert (
        "votes.csv line 5: the answers of Q2 (Class2.1, Class2.2) add up to 0.8; expected 0.6 like"
        " Class1.2." in message
    )


def test_conditional_fractions_passed_as_joint_ones_are_refused(kaggle, fractions):
    assert "add up to 1; expected 0." in refusal(kaggle.conditional(fractions), kaggle)


def test_rounding_to_two_decimals_is_not_an_error(kaggle, make_fractions):
    read(table_of(list(kaggle.columns), make_fractions(kaggle, 50).astype(float).round(3)), kaggle)


@pytest.mark.parametrize("text", ["many", "1_0", "1_0x", "0.5.1", "½"])
def test_a_word_where_a_number_should_be_is_refused_by_place(kaggle, fractions, text):
    columns = {
        name: [f"{v}" for v in values]
        for name, values in zip(kaggle.columns, fractions.T, strict=True)
    }
    columns["Class5.2"][1] = text
    assert (
        refusal(pa.table(columns), kaggle)
        == f"votes.csv line 3: Class5.2 is {text!r}; expected a number"
    )


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pa.array([None, 1, 2, 3], pa.date32()),
            "votes.csv line 3: Class1.1 is '1970-01-02'; expected a number",
        ),
        (
            pa.array([True, False, None, None]),
            "votes.csv line 2: Class1.1 is 'true'; expected a number",
        ),
        (
            pa.array([[1.0], [2.0], [], []]),
            "votes.csv line 2: Class1.1 is 'several values'; expected one number a row",
        ),
    ],
)
def test_a_column_of_dates_truths_or_lists_is_refused_by_place(kaggle, fractions, column, message):
    table = table_of(list(kaggle.columns), fractions)
    assert refusal(table.set_column(0, "Class1.1", column), kaggle).startswith(message)


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float16(), pa.decimal128(22, 2), pa.string()]
)
def test_numbers_may_be_texts_or_any_kind_of_number(kaggle, kind):
    whole = np.zeros((2, 37), int)
    whole[:, [0, 14, 16]] = 1  # smooth, nothing odd, in between
    columns = {
        name: pa.array(column).cast(kind)
        for name, column in zip(kaggle.columns, whole.T, strict=True)
    }
    np.testing.assert_array_equal(read(pa.table(columns), kaggle).values, whole)


# Conditional fractions


def test_conditional_fractions_become_joint_ones(gz2, make_fractions):
    joint = make_fractions(gz2, 20).astype(float)
    names = [f"{answer}_weighted_fraction" for answer in gz2.columns]
    np.testing.assert_allclose(
        read(table_of(names, gz2.conditional(joint)), gz2).values, joint, atol=1e-6
    )


def test_a_question_nobody_was_asked_may_be_zeros_or_empty(gz2):
    names = [f"{answer}_weighted_fraction" for answer in gz2.columns]
    values = np.full((2, 37), np.nan)
    values[1] = 0
    values[:, 0], values[:, 1:3], values[:, 13:15] = 1, 0, [0, 1]
    values[:, 15:18] = 0.5, 0.5, 0
    votes = read(table_of(names, values), gz2)
    np.testing.assert_array_equal(votes.values[0], votes.values[1])
    assert (votes.values[0, gz2.slices[1]] == 0).all()


def test_a_conditional_question_that_is_partly_empty_or_does_not_add_up_is_refused(gz2):
    names = [f"{answer}_weighted_fraction" for answer in gz2.columns]
    values = np.full((1, 37), np.nan)
    values[0, :3] = 0.5, 0.5, np.nan
    message = refusal(table_of(names, values), gz2)
    assert message.startswith(
        "votes.csv line 2: t01_smooth_or_features_a03_star_or_artifact_weighted_fraction is empty"
        " or NaN"
    )
    values[0, :3] = 0.5, 0.2, 0.1
    message = refusal(table_of(names, values), gz2)
    assert "the answers of Q1 (t01_smooth_or_features_a01_smooth_weighted_fraction, " in message
    assert "add up to 0.8; expected 1." in message


def test_fractions_debiased_one_by_one_are_divided_by_their_sum(gz2):
    names = [f"{answer}_debiased" for answer in gz2.columns]
    values = np.zeros((2, 37))
    values[:, :3], values[:, 13:15] = [[0.6, 0.3, 0.3], [0.5, np.nan, 0.1]], [0, 0.9]
    votes = read(table_of(names, values), gz2, "debiased")
    np.testing.assert_allclose(votes.values[0, :3], [0.5, 0.25, 0.25], atol=1e-6)
    np.testing.assert_allclose(votes.values[0, 13:15], [0, 1])
    assert np.isnan(votes.values[1, :3]).all()


# Counts


@given(st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_whole_votes_give_the_fractions_of_those_who_voted(seed):
    tree = DecisionTree.load("decals")
    counts = np.random.default_rng(seed).integers(0, 40, (6, len(tree.columns)))
    counts[0] = 0
    votes = read(table_of(list(tree.columns), counts), tree)
    assert votes.counts is not None
    np.testing.assert_array_equal(votes.counts, counts)
    conditional = tree.conditional(votes.values.astype(float))
    for index, (_, where) in enumerate(tree):
        total = counts[:, where].sum(axis=1, keepdims=True)
        reached = (total[:, 0] > 0) & (tree.asked(votes.values)[:, index] > 0)
        np.testing.assert_allclose(
            conditional[reached, where], (counts[:, where] / total.clip(1))[reached], rtol=1e-5
        )
    assert np.isnan(votes.values[0]).all()  # nobody voted at all


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "votes.csv line 3: bar_weak is -1; votes are whole counts, 0 or more."),
        (2.5, "votes.csv line 3: bar_weak is 2.5; votes are whole counts, 0 or more."),
        (1e7, "votes.csv line 3: bar_weak is 1e+07; no galaxy has a million votes."),
        (np.inf, "votes.csv line 3: bar_weak is inf; no galaxy has a million votes."),
        (
            np.nan,
            "votes.csv line 3: bar_weak is empty while other answers of its question have votes; ",
        ),
    ],
)
def test_an_impossible_count_is_refused_with_file_line_column_and_value(value, message):
    tree = DecisionTree.load("decals")
    counts = np.ones((3, len(tree.columns)))
    counts[1, tree.columns.index("bar_weak")] = value
    assert message in refusal(counts, tree)


def test_a_question_without_counts_is_unknown_as_a_whole():
    tree = DecisionTree.load("decals")
    counts = np.ones((2, len(tree.columns)))
    where = next(where for question, where in tree if question.name == "merging")
    counts[0, where] = np.nan
    votes = read(table_of(list(tree.columns), counts), tree)
    assert votes.counts is not None
    assert (votes.counts[0, where] == -1).all()
    assert np.isnan(votes.values[0, where]).all()
    assert not np.isnan(votes.values[1]).any()


def test_counts_beside_fractions_are_kept(kaggle, fractions):
    counts = np.arange(4 * 37).reshape(4, 37)
    names = [*kaggle.columns, *(f"{answer}_votes" for answer in kaggle.columns)]
    votes = read(table_of(names, np.concatenate([fractions, counts], axis=1)), kaggle)
    np.testing.assert_array_equal(votes.counts, counts)
    np.testing.assert_allclose(votes.values, fractions, rtol=1e-6)


# Classes


def test_a_class_is_everybodys_answer_and_an_empty_one_is_unknown():
    tree = DecisionTree.load("classes5")
    votes = read(pa.table({"class": ["spiral", "", None, "edge-on"]}), tree)
    np.testing.assert_array_equal(votes.values[[0, 3]], np.eye(5)[[4, 3]])
    assert np.isnan(votes.values[[1, 2]]).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spirall", "did you mean 'spiral'?"),
        (
            "QSO",
            (
                "known are completely-round-smooth, in-between-smooth, cigar-shaped-smooth,"
                " edge-on, spiral."
            ),
        ),
    ],
)
def test_an_unknown_class_is_refused_with_its_line_and_the_nearest(name, message):
    tree = DecisionTree.load("classes5")
    assert (
        refusal(pa.table({"class": ["spiral", name]}), tree)
        == f"votes.csv line 3: class is {name!r}; {message}"
        " If these classes are not the tree's, pass `labels=LabelSettings(classes='class')`"
        " without a tree"
    )


def test_one_question_trees_of_ones_own_read_fractions_and_counts():
    tree = DecisionTree.of_classes(["ring", "no ring"])
    with_counts = DecisionTree(
        "t", "t", (Question("q", "q", tree.answers),), (VoteColumns("n", "{answer}_n", "votes"),)
    )
    votes = read(pa.table({"ring": [0.25], "no ring": [0.75]}), tree)
    np.testing.assert_array_equal(votes.values, [[0.75, 0.25]])
    votes = read(pa.table({"ring_n": [1], "no ring_n": [3]}), with_counts)
    np.testing.assert_array_equal(votes.values, [[0.75, 0.25]])


def test_a_fraction_a_hair_above_one_is_one(kaggle):
    fractions = np.zeros((1, 37))
    fractions[:, [0, 14, 16]] = 1 + 5e-7
    assert read(table_of(list(kaggle.columns), fractions), kaggle).values.max() == 1
