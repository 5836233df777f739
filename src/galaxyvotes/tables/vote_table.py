"""Which of several tables holds the votes, and how it is read.

It is the one whose header fits a known tree (`find_layout`), whole rather than in part, or the one
with the column of classes or of largest fractions that was asked for. If several do, one must be
named.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from galaxyvotes.config import LabelSettings
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.kinds import FRACTIONS, QUANTITIES
from galaxyvotes.questions import BOUNDS, FAMILIARITY
from galaxyvotes.runtime.counted import counted
from galaxyvotes.tables.class_words import ClassWords
from galaxyvotes.tables.headers import Header
from galaxyvotes.tables.largest import columns_of_answers, largest_layout
from galaxyvotes.tables.names import as_shown
from galaxyvotes.tables.reductions import SubjectVotes, explain_reductions
from galaxyvotes.tables.table import Table
from galaxyvotes.tables.vote_layout import VoteLayout, closest_layout, find_layout
from galaxyvotes.tree import DecisionTree, VoteColumns

__all__ = ["class_layout", "explain_no_votes", "find_vote_table"]

_MOST_CLASSES = 100
_NAMED, _LONGEST_NAME = 12, 40  # columns that an error names, and letters of each
_NUMBER = re.compile(r"[+-]?\d[\d.]*(?:[eE][+-]?\d+)?", re.ASCII)


def find_vote_table(
    tables: Sequence[Table], labels: LabelSettings, tree: DecisionTree | None
) -> tuple[Table, VoteLayout] | None:
    """The one table that holds votes, and how to read it; None if there is none.

    ConfigError if there are several, or none of the name in `labels`. DataError if what `labels`
    and `tree` ask for is in no table.
    """
    tables = tables if labels.table is None else _named(tables, labels.table)
    layouts = [_read_as(table, labels, tree) for table in tables]
    found = [(table, layout) for table, layout in layouts if layout is not None]
    fitting = [pair for pair in found if not _is_of_predictions(*pair)]
    if found and not fitting:
        raise DataError(
            f"{found[0][0].name} is a table of predictions (it has prediction intervals or a"
            " familiarity), not of volunteers' votes: name another table"
        )
    fitting = [pair for pair in fitting if not pair[1].unknown] or fitting
    if len(fitting) > 1:
        names = _listed([table for table, _ in fitting])
        raise ConfigError(
            f"several tables hold votes: name one with `labels=LabelSettings(table=…)`: {names}"
        )
    if labels.class_names and not all(layout.main.holds == "class" for _, layout in fitting):
        raise ConfigError(
            "class names are for a column of classes: pass `labels=LabelSettings(classes=…)`, too"
        )
    asked = [labels.table, labels.classes, labels.votes, labels.largest]
    of_quantities = tree is not None and tree.kind is QUANTITIES
    if not fitting and (of_quantities or any(setting is not None for setting in asked)):
        raise DataError(explain_no_votes(tables, labels, tree))
    return fitting[0] if fitting else None


def _is_of_predictions(table: Table, layout: VoteLayout) -> bool:
    """Whether a table is what `predict` writes. Quantities have bounds in other tables, too."""
    header = set(table.header())
    bounds = {name + end for name in layout.column_names for end in BOUNDS}
    return FAMILIARITY in header or (layout.tree.kind is not QUANTITIES and bounds <= header)


def _named(tables: Sequence[Table], name: str) -> list[Table]:
    named = [
        table for table in tables if name == table.name or _last_part(table) == Path(name).name
    ]
    if not named:
        raise ConfigError(f"no table {name!r} among the sources; there are {_listed(tables)}")
    return named


def _last_part(table: Table) -> str:
    return PurePosixPath(table.name).name


def _read_as(
    table: Table, labels: LabelSettings, tree: DecisionTree | None
) -> tuple[Table, VoteLayout | None]:
    """A table, with columns for all answers of the tree if it is an export of Zooniverse's, and
    how to read it.
    """
    named = labels.classes is not None or labels.largest is not None
    if isinstance(table, SubjectVotes) and tree is not None and not named:
        return table.as_votes(tree, labels.votes)
    return table, _layout(table, labels, tree)


def _layout(table: Table, labels: LabelSettings, tree: DecisionTree | None) -> VoteLayout | None:
    header, column = table.header(), labels.classes
    if labels.largest is not None:
        return largest_layout(table, labels, tree)
    if column is None:
        layout = find_layout(header, tree=tree, kind=labels.votes)
        if layout is not None and layout.main.holds == "class":
            (name,) = layout.column_names
            _classes_in(table, name, labels, layout.tree)
        return layout
    column = Header(header).find(column)
    if column is None:
        return None
    classes, where = _classes_in(table, column, labels, tree)
    return class_layout(classes, column, tree, where)


def _classes_in(
    table: Table, column: str, labels: LabelSettings, tree: DecisionTree | None
) -> tuple[set[str], str]:
    """The classes in a column, and where that is, for errors."""
    where = f"{table.name}: the column {column!r}"
    return ClassWords.of(labels, tree).classes(table.text(column), where), where


def class_layout(
    classes: set[str], column: str, tree: DecisionTree | None, where: str
) -> VoteLayout:
    """How to read a column of classes: with the tree asked for, else with one made of them.

    ConfigError if the tree has several questions. DataError if the number of classes is not that of
    a classification. `where` says for these errors where the classes stand.
    """
    if tree is not None and len(tree.questions) > 1:
        largest = (
            f"; if that is the answer with the largest fraction, pass"
            f" `labels=LabelSettings(largest={column!r})`"
            if classes & {*tree.columns}
            else ""
        )
        raise ConfigError(
            f"{where} names one answer each; the tree {tree.name!r} has {len(tree.questions)}"
            f" questions{largest}"
        )
    if tree is None and not 2 <= len(classes) <= _MOST_CLASSES:
        raise DataError(
            f"{where} has {counted(len(classes), 'different value')}; classes are 2 to"
            f" {_MOST_CLASSES}"
        )
    holds_class = VoteColumns("class", column, "class")
    tree = tree or DecisionTree.of_classes(sorted(classes), as_shown(column))
    if tree.kind is FRACTIONS:  # from now on its labels are classes
        tree = replace(tree, tables=(holds_class, *tree.tables))
    return VoteLayout(tree, holds_class, None)


def explain_no_votes(
    tables: Sequence[Table], labels: LabelSettings, tree: DecisionTree | None
) -> str:
    """Why none of these tables holds votes, and what to do, for an error."""
    if not tables:
        return (
            "no table of votes among the sources: add one (CSV or other text, Parquet,"
            " FITS, VOTable), or pass"
            " `labels=LabelSettings(unlabelled=True)` to pack without votes"
        )
    if (column := labels.largest or labels.classes) is not None:
        return _no_column(column, tables[0])
    if tree is not None and tree.kind is QUANTITIES and not labels.votes:
        names = [tree.tables[0].of(column) for column in tree.columns]
        lacking = [
            [name for name in names if name not in Header(table.header())] for table in tables
        ]
        nearest = min(range(len(tables)), key=lambda number: len(lacking[number]))
        return _no_column(lacking[nearest][0], tables[nearest])
    asked = f" of kind {labels.votes!r}" if labels.votes else ""
    if (why := explain_reductions(tables, tree)) is not None:
        return why
    nearest = "; ".join(
        f"{table.name}: {closest_layout(table.header(), tree)}{_lacks_header(table)}"
        for table in tables[:3]
    )
    for table in tables:
        for column, of_tree in columns_of_answers(table):
            return (
                f"no table holds votes{asked}, but the column {column!r} of {table.name} names"
                f" answers of the tree {of_tree!r}: pass"
                f" `labels=LabelSettings(largest={column!r})` if they are those with the largest"
                " fraction"
            )
    return (
        f"no table holds votes{asked} that a known tree describes ({nearest}). Pass"
        " `labels=LabelSettings(classes='COLUMN')` for a column of class names,"
        " `labels=LabelSettings(quantity='COLUMN')` for one of numbers,"
        " `labels=LabelSettings(tree='FILE')` for another tree, or"
        " `labels=LabelSettings(unlabelled=True)` to pack without votes; for <answer>/<image>"
        " folders leave the tables out"
    )


def _no_column(name: str, table: Table) -> str:
    header = table.header()
    shown = ", ".join(as_shown(column)[:_LONGEST_NAME] for column in header[:_NAMED])
    more = " …" if len(header) > _NAMED else ""
    return f"no table has the column {name!r}: {table.name} has {shown}{more}{_lacks_header(table)}"


def _lacks_header(table: Table) -> str:
    """That the first line of a table seems to be one of its rows; empty if it does not."""
    header = table.header()
    numbers = sum(bool(_NUMBER.fullmatch(name.strip())) for name in header)
    if 2 * numbers < len(header):
        return ""
    return ". Its first line holds numbers: begin the table with the names of its columns"


def _listed(tables: Sequence[Table]) -> str:
    return ", ".join(table.name for table in tables) or "none"
