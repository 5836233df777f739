"""Which columns of a table are votes: the tree whose names they have, and the kind of columns.

A tree fits whole if a column of each of its answers is there. If no tree does, one may fit in part:
a question is there if the columns of all its answers are, and the others are unknown. A name may be
there by accident (pandas and R call repeated columns `Class1.1`, `Class1.2`), so it takes two whole
questions of a campaign's, or one if the tree is asked for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import FRACTIONS
from galaxyvotes.runtime.counted import agreeing
from galaxyvotes.tables.headers import Header, plain
from galaxyvotes.tree import DecisionTree, VoteColumns, bundled_trees

__all__ = ["VoteLayout", "campaigns", "closest_layout", "find_layout"]

_LEAST_QUESTIONS = 2  # that are there whole, if the tree is not asked for
_SIGNS = re.compile(r"[\W_]+")  # between letters and digits


@dataclass(frozen=True)
class VoteLayout:
    """Which columns of a table are votes: the tree, the columns read as fractions, the columns read
    as counts.

    `unknown` are the questions that the table does not have, each with the reason. With `largest`,
    the one column names the answer with the largest fraction, and no fraction is known.
    """

    tree: DecisionTree
    main: VoteColumns
    counts: VoteColumns | None
    spelt: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: Mapping[str, str] = field(default_factory=dict[str, str])
    largest: bool = False

    def name_of(self, columns: VoteColumns, answer: str) -> str:
        """The column that holds an answer, as the table writes it: `spelt` has those that differ
        from the tree's by spaces or case.
        """
        name = columns.of(answer)
        return self.spelt.get(name, name)

    @property
    def known(self) -> tuple[bool, ...]:
        """Per answer, whether the table has its question."""
        return tuple(q.name not in self.unknown for q in self.tree.questions for _ in q.answers)

    @property
    def column_names(self) -> set[str]:
        """Every column of the table that is votes and not the user's own."""
        used = [self.main] + ([self.counts] if self.counts else [])
        answers = zip(self.tree.columns, self.known, strict=True)
        names = [answer for answer, known in answers if known]
        return {self.name_of(columns, answer) for columns in used for answer in names}


def find_layout(
    columns: Sequence[str], *, tree: DecisionTree | None = None, kind: str | None = None
) -> VoteLayout | None:
    """The tree and the kind of columns that a table's header fits, or None; `tree` and `kind`
    narrow the search.

    A tree that fits whole comes before one that fits in part. Raises ConfigError if the header fits
    several campaigns, which the error names.
    """
    header = Header(columns)
    layouts = [
        layout
        for candidate in _candidates(tree)
        if (layout := _whole(header, candidate, kind)) is not None
    ]
    # Many tables have a column called "class" that is not the volunteers'; a whole campaign's
    # columns say more.
    of_campaigns = [layout for layout in layouts if len(layout.tree.questions) > 1]
    if len(of_campaigns) > 1:
        raise _ambiguous(of_campaigns, "fit")
    if layouts:
        return (of_campaigns or layouts)[0]
    return _in_part(header, tree, kind)


def _whole(header: Header, tree: DecisionTree, kind: str | None) -> VoteLayout | None:
    """The columns of a tree if all are there."""
    fitting = [
        table for table in tree.tables if all(table.of(answer) in header for answer in tree.columns)
    ]
    main = next((table for table in fitting if kind in (None, table.name)), None)
    if main is None:
        return None
    counts = _counts_beside(main, fitting)
    return VoteLayout(tree, main, counts, _spelt(header, tree, main, counts))


def _counts_beside(main: VoteColumns, tables: Sequence[VoteColumns]) -> VoteColumns | None:
    """Whole votes beside fractions, in columns of their own."""
    others = (table for table in tables if table.holds == "votes")
    beside = (table for table in others if table.columns != main.columns)
    return None if main.holds == "votes" else next(beside, None)


def _ambiguous(layouts: Sequence[VoteLayout], fit: str) -> ConfigError:
    names = " and ".join(repr(layout.tree.name) for layout in layouts)
    return ConfigError(
        f"the columns of one table {fit} the trees {names}: say which with"
        " `labels=LabelSettings(tree=…)`"
    )


def _spelt(header: Header, tree: DecisionTree, *columns: VoteColumns | None) -> dict[str, str]:
    """The columns of votes that a table writes otherwise than the tree."""
    names = {kind.of(answer) for kind in columns if kind for answer in tree.columns}
    return {name: found for name in names if (found := header.find(name)) not in (None, name)}


# ---- a part of a tree


def _in_part(header: Header, tree: DecisionTree | None, kind: str | None) -> VoteLayout | None:
    """The campaign of which some questions are there whole; of several, the one that has all
    columns of the others and more.
    """
    least = 1 if tree is not None else _LEAST_QUESTIONS
    layouts = [
        layout
        for candidate in ([tree] if tree is not None else campaigns())
        if (layout := _part(header, candidate, kind)) is not None
        and len(candidate.questions) - len(layout.unknown) >= least
    ]
    if len(layouts) < 2:
        return layouts[0] if layouts else None
    most = max(layouts, key=lambda layout: len(layout.column_names))
    if not all(other.column_names < most.column_names for other in layouts if other is not most):
        raise _ambiguous(layouts, "fit, in part,")
    return most


def _part(header: Header, tree: DecisionTree, kind: str | None) -> VoteLayout | None:
    """The columns of a campaign of which the most questions are there; None for other trees."""
    if len(tree.questions) < 2 or tree.kind is not FRACTIONS:
        return None
    unknown = {
        table.name: _unknown(header, tree, table) for table in tree.tables if table.holds != "class"
    }
    tables = [table for table in tree.tables if table.name in unknown]
    possible = [table for table in tables if kind in (None, table.name)]
    if not possible:
        return None
    main = min(possible, key=lambda table: len(unknown[table.name]))  # the first of the least
    missing = unknown[main.name]
    counts = _counts_beside(main, [t for t in tables if unknown[t.name].keys() <= missing.keys()])
    return VoteLayout(tree, main, counts, _spelt(header, tree, main, counts), missing)


def _unknown(header: Header, tree: DecisionTree, table: VoteColumns) -> dict[str, str]:
    """The questions of a tree that are not there whole, each with the reason.

    What those who were asked answered says nothing of everybody if it is not known who was asked.
    """
    unknown: dict[str, str] = {}
    owner = {answer.column: q.name for q in tree.questions for answer in q.answers}
    for index in tree.depth_first:
        question = tree.questions[index]
        names = [table.of(answer.column) for answer in question.answers]
        missing = [name for name in names if name not in header]
        if missing:
            some = len(missing) < len(names)
            unknown[question.name] = f"no {', '.join(missing)}" if some else "no column"
        elif table.holds != "joint" and owner.get(question.asked_of or "") in unknown:
            unknown[question.name] = f"no fraction of {question.asked_of}"
    return {q.name: unknown[q.name] for q in tree.questions if q.name in unknown}


# ---- errors


def closest_layout(columns: Sequence[str], tree: DecisionTree | None = None) -> str:
    """A sentence that says which known columns a header comes nearest to, and which others there
    are, for an error.
    """
    header = Header(columns)
    best: tuple[float, str, str] = (0.0, "", "")
    candidates = _candidates(tree)
    for candidate in candidates:
        for table in candidate.tables:
            names = {table.of(answer) for answer in candidate.columns}
            missing = sorted(name for name in names if name not in header)
            share = 1 - len(missing) / len(names)
            if share > best[0]:
                what = (
                    f"{len(missing)} of {len(names)} {agreeing(len(missing), 'is')} missing, e.g."
                    f" {missing[0]}"
                    if missing
                    else "all are there"
                ) + (_remedy(header, candidate) if tree is None else "")
                best = (
                    share,
                    f"nearest is tree {candidate.name!r}, columns {table.name!r}: {what}",
                    candidate.name,
                )
    others = [tree.name for tree in candidates if tree.name != best[2]]
    if not best[2] and (spelt := _spelt_otherwise(columns, candidates)):
        return spelt
    if not best[2] and tree is not None:
        names = ", ".join(tree.tables[0].of(answer) for answer in tree.columns[:4])
        more = " …" if len(tree.columns) > 4 else ""
        return (
            f"no column of the tree {tree.name!r} is there; expected {names}{more}, or a [[table]]"
            " in the tree file that says what the columns are called"
        )
    if not best[2]:
        return f"no column of the tree {' or '.join(others)} is there"
    return best[1] + (f"; other trees are {', '.join(others)}" if others else "")


def _spelt_otherwise(columns: Sequence[str], candidates: Sequence[DecisionTree]) -> str:
    """That a header has columns of a tree with other signs between letters and digits."""
    written = {_SIGNS.sub("_", plain(column)).strip("_"): column for column in columns}
    for tree in candidates:
        for table in tree.tables:
            names = {
                table.of(answer): _SIGNS.sub("_", plain(table.of(answer)))
                for answer in tree.columns
            }
            there = [name for name, bare in names.items() if bare in written]
            if 2 * len(there) <= len(names):
                continue
            if f"{names[there[0]]}_low" in written or "familiarity" in written:
                return "it is a table of predictions, not of volunteers' votes"
            return (
                f"{len(there)} of the {len(names)} columns of the tree {tree.name!r} are there with"
                f" other signs, e.g. {written[names[there[0]]]!r} for {there[0]!r}: rename them"
            )
    return ""


def _remedy(header: Header, tree: DecisionTree) -> str:
    """How to read a question of a tree, if that is all that is there of it."""
    part = _part(header, tree, None)
    known = [q.name for q in tree.questions if part and q.name not in part.unknown]
    remedy = f"; `labels=LabelSettings(tree={tree.name!r})` reads "
    return remedy + known[0] if len(known) == 1 else ""


def campaigns() -> list[DecisionTree]:
    """The bundled trees of several questions."""
    return [tree for tree in _candidates(None) if len(tree.questions) > 1]


def _candidates(tree: DecisionTree | None) -> list[DecisionTree]:
    return [tree] if tree else [DecisionTree.load(name) for name in bundled_trees()]
