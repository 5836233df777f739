"""Labels from the columns of a table: checked once here, trusted afterwards.

Whatever a campaign publishes (joint fractions, conditional fractions, whole counts, a class)
becomes joint fractions, and the counts beside them where there are any. A question that nobody was
asked, or whose answer is not known, is NaN as a whole, as is one that the table does not have; a
row without a single value is a galaxy without votes.

Quantities (see `tree`) are read the same way, as the numbers they are.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float32, Int32

from galaxyvotes.errors import DataError
from galaxyvotes.tables.cells import NotANumber, numbers_of
from galaxyvotes.tables.text_tables import AMBIGUOUS
from galaxyvotes.tables.vote_layout import VoteLayout
from galaxyvotes.tree import DecisionTree, VoteColumns

__all__ = ["Votes", "read_votes"]

SUM_TOLERANCE = 0.01  # published fractions are rounded to two or three decimals
_LARGEST = 1e15  # quantities are squared, and the squares summed, in float32, up to 3e38
# What catalogues write, with either sign, where nothing was measured.
NOT_KNOWN = (99.0, 999.0, 9999.0, 99999.0)


@dataclass(frozen=True)
class Votes:
    """Joint fractions (NaN: not known) and, where the table has them, whole counts (-1: not
    known) or the answer with the largest fraction (-1: not known).
    """

    values: Float32[np.ndarray, "galaxy answer"]
    counts: Int32[np.ndarray, "galaxy answer"] | None
    largest: Int32[np.ndarray, " galaxy"] | None = None

    @property
    def labelled(self) -> Bool[np.ndarray, " galaxy"]:
        """Which galaxies have a value, or a known largest fraction."""
        labelled = np.asarray(~np.isnan(self.values).all(axis=1))
        return labelled if self.largest is None else labelled | (self.largest >= 0)


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
    if layout.largest:
        largest = reader.answers(layout.main)
        fractions = np.full((len(largest), len(layout.tree.columns)), np.nan, np.float32)
        return Votes(fractions, None, largest)
    if layout.main.holds == "class":
        return Votes(reader.classes(layout.main), None)
    if layout.main.holds == "quantity":
        return Votes(reader.quantities(layout.main), None)
    if layout.main.holds == "votes":
        counts = reader.counts(layout.main)
        return Votes(reader.only_known(_fractions_of(counts, layout.tree)), counts)
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

    def only_known(
        self, fractions: Float32[np.ndarray, "galaxy answer"]
    ) -> Float32[np.ndarray, "galaxy answer"]:
        """The same fractions, NaN for the questions that the table does not have: of a question
        that nobody was asked they are 0, of some galaxies only.
        """
        return np.where(self.layout.known, fractions, np.float32(np.nan))

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
        if 1.5 < np.nanmax(values, initial=0) <= 100:
            remedy += " If they are percentages, divide them by 100."
        self._refuse(values > 1 + 1e-6, values, columns, expected + remedy)
        unknown = (
            " If it stands for not known, pass `labels=LabelSettings(missing=…)` with this value."
        )
        self._refuse(values < 0, values, columns, expected + unknown)
        unlabelled = np.asarray(np.isnan(values).all(axis=1))
        for index, (question, where) in enumerate(self.tree):
            if question.name in self.layout.unknown:
                continue
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
        joint = self.tree.joint(values) if columns.holds == "conditional" else values
        return self.only_known(joint.astype(np.float32))

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
        answers = self.answers(columns)
        fractions = np.zeros((len(answers), len(self.tree.columns)), np.float32)
        known = answers >= 0
        fractions[np.flatnonzero(known), answers[known]] = 1
        fractions[~known] = np.nan
        return fractions

    def answers(self, columns: VoteColumns) -> Int32[np.ndarray, " galaxy"]:
        """The answer that a column of words names, -1 where it is empty."""
        encoded = (
            self.table.column(self.layout.spelt.get(columns.columns, columns.columns))
            .cast(pa.large_string())
            .fill_null("")
            .combine_chunks()
            .dictionary_encode()
        )
        which, names = encoded.indices.to_numpy(), cast("list[str]", encoded.dictionary.to_pylist())
        columns_of = {answer: i for i, answer in enumerate(self.tree.columns)}
        for number, name in enumerate(names):
            if name and name not in columns_of:
                row = int((which == number).argmax())
                close = difflib.get_close_matches(name, columns_of, n=1)
                others = f"known are {', '.join(columns_of)}."
                known = f"did you mean {close[0]!r}?" if close else others
                other = (
                    f"If these classes are not the tree's, pass"
                    f" `labels=LabelSettings(classes={columns.columns!r})` without a tree"
                )
                if self.layout.largest:
                    other = f"It must name an answer of the tree {self.tree.name!r}"
                raise DataError(f"{self.at(row)}: {columns.columns} is {name!r}; {known} {other}")
        return np.array([columns_of.get(name, -1) for name in names], np.int32)[which]

    def _numbers(self, columns: VoteColumns) -> Float[np.ndarray, "galaxy answer"]:
        arrays: list[np.ndarray] = []
        for answer, known in zip(self.tree.columns, self.layout.known, strict=True):
            if not known:
                arrays.append(np.full(len(self.table), np.nan))
                continue
            name = self.layout.name_of(columns, answer)
            self._refuse_ambiguous(name)
            numbers = numbers_of(self.table.column(name), self.missing)
            if isinstance(numbers, NotANumber):
                raise DataError(
                    f"{self.at(numbers.row)}: {name} is {numbers.word!r}; {numbers.expected}"
                )
            arrays.append(numbers)
        return np.stack(arrays, axis=1)

    def _refuse_ambiguous(self, name: str) -> None:
        metadata: dict[bytes, bytes] = self.table.schema.field(name).metadata or {}
        if AMBIGUOUS in metadata:
            raise DataError(
                f"{self.at(0)}: {name} is {metadata[AMBIGUOUS].decode()!r}, where other columns"
                " have decimal commas: this may be one number or thousands; write all columns alike"
            )

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
