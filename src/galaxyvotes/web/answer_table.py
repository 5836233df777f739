"""Which columns of a table hold a tree's answers: of predictions, or of volunteers; of both in a
table that `evaluate` wrote.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from galaxyvotes.answer_columns import answer_names
from galaxyvotes.errors import ConfigError
from galaxyvotes.questions import BOUNDS
from galaxyvotes.reports.galaxy_table import (
    CLASS,
    LABEL,
    PREDICTED,
    PREDICTED_CLASS,
    PROBABILITY,
)
from galaxyvotes.tables.vote_layout import find_layout
from galaxyvotes.tree import DecisionTree, bundled_trees
from galaxyvotes.web.selection import quoted

__all__ = ["AnswerColumns", "columns_of_classes", "find_answers"]


@dataclass(frozen=True)
class AnswerColumns:
    """A tree, and the column of each of its answers that the table has.

    An evaluated table also has the column of each answer's label, `labels`, or one of the classes,
    `own_class`, and calls the ends of intervals after the answers.
    """

    tree: DecisionTree
    columns: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    own_class: str = ""

    @property
    def is_evaluated(self) -> bool:
        """Whether labels stand beside the predictions."""
        return bool(self.labels or self.own_class)

    def ends(self, end: str) -> list[str]:
        """The columns of the lower or the upper ends of the intervals, whether there or not."""
        return [name + end for name in (self.columns if self.labels else self.columns.values())]

    def column_of(self, name: str) -> str:
        """The column of an answer, or of an end of its interval; any other name as it is."""
        for end in BOUNDS:
            if name.endswith(end) and (answer := name.removesuffix(end)) in self.columns:
                return self.ends(end)[[*self.columns].index(answer)]
        return self.columns.get(name, name)

    def labels_in(self, row: Mapping[str, Any]) -> dict[str, float | None]:
        """The label of each answer in a row of an evaluated table, None where it is not known; of
        classes 1 for that of the galaxy and 0 for the others.
        """
        if self.own_class:
            own = row[self.own_class]
            return {
                name: float(name == own) if own in self.columns else None for name in self.columns
            }
        return {name: row[column] for name, column in self.labels.items()}

    @property
    def uncertainty(self) -> str:
        """In SQL, how much volunteers are predicted to differ: the entropy, in nats, of the path
        that one of them takes through the tree, from joint fractions p and those of who is asked:
        the sum of -p ln(p / asked) over all answers. 0 if all take the same path.
        """
        terms = ["0.0"]
        parents = dict(zip(self.columns, self.tree.parents_of(tuple(self.columns)), strict=True))
        for answer, column in self.columns.items():
            p = f"{quoted(column)}::float"
            asked = f"{quoted(self.columns[parents[answer]])}::float" if parents[answer] else "1.0"
            terms.append(
                f"CASE WHEN {p} > 0 AND {asked} > {p} THEN -{p} * ln({p} / {asked}) ELSE 0 END"
            )
        return " + ".join(terms)


def columns_of_classes(names: Sequence[str]) -> list[str]:
    """The columns of words in a table of classes that `evaluate` wrote; none in others."""
    columns = [CLASS, PREDICTED_CLASS]
    return columns if {*columns} <= {*names} and len(_classes(names)) > 1 else []


def _classes(names: Sequence[str]) -> list[str]:
    return [name.removeprefix(PROBABILITY) for name in names if name.startswith(PROBABILITY)]


def _evaluated(names: Sequence[str], trees: Sequence[DecisionTree]) -> AnswerColumns | None:
    """The answers of a table that `evaluate` wrote (see `reports.galaxy_table`); None for others.
    Classes that are those of no tree make one.
    """
    if columns_of_classes(names):
        classes = _classes(names)
        fitting = (tree for tree in trees if {*tree.columns} == {*classes})
        tree = next(fitting, None) or DecisionTree.of_classes(classes)
        columns = {name: PROBABILITY + name for name in tree.columns}
        return AnswerColumns(tree, columns, own_class=CLASS)
    answers = [
        answer
        for name in names
        if (answer := name.removesuffix(LABEL)) + LABEL == name and answer + PREDICTED in names
    ]
    for tree in trees:
        if answers and {*answers} <= {*tree.columns}:
            ordered = [name for name in tree.columns if name in answers]
            columns, labels = ({a: a + end for a in ordered} for end in (PREDICTED, LABEL))
            return AnswerColumns(tree, columns, labels)
    return None


def find_answers(
    names: Sequence[str], meta: Mapping[str, Any], trees: Sequence[DecisionTree]
) -> AnswerColumns | None:
    """The answers in a table with columns of these names; None if it has none of a tree that is
    known. `meta` are the facts that the table has about itself.
    """
    known = {tree.name: tree for tree in trees}
    if evaluated := _evaluated(names, [*trees, *map(DecisionTree.load, bundled_trees())]):
        return evaluated
    name = str(meta.get("tree", ""))
    if name not in known and name in bundled_trees():
        known[name] = DecisionTree.load(name)
    for tree in [known[name]] if name in known else known.values():
        for naming in ("tree", "identifier", "galaxyzoo"):
            written = answer_names(tree.columns, naming, tree)
            pairs = zip(tree.columns, written, strict=True)
            if columns := {answer: column for answer, column in pairs if column in names}:
                return AnswerColumns(tree, columns)
    with suppress(ConfigError):
        layout = find_layout(names)
        if layout is not None and layout.main.holds in ("joint", "conditional"):
            pairs = zip(layout.tree.columns, layout.known, strict=True)
            written = {a: layout.name_of(layout.main, a) for a, there in pairs if there}
            return AnswerColumns(layout.tree, written)
    return None
