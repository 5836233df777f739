"""Labels from the columns of a table: checked once here, trusted afterwards.

Whatever a campaign publishes (joint fractions, conditional fractions, whole counts, a class)
becomes joint fractions, and the counts beside them where there are any. A question that nobody was
asked, or whose answer is not known, is NaN as a whole; a row without a single value is a galaxy
without votes.

Quantities (see `tree`) are read the same way, as the numbers they are.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float32, Int32

from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.tables.cells import NotANumber, numbers_of
from galaxyvotes.tables.headers import Header
from galaxyvotes.tree import DecisionTree, VoteColumns, bundled_trees

__all__ = ["VoteLayout", "Votes", "find_layout", "read_votes"]

SUM_TOLERANCE = 0.01  # published fractions are rounded to two or three decimals
_LARGEST = 1e15  # quantities are squared, and the squares summed, in float32, up to 3e38
# What catalogues write, with either sign, where nothing was measured.
NOT_KNOWN = (99.0, 999.0, 9999.0, 99999.0)


@dataclass(frozen=True)
class VoteLayout:
    """Which columns of a table are votes: the tree, the columns read as fractions, the columns read
    as counts.
    """

    tree: DecisionTree
    main: VoteColumns
    counts: VoteColumns | None
    spelt: Mapping[str, str] = field(default_factory=dict[str, str])

    def name_of(self, columns: VoteColumns, answer: str) -> str:
        """The column that holds an answer, as the table writes it: `spelt` has those that differ
        from the tree's by spaces or case.
        """
        name = columns.of(answer)
        return self.spelt.get(name, name)

    @property
    def column_names(self) -> set[str]:
        """Every column of the table that is votes and not the user's own."""
        used = [self.main] + ([self.counts] if self.counts else [])
        return {self.name_of(columns, answer) for columns in used for answer in self.tree.columns}


@dataclass(frozen=True)
class Votes:
    """Joint fractions (NaN: not known) and, where the table has them, whole counts (-1: not
    known).
    """

    values: Float32[np.ndarray, "galaxy answer"]
    counts: Int32[np.ndarray, "galaxy answer"] | None


def find_layout(
    columns: Sequence[str], *, tree: DecisionTree | None = None, kind: str | None = None
) -> VoteLayout | None:
    """The tree and the kind of columns that a table's header fits, or None; `tree` and `kind`
    narrow the search.

    A header that fits several campaigns is a ConfigError that names them.
    """
    header = Header(columns)
    layouts: list[VoteLayout] = []
    for candidate in _candidates(tree):
        fitting = [
            table
            for table in candidate.tables
            if all(table.of(answer) in header for answer in candidate.columns)
        ]
        main = next((table for table in fitting if kind in (None, table.name)), None)
        if main is None:
            continue
        others = [
            table for table in fitting if table.holds == "votes" and table.columns != main.columns
        ]
        counts = others[0] if others and main.holds != "votes" else None
        layouts.append(VoteLayout(candidate, main, counts, _spelt(header, candidate, main, counts)))
    # Many tables have a column called "class" that is not the volunteers'; a whole campaign's
    # columns say more.
    campaigns = [layout for layout in layouts if len(layout.tree.questions) > 1]
    if len(campaigns) > 1:
        names = " and ".join(repr(layout.tree.name) for layout in campaigns)
        raise ConfigError(
            f"the columns of one table fit the trees {names}: say which with"
            " `labels=LabelSettings(tree=…)`"
        )
    return (campaigns or layouts or [None])[0]


def _spelt(header: Header, tree: DecisionTree, *columns: VoteColumns | None) -> dict[str, str]:
    """The columns of votes that a table writes otherwise than the tree."""
    names = {kind.of(answer) for kind in columns if kind for answer in tree.columns}
    return {name: found for name in names if (found := header.find(name)) not in (None, name)}


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
                    f"{len(missing)} of {len(names)} are missing, e.g. {missing[0]}"
                    if missing
                    else "all are there"
                )
                best = (
                    share,
                    f"nearest is tree {candidate.name!r}, columns {table.name!r}: {what}",
                    candidate.name,
                )
    others = [tree.name for tree in candidates if tree.name != best[2]]
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


def _candidates(tree: DecisionTree | None) -> list[DecisionTree]:
    return [tree] if tree else [DecisionTree.load(name) for name in bundled_trees()]


def read_votes(
    table: pa.Table,
    layout: VoteLayout,
    *,
    at: Callable[[int], str],
    missing: Sequence[str] = (),
) -> Votes:
    """The votes of a table; an impossible value is a DataError naming file, line, column and value.

    `at` says where a row stands: its file and line. `missing` are values that mean unknown, beside
    the words for it (see `cells`).
    """
    reader = _Reader(table, layout, at, missing)
    if layout.main.holds == "class":
        return Votes(reader.classes(layout.main), None)
    if layout.main.holds == "quantity":
        return Votes(reader.quantities(layout.main), None)
    if layout.main.holds == "votes":
        counts = reader.counts(layout.main)
        return Votes(_fractions_of(counts, layout.tree), counts)
    fractions = reader.values(layout.main)
    return Votes(fractions, reader.counts(layout.counts) if layout.counts else None)


def _fractions_of(
    counts: Int32[np.ndarray, "galaxy answer"], tree: DecisionTree
) -> Float32[np.ndarray, "galaxy answer"]:
    conditional = np.full(counts.shape, np.nan)
    for _, where in tree:
        known = counts[:, where].clip(min=0)
        asked = known.sum(axis=1)
        reached = asked > 0
        conditional[reached, where] = known[reached] / asked[reached, None]
    return tree.joint(conditional).astype(np.float32)


@dataclass(frozen=True)
class _Reader:
    table: pa.Table
    layout: VoteLayout
    at: Callable[[int], str]
    missing: Sequence[str]

    @property
    def tree(self) -> DecisionTree:
        return self.layout.tree

    def values(self, columns: VoteColumns) -> Float32[np.ndarray, "galaxy answer"]:
        values = self._numbers(columns)
        is_votes = next(
            (
                t.name
                for t in self.tree.tables
                if t.holds == "votes" and t.columns == columns.columns
            ),
            None,
        )
        expected = "fractions lie in 0–1. Correct it, or leave all votes of this row empty."
        counts = f"`labels=LabelSettings(votes={is_votes!r})`"
        remedy = f" If these are whole counts, pass {counts}." if is_votes else ""
        self._refuse(values > 1 + 1e-6, values, columns, expected + remedy)
        self._refuse(values < 0, values, columns, expected)
        unlabelled = np.asarray(np.isnan(values).all(axis=1))
        for index, (question, where) in enumerate(self.tree):
            self._check_known(values, unlabelled, columns, where)
            totals = values[:, where].sum(axis=1)
            expected, like = np.ones(len(totals)), ""
            if columns.holds == "joint" and (parent := self.tree.parents[index]) is not None:
                expected, like = values[:, parent], f" like {columns.of(self.tree.columns[parent])}"
            if columns.holds == "conditional":
                # A question nobody was asked is published as zeros, too.
                nobody = totals == 0
                values[nobody, where] = np.nan
                totals[nobody] = np.nan
            if columns.normalise:
                with np.errstate(invalid="ignore"):
                    values[:, where] /= np.nansum(values[:, where], axis=1, keepdims=True)
                continue
            off = np.abs(totals - expected) > SUM_TOLERANCE
            if off.any():
                row = int(off.argmax())
                names = ", ".join(columns.of(answer) for answer in self.tree.columns[where])
                raise DataError(
                    f"{self.at(row)}: the answers of {question.name} ({names}) add up to"
                    f" {totals[row]:.4g}; expected {expected[row]:.4g}{like}. Correct the row, or"
                    " leave all its votes empty"
                )
        values = values.clip(0, 1)
        return (self.tree.joint(values) if columns.holds == "conditional" else values).astype(
            np.float32
        )

    def _check_known(
        self,
        values: Float[np.ndarray, "galaxy answer"],
        unlabelled: Bool[np.ndarray, " galaxy"],
        columns: VoteColumns,
        where: slice,
    ) -> None:
        """Refuse a question of which some answers only are known; where `columns` are to be
        normalised, make it unknown as a whole.
        """
        unknown = np.isnan(values[:, where])
        partly = unknown.any(axis=1) & ~unlabelled
        if columns.holds == "conditional":
            # Empty as a whole: nobody was asked. Debiasing one by one also loses single answers.
            partly &= ~unknown.all(axis=1)
        if columns.normalise:
            values[partly, where] = np.nan
        elif partly.any():
            row = int(partly.argmax())
            column = self.layout.name_of(
                columns, self.tree.columns[where][int(unknown[row].argmax())]
            )
            raise DataError(
                f"{self.at(row)}: {column} is empty or NaN; expected a fraction in 0–1."
                " Fill it in, or leave all votes of this row empty"
            )

    def counts(self, columns: VoteColumns) -> Int32[np.ndarray, "galaxy answer"]:
        values = self._numbers(columns)
        self._refuse(
            (values < 0) | (values != np.floor(values)) & ~np.isnan(values),
            values,
            columns,
            "votes are whole counts, 0 or more.",
        )
        self._refuse(values > 1e6, values, columns, "no galaxy has a million votes.")
        for _, where in self.tree:
            unknown = np.isnan(values[:, where])
            partly = unknown.any(axis=1) & ~unknown.all(axis=1)
            if partly.any():
                row = int(partly.argmax())
                column = self.layout.name_of(
                    columns, self.tree.columns[where][int(unknown[row].argmax())]
                )
                raise DataError(
                    f"{self.at(row)}: {column} is empty while other answers of its question have"
                    " votes; expected a whole count, 0 if nobody gave it"
                )
        return np.where(np.isnan(values), -1, values).astype(np.int32)

    def quantities(self, columns: VoteColumns) -> Float32[np.ndarray, "galaxy answer"]:
        values = self._numbers(columns)
        self._refuse(
            np.isinf(values),
            values,
            columns,
            "a quantity is a finite number. Correct it, or leave it empty if it is not known.",
        )
        self._refuse(
            _stand_ins(values),
            values,
            columns,
            "far from all others. If it stands for not known, leave it empty, or pass"
            " `labels=LabelSettings(missing=…)` with this value.",
        )
        self._refuse(
            np.abs(values) > _LARGEST,
            values,
            columns,
            f"a quantity is computed with up to {_LARGEST:g}: give the column in a larger unit, or"
            " its logarithm; or pass `labels=LabelSettings(missing=…)` with this value if it stands"
            " for not known.",
        )
        largest = np.nan_to_num(np.abs(values)).max(axis=0, initial=0)
        self._refuse(
            (values != 0) & ~np.isnan(values) & (largest < 1 / _LARGEST),
            values,
            columns,
            f"the quantities of a column are computed from {1 / _LARGEST:g} on: give the column in"
            " a smaller unit, or its logarithm.",
        )
        return values.astype(np.float32)

    def classes(self, columns: VoteColumns) -> Float32[np.ndarray, "galaxy answer"]:
        encoded = (
            self.table.column(self.layout.spelt.get(columns.columns, columns.columns))
            .cast(pa.large_string())
            .fill_null("")
            .combine_chunks()
            .dictionary_encode()
        )
        which, names = encoded.indices.to_numpy(), cast("list[str]", encoded.dictionary.to_pylist())
        columns_of = {answer: i for i, answer in enumerate(self.tree.columns)}
        fractions = np.zeros((len(which), len(columns_of)), np.float32)
        for number, name in enumerate(names):
            rows = which == number
            if name == "":
                fractions[rows] = np.nan
            elif name not in columns_of:
                row = int(rows.argmax())
                close = difflib.get_close_matches(name, columns_of, n=1)
                others = f"known are {', '.join(columns_of)}."
                known = f"did you mean {close[0]!r}?" if close else others
                other = (
                    f" If these classes are not the tree's, pass"
                    f" `labels=LabelSettings(classes={columns.columns!r})` without a tree"
                )
                raise DataError(f"{self.at(row)}: {columns.columns} is {name!r}; {known}{other}")
            else:
                fractions[rows, columns_of[name]] = 1
        return fractions

    def _numbers(self, columns: VoteColumns) -> Float[np.ndarray, "galaxy answer"]:
        arrays: list[np.ndarray] = []
        for answer in self.tree.columns:
            name = self.layout.name_of(columns, answer)
            numbers = numbers_of(self.table.column(name), self.missing)
            if isinstance(numbers, NotANumber):
                raise DataError(
                    f"{self.at(numbers.row)}: {name} is {numbers.word!r}; {numbers.expected}"
                )
            arrays.append(numbers)
        return np.stack(arrays, axis=1)

    def _refuse(
        self, bad: np.ndarray, values: np.ndarray, columns: VoteColumns, expected: str
    ) -> None:
        if bad.any():
            row, answer = map(int, np.argwhere(bad)[0])
            column = self.layout.name_of(columns, self.tree.columns[answer])
            more = f" ({int(bad.sum()) - 1} more like it)" if bad.sum() > 1 else ""
            raise DataError(
                f"{self.at(row)}: {column} is {values[row, answer]:g}; {expected}{more}"
            )


def _stand_ins(values: Float[np.ndarray, "galaxy answer"]) -> Bool[np.ndarray, "galaxy answer"]:
    """Where a column has one of `NOT_KNOWN`, farther from all its other numbers than those are from
    each other.
    """
    stand_ins = np.zeros(values.shape, bool)
    for index, column in enumerate(values.T):
        for number in (*NOT_KNOWN, *(-number for number in NOT_KNOWN)):
            others = column[(column != number) & ~np.isnan(column)]
            if len(others) > 1 and np.abs(others - number).min() > np.ptp(others) > 0:
                stand_ins[:, index] |= column == number
    return stand_ins
