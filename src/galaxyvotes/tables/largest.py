"""A column that names, for each galaxy, the answer with the largest fraction.

Which fraction is the largest of all of a tree's is an inequality on the others, and no class: the
fractions themselves stay unknown. The tree is the campaign whose answers the words are.
"""

from collections.abc import Iterator

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import FRACTIONS
from galaxyvotes.tables.class_words import ClassWords
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_layout import VoteLayout, campaigns
from galaxyvotes.tree import DecisionTree, VoteColumns

__all__ = ["columns_of_answers", "largest_layout"]


def largest_layout(
    table: Table, labels: LabelSettings, tree: DecisionTree | None
) -> VoteLayout | None:
    """How to read the column that `labels.largest` names; None if the table has none.

    Without a tree it is the one that has the most of the words. ConfigError if several have, or if
    the tree has no fractions. DataError if no tree has any.
    """
    assert labels.largest is not None
    column = Header(table.header()).find(labels.largest)
    if column is None:
        return None
    where = f"{table.name}: the column {column!r}"
    words = ClassWords.of(labels, tree).classes(table.text(column), where)
    tree = tree or _tree_of(words, where)
    if tree.kind is not FRACTIONS:
        raise ConfigError(
            f"the tree {tree.name!r} asks for {tree.kind.name}, not for fractions; for a column of"
            f" classes pass `labels=LabelSettings(classes={column!r})`"
        )
    return VoteLayout(tree, VoteColumns("largest fraction", column, "class"), None, largest=True)


def _tree_of(words: set[str], where: str) -> DecisionTree:
    """The campaign that has the most of the words as answers."""
    number = {tree.name: len(words & {*tree.columns}) for tree in campaigns()}
    most = max(number.values())
    if not most:
        listed = ", ".join(map(repr, sorted(words)[:3])) or "nothing"
        raise DataError(
            f"{where} names no answer of the trees {', '.join(number)}: it has {listed}. Name the"
            " tree with `labels=LabelSettings(tree=…)`"
        )
    best = [tree for tree in campaigns() if number[tree.name] == most]
    if len(best) > 1:
        *names, last = (repr(tree.name) for tree in best)
        raise ConfigError(
            f"{where} names answers of the trees {', '.join(names)} and {last}: say which with"
            " `labels=LabelSettings(tree=…)`"
        )
    return best[0]


def columns_of_answers(table: Table) -> Iterator[tuple[str, str]]:
    """The columns of a table whose words are all answers of a campaign, each with its tree's name:
    for an error that says what a table may be.
    """
    answers = {tree.name: {*tree.columns} for tree in campaigns()}
    for name, column in zip(table.header(), table.text_columns(table.header()), strict=True):
        words = {word.strip() for word in column.texts.unique().to_pylist()} - {""}
        for tree, columns in answers.items():
            if words and words <= columns:
                yield name, tree
