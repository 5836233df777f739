"""Trees that make no sense are refused, in words that name the file, the question and the mend."""

import msgspec
import pytest

from galaxyvotes.errors import ConfigError
from galaxyvotes.questions import Answer, Question, VoteColumns, owners_of
from galaxyvotes.tree import DecisionTree

RING = """
name = "ring"
title = "Ring or not"
[[question]]
name = "ring"
text = "Is there a ring?"
[[question.answer]]
column = "yes"
text = "a ring"
[[question.answer]]
column = "no"
text = "no ring"
"""


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        DecisionTree.from_toml(text, origin="mine.toml")
    return str(error.value)


TABLE = '[[table]]\nname = "n"\n'
YES = 'column = "yes"'
BROKEN = [
    ('name = "ring"\ntitle', "title", "mine.toml: it has no name"),
    ('title = "Ring or not"', "title = ", "mine.toml: not TOML: "),
    (
        YES,
        'colum = "yes"',
        "mine.toml: question 1, answer 1: unknown key colum; did you mean column?",
    ),
    (
        YES,
        "column = 1.1",
        "mine.toml: question 1, answer 1: column is 1.1; expected a text in quotes",
    ),
    (YES, 'column = "no"', "mine.toml: tree 'ring' has the answer column 'no' twice"),
    (
        YES,
        YES + '\nnext = "bar"',
        "question 'ring', answer 'yes': next names 'bar', which is no question",
    ),
    (
        'a ring?"',
        'a ring?"\nasked_of = "bar"',
        "'ring': asked_of names 'bar', which is no answer of this tree",
    ),
    ('a ring?"', 'a ring?"\nasked_of = "yes"', "asked_of goes in a circle: ring → ring"),
    (
        '[[question.answer]]\ncolumn = "no"\ntext = "no ring"\n',
        "",
        "has 1 answer; a question needs two or more",
    ),
    (
        "[[question]]",
        TABLE + 'columns = "{answer}"\nholds = "counts"\n[[question]]',
        "table 1: holds is 'counts'; expected one of joint, conditional, votes, class",
    ),
    (
        "[[question]]",
        TABLE + 'columns = "fraction"\nholds = "joint"\n[[question]]',
        "table 'n': columns is 'fraction'; expected {answer} in it",
    ),
    (
        "[[question]]",
        TABLE + 'columns = "{answer}"\nholds = "joint"\nnormalise = 1\n[[question]]',
        "table 1: normalise is 1; expected true or false",
    ),
    (
        "[[question]]",
        TABLE + 'columns = "{question}-dr5_{answer}"\nholds = "votes"\n[[question]]',
        "the answer 'yes' has no underline that ends its question; leave out {question}",
    ),
]


@pytest.mark.parametrize(
    ("right", "wrong", "told"), BROKEN, ids=[told[-40:] for *_, told in BROKEN]
)
def test_a_tree_file_that_contradicts_itself_is_refused_by_name(right, wrong, told):
    assert right in RING
    assert told in refusal(RING.replace(right, wrong))


def test_a_tree_file_without_questions_is_refused():
    assert refusal('name = "x"\ntitle = "y"') == "mine.toml: tree 'x' has no question"
    assert (
        refusal('name = "x"\ntitle = "y"\nquestion = 5')
        == "mine.toml: question is 5; expected one or more tables, [[question]]"
    )


def test_two_questions_of_one_name_or_a_longer_circle_are_refused():
    answers = (Answer("a", "a"), Answer("b", "b"))
    more = (Answer("c", "c"), Answer("d", "d"))
    with pytest.raises(ConfigError, match="tree 't' has the question 'q' twice"):
        DecisionTree("t", "t", (Question("q", "q", answers), Question("q", "q", more)))
    with pytest.raises(ConfigError, match="asked_of goes in a circle: q → r → q"):
        DecisionTree("t", "t", (Question("q", "q", answers, "c"), Question("r", "r", more, "a")))


@pytest.mark.parametrize(
    "columns", [("mass", "mass_low"), ("mass", "mass_high"), ("mass", "familiarity")]
)
def test_a_column_that_predictions_would_take_for_a_bound_is_refused(columns):
    with pytest.raises(
        ConfigError, match="what tables of predictions call a bound or the familiarity: rename it"
    ):
        DecisionTree.of_numbers(columns)
    assert DecisionTree.of_numbers(("mass_low", "mass_high")).columns == ("mass_low", "mass_high")


def test_an_answer_belongs_to_its_question(kaggle):
    owners = owners_of(kaggle.questions)
    assert owners["Class1.2"] is kaggle.questions[0]
    assert set(owners) == set(kaggle.columns)


def test_the_column_of_an_answer_is_named_after_the_pattern():
    columns = VoteColumns("debiased", "{answer}_debiased", "joint")
    assert columns.of("smooth") == "smooth_debiased"
    columns = VoteColumns("votes", "{question}-dr5_{answer}_count", "votes")
    assert columns.of("bar_no_bar") == "bar-dr5_no_bar_count"


def test_answers_may_have_columns_that_follow_no_pattern():
    columns = VoteColumns("t", "{answer}_n", "votes", names={"bar_no": "T1.no"})
    assert (columns.of("bar_no"), columns.of("bar_yes")) == ("T1.no", "bar_yes_n")
    file = """
        name = "bars"
        title = "Bars"
        [[question]]
        name = "bar"
        text = "Is there a bar?"
        answer = [{ column = "yes", text = "Yes" }, { column = "no", text = "No" }]
        [[table]]
        name = "t"
        columns = "{answer}"
        holds = "votes"
        names = { "yes" = "T1.yes" }
    """
    tree = DecisionTree.from_toml(file)
    assert tree.tables[0].names == {"yes": "T1.yes"}
    assert DecisionTree.from_toml(tree.to_toml()) == tree
    assert hash(DecisionTree.from_toml(tree.to_toml())) == hash(tree)
    with pytest.raises(ConfigError, match="table 't': names has 'yess', which is no answer of"):
        DecisionTree.from_toml(file.replace('"yes" = ', '"yess" = '))


def test_questions_and_answers_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        Answer("a", "a").column = "b"


def test_what_has_its_default_is_left_out_of_a_tree_file():
    question = Question("q", "?", (Answer("a", "a", "q"), Answer("b", "b")))
    assert msgspec.to_builtins(question)["answer"] == (
        {"column": "a", "text": "a", "next": "q"},
        {"column": "b", "text": "b"},
    )
