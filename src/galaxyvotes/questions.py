"""What a campaign asks, how its tables name the answers, and the file that holds both.

What the questions make of fractions is the decision tree's (`tree`). The keys of a tree file are
the names of the fields here, in the singular where there are several: `[[table]]`, `[[question]]`
and, in a question, `[[question.answer]]`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import QUANTITIES, Kind
from galaxyvotes.runtime.counted import counted

__all__ = [
    "BOUNDS",
    "FAMILIARITY",
    "FRACTION_COLUMNS",
    "QUANTITY_COLUMNS",
    "SUMMARY",
    "Answer",
    "Question",
    "TreeFile",
    "VoteColumns",
    "check_questions",
    "check_tables",
    "check_units",
    "owners_of",
]

# Tables of predictions append the first two to the column of an answer, for the ends of its
# prediction interval, and call their last column by the third.
BOUNDS = ("_low", "_high")
FAMILIARITY = "familiarity"
# What a summary of predictions adds behind them: words, and bits.
SUMMARY = ("likely_path", "entropy")

Holds = Literal["joint", "conditional", "votes", "class", "quantity"]


class Answer(Struct, frozen=True, omit_defaults=True):
    """One answer; `column` names it in every table, `next` is the question that follows it."""

    column: str
    text: str
    next: str | None = None


class Question(Struct, frozen=True, omit_defaults=True):
    """One question; everybody who gave the answer `asked_of` is asked it, or everybody if that is
    None.

    A `quantity` is a number instead of fractions, and has one answer. A `handed` question has other
    answers for the mirror image of a galaxy: clockwise or anticlockwise.
    """

    name: str
    text: str
    answers: tuple[Answer, ...] = msgspec.field(name="answer")
    asked_of: str | None = None
    quantity: bool = False
    handed: bool = False

    def check(self, place: str) -> None:
        """Refuse a question without a choice, and a quantity that is asked like a question.

        `place` names it in the ConfigError.
        """
        answers = counted(len(self.answers), "answer")
        if not self.quantity:
            if len(self.answers) < 2:
                raise ConfigError(f"{place} has {answers}; a question needs two or more")
            return
        if len(self.answers) != 1:
            raise ConfigError(f"{place} is a quantity and has {answers}; a quantity has one")
        if self.asked_of is not None or self.answers[0].next is not None:
            raise ConfigError(
                f"{place} is a quantity: everybody has it, and nothing follows it; leave out"
                " asked_of and next"
            )


class VoteColumns(Struct, frozen=True, omit_defaults=True):
    """How tables of a campaign name one kind of column, `{answer}` standing for the answer's own
    name. With `{question}` in them, this stands for what is before the first underline of that
    name, and `{answer}` for what follows it: `bar-dr5_no` for the answer `bar_no`.

    `holds` says what is in them: joint or conditional fractions, whole votes, quantities, or (one
    column) a class. `normalise` divides the answers of a question by their sum: for fractions
    debiased one by one. `names` has the columns of answers that are called otherwise, by answer.
    """

    name: str
    columns: str
    holds: Holds
    normalise: bool = False
    names: dict[str, str] = {}

    def __hash__(self) -> int:
        """Equal for equal columns; dictionaries have none."""
        return hash((self.name, self.columns, self.holds, self.normalise))

    def of(self, answer: str) -> str:
        """The name of the column that holds this answer."""
        if answer in self.names:
            return self.names[answer]
        columns = self.columns
        if "{question}" in columns:
            question, _, answer = answer.partition("_")
            columns = columns.replace("{question}", question)
        return columns.replace("{answer}", answer)

    def check(self, kind: Kind, answers: Sequence[str], tree: str) -> None:
        """Refuse columns of what a tree of that kind does not ask for, and a pattern that does not
        name one column an answer. `tree` names the tree in the ConfigError.
        """
        if (self.holds == "quantity") != (kind is QUANTITIES):
            raise ConfigError(
                f"{tree} asks for {kind.name}, and its table {self.name!r} holds {self.holds!r}"
            )
        if ("{answer}" in self.columns) == (self.holds == "class"):
            expected = "one column, without {answer}" if self.holds == "class" else "{answer} in it"
            raise ConfigError(
                f"{tree}, table {self.name!r}: columns is {self.columns!r}; expected {expected}"
            )
        if foreign := [name for name in self.names if name not in answers]:
            raise ConfigError(
                f"{tree}, table {self.name!r}: names has {foreign[0]!r}, which is no answer of this"
                " tree"
            )
        whole = [name for name in answers if "_" not in name and name not in self.names]
        if "{question}" in self.columns and whole:
            raise ConfigError(
                f"{tree}, table {self.name!r}: columns is {self.columns!r}, but the answer"
                f" {whole[0]!r} has no underline that ends its question; leave out {{question}}"
            )


FRACTION_COLUMNS = (VoteColumns("fraction", "{answer}", "joint"),)
QUANTITY_COLUMNS = (VoteColumns("quantity", "{answer}", "quantity"),)


class TreeFile(Struct, frozen=True):
    """What a tree file holds, in its order."""

    name: str
    title: str
    source: str = ""
    units: dict[str, str] = msgspec.field(name="unit", default_factory=dict[str, str])
    tables: tuple[VoteColumns, ...] = msgspec.field(name="table", default=())
    questions: tuple[Question, ...] = msgspec.field(name="question", default=())

    def to_table(self) -> dict[str, Any]:
        """All of it as a TOML table; what is left out of an answer, a question or a table there
        has its default.
        """
        table: dict[str, Any] = msgspec.to_builtins(self)
        if not self.units:
            del table["unit"]
        for question in table["question"]:
            question["answer"] = question.pop("answer")  # TOML has tables behind single values
        return table


def owners_of(questions: Sequence[Question]) -> dict[str, Question]:
    """Per answer, by its column, the question that it answers."""
    return {answer.column: question for question in questions for answer in question.answers}


# ---- checks: each raises a ConfigError, in which `tree` names the tree


def check_questions(questions: Sequence[Question], tree: str) -> None:
    """Raise ConfigError for questions that contradict themselves or each other."""
    if not questions:
        raise ConfigError(f"{tree} has no question")
    columns = [answer.column for question in questions for answer in question.answers]
    _check_columns(columns, tree)
    names = [question.name for question in questions]
    _check_different(names, "question", tree)
    _check_different(columns, "answer column", tree)
    for question in questions:
        place = f"{tree}, question {question.name!r}"
        question.check(place)
        if question.quantity and not all(each.quantity for each in questions):
            raise ConfigError(
                f"{place} is a quantity beside questions that are not; make two trees and two"
                " stores"
            )
        if question.asked_of is not None and question.asked_of not in columns:
            raise ConfigError(
                f"{place}: asked_of names {question.asked_of!r}, which is no answer of this tree"
            )
        for answer in question.answers:
            if answer.next is not None and answer.next not in names:
                raise ConfigError(
                    f"{place}, answer {answer.column!r}: next names {answer.next!r}, which is no"
                    " question"
                )
    _check_circles(questions, tree)


def check_tables(
    tables: Sequence[VoteColumns], kind: Kind, answers: Sequence[str], tree: str
) -> None:
    """Raise ConfigError for two tables of one name, and for columns of another kind or that the
    answers have no names for.
    """
    _check_different([table.name for table in tables], "table", tree)
    for table in tables:
        table.check(kind, answers, tree)


def check_units(units: Mapping[str, str], questions: Sequence[Question], tree: str) -> None:
    """Raise ConfigError for the unit of anything but a quantity."""
    quantities = [q.answers[0].column for q in questions if q.quantity]
    if others := [column for column in units if column not in quantities]:
        raise ConfigError(f"{tree} has a unit for {others[0]!r}, which is no quantity of it")


def _check_columns(columns: Sequence[str], tree: str) -> None:
    """Refuse an answer whose column tables of predictions would take for another."""
    for column in columns:
        bound = any(column.endswith(end) and column.removesuffix(end) in columns for end in BOUNDS)
        if column == FAMILIARITY or bound:
            raise ConfigError(
                f"{tree} has the answer column {column!r}, which is what tables of predictions"
                " call a bound or the familiarity: rename it"
            )


def _check_different(names: Sequence[str], noun: str, tree: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{tree} has the {noun} {name!r} twice")


def _check_circles(questions: Sequence[Question], tree: str) -> None:
    """Refuse questions that are asked of each other's answers."""
    owners = owners_of(questions)
    for question in questions:
        path = [question]
        while path[-1].asked_of is not None:
            path.append(owners[path[-1].asked_of])
            if path[-1] in path[:-1]:
                circle = " → ".join(each.name for each in path[path.index(path[-1]) :])
                raise ConfigError(f"{tree}: asked_of goes in a circle: {circle}")
