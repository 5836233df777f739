"""Predictions for galaxies and the tables that hold them: one row a galaxy, one column an answer.

Networks, baselines and the volunteers themselves give this type, so one report compares them. A
calibrated network also gives prediction intervals and a familiarity score of each galaxy: in a
table, `<answer>_low` and `<answer>_high` stand behind the answers, and `familiarity` is the last
column.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from galaxyvotes.answer_columns import ANSWERS, answer_names, table_schema
from galaxyvotes.errors import DataError
from galaxyvotes.questions import BOUNDS, FAMILIARITY, SUMMARY
from galaxyvotes.runtime.counted import counted
from galaxyvotes.runtime.files import given_path, new_file
from galaxyvotes.table_formats.to_astropy import to_astropy, to_pandas
from galaxyvotes.table_formats.write import check_format, write_table
from galaxyvotes.table_settings import TableSettings
from galaxyvotes.tables.names import name_column
from galaxyvotes.tables.table import Table as SourceTable
from galaxyvotes.tree import DecisionTree

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

__all__ = ["Bounds", "Predictions", "Values"]

Values = Float[np.ndarray, "galaxy answer"]


class Bounds(NamedTuple):
    """The ends of the prediction interval of each cell, of fractions in 0–1; NaN where a cell has
    none.
    """

    lower: Values
    upper: Values


@dataclass(frozen=True)
class Predictions:
    """Fractions (0–1) or quantities of galaxies; `columns` are answers of a tree, all or some.

    Fractions are joint, or conditional if a network was asked for those: NaN where nobody would be
    asked. `spread` is their standard deviation over the views and networks that they are the mean
    of, `bounds` the ends of their prediction intervals, `familiarity` a score in 0–1 of each galaxy
    (see `confidence.familiarity`), each None if there is none. `facts` say what predicted them.
    """

    ids: tuple[str, ...]
    columns: tuple[str, ...]
    values: Float[np.ndarray, "galaxy answer"]
    id_name: str = "id"
    bounds: Bounds | None = None
    spread: Float[np.ndarray, "galaxy answer"] | None = None
    familiarity: Float[np.ndarray, " galaxy"] | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        """Refuse a table whose sides do not fit."""
        if self.values.shape != (len(self.ids), len(self.columns)):
            raise ValueError(
                f"{self.values.shape} fractions for {counted(len(self.ids), 'galaxy')} ×"
                f" {counted(len(self.columns), 'answer')}"
            )

    @staticmethod
    def concatenate(parts: Sequence["Predictions"]) -> "Predictions":
        """The galaxies of several parts that are alike, one part after the other."""
        first = parts[0]
        bounds = [part.bounds for part in parts if part.bounds is not None]
        spreads = [part.spread for part in parts if part.spread is not None]
        scores = [part.familiarity for part in parts if part.familiarity is not None]
        return Predictions(
            tuple(name for part in parts for name in part.ids),
            first.columns,
            np.concatenate([part.values for part in parts]),
            first.id_name,
            Bounds(*map(np.concatenate, zip(*bounds, strict=True))) if bounds else None,
            np.concatenate(spreads) if spreads else None,
            np.concatenate(scores) if scores else None,
            first.facts,
        )

    def __len__(self) -> int:
        """The number of galaxies."""
        return len(self.ids)

    def __repr__(self) -> str:
        """How many galaxies and answers, and what else there is."""
        extras = {"intervals": self.bounds, "familiarity": self.familiarity}
        there = ", ".join(name for name, values in extras.items() if values is not None)
        size = f"{counted(len(self), 'galaxy')} × {counted(len(self.columns), 'answer')}"
        return f"<Predictions: {size}{there and f', with {there}'}>"

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Predictions":
        """The galaxies of these rows, in this order."""
        return Predictions(
            tuple(self.ids[int(row)] for row in rows),
            self.columns,
            self.values[rows],
            self.id_name,
            None if self.bounds is None else Bounds(*(end[rows] for end in self.bounds)),
            None if self.spread is None else self.spread[rows],
            None if self.familiarity is None else self.familiarity[rows],
            self.facts,
        )

    def to_table(self, schema: pa.Schema | None = None) -> pa.Table:
        """An Arrow table: the id, a column an answer; if there, two an answer for bounds, and one
        for familiarity. `schema` gives the same columns other names.
        """
        columns = self._numbers()
        arrays = [
            name_column(self.ids).cast(pa.string()),
            *(_numbers(column) for column in columns.values()),
        ]
        return pa.table(arrays, schema=self.schema() if schema is None else schema)

    def schema(
        self, tree: DecisionTree | None = None, names: Sequence[str] | None = None
    ) -> pa.Schema:
        """The columns of the table, with what they mean in the tree, and the facts; `names` are
        what it calls the answers.
        """
        of_tree = {} if tree is None else {"tree": tree.name}
        return table_schema(
            self.columns,
            names=names,
            id_name=self.id_name,
            tree=tree,
            bounds=self.bounds is not None,
            familiarity=self.familiarity is not None,
            meta={**of_tree, **self.facts},
        )

    def to_pandas(self) -> "pd.DataFrame":
        """The table as a pandas data frame, its columns those of a written table.

        Raises MissingExtraError without pandas.
        """
        return to_pandas(self.to_table())

    def to_astropy(self, tree: DecisionTree | None = None) -> "Table":
        """The table as an astropy table, its columns those of a written table, and its `meta` what
        predicted it.

        Columns of answers of `tree` have a description, fractions the unit of pure numbers, and
        quantities theirs, if it is known.
        """
        units: Any = import_module("astropy.units")
        table: Any = to_astropy(self.to_table(self.schema(tree)))
        if tree is not None and tree.kind.bounded:
            for column in table.columns[1:].values():
                column.unit = units.dimensionless_unscaled
        return table

    def _numbers(self) -> dict[str, Float[np.ndarray, " galaxy"]]:
        """The columns of a table behind the id, by name."""
        columns = dict(zip(self.columns, self.values.T, strict=True))
        for end, values in zip(BOUNDS, self.bounds or (), strict=False):
            names = [name + end for name in self.columns]
            columns |= dict(zip(names, values.T, strict=True))
        return columns if self.familiarity is None else {**columns, FAMILIARITY: self.familiarity}

    def write(
        self, path: str | Path, tree: DecisionTree | None = None, *, overwrite: bool = False
    ) -> None:
        """Write the table as the extension says: .csv, .ecsv, .fits, .parquet, .vot or .xml. All
        but CSV say what the columns mean in the tree. In FITS and VOTable the names of answers have
        letters, digits and underlines only.

        Raises ConfigError for another extension, and for a file that is there unless `overwrite`;
        DataError if the file cannot be written.
        """
        path = new_file(path, overwrite=overwrite)
        names = answer_names(self.columns, TableSettings().naming(path), tree)
        schema = self.schema(tree, names)
        write_table(path, schema, [self.to_table(schema)])

    @staticmethod
    def read(
        path: str | Path, *, id_column: str | None = None, columns: Mapping[str, str] | None = None
    ) -> "Predictions":
        """The predictions in a table that `write` wrote: the first column is the id, the others are
        answers, bounds and familiarity. In a table that has other columns, too, `id_column` is the
        id, and `columns` says which are predictions, and what of.

        Raises ConfigError for another extension, DataError if the file cannot be read, has no
        column beside the id or holds anything but numbers there.
        """
        path = given_path(path)
        check_format(path)
        return Predictions.of_table(SourceTable.open(path), id_column, columns)

    @staticmethod
    def of_table(
        table: SourceTable, id_column: str | None = None, columns: Mapping[str, str] | None = None
    ) -> "Predictions":
        """The predictions in a table, as `read` has them; answers are called as in the tree, if the
        table says how that is.

        Raises DataError if it has no column beside the id, or holds anything but numbers there.
        """
        first, *others = table.header()
        if not others:
            raise DataError(
                f"{table.name} has one column, {first!r}: expected an id, then a column for each"
                " answer"
            )
        others = [name for name in others if name not in SUMMARY]
        columns = columns or {}
        columns = {name: columns[name] for name in others if name in columns} or {
            name: name for name in others
        }
        values, names = _read_numbers(table, list(columns)), list(columns.values())
        familiarity = None
        if len(names) > 1 and names[-1] == FAMILIARITY:
            familiarity, names = values[:, -1], names[:-1]
        answers, ends = _answers_and_ends(names)
        facts = table.facts
        called = _called(tuple(names[index] for index in answers), facts.pop(ANSWERS, ""))
        return Predictions(
            tuple(table.texts(id_column or first)),
            called,
            values[:, answers],
            id_name=id_column or first,
            bounds=None if ends is None else Bounds(*(values[:, end] for end in ends)),
            familiarity=familiarity,
            facts=facts,
        )


def _called(answers: tuple[str, ...], in_tree: str) -> tuple[str, ...]:
    """What the tree calls the answers of a table, if a fact says it that fits them."""
    try:
        names = json.loads(in_tree)
    except ValueError:
        return answers
    if not isinstance(names, list):
        return answers
    names = cast("list[object]", names)
    called = tuple(name for name in names if isinstance(name, str))
    return called if len({*called}) == len(names) == len(answers) else answers


def _read_numbers(table: SourceTable, columns: Sequence[str]) -> Float[np.ndarray, "galaxy column"]:
    """These columns of a table as float32; DataError names one that is not numbers."""
    data = table.read()
    values = np.empty((data.num_rows, len(columns)), np.float32)
    for index, column in enumerate(columns):
        try:
            values[:, index] = data.column(column).cast(pa.float32(), safe=False).to_numpy()
        except pa.ArrowException as error:
            raise DataError(f"{table.name}: column {column!r} is not numbers: {error}") from None
    return values


def _answers_and_ends(columns: Sequence[str]) -> tuple[list[int], list[list[int]] | None]:
    """Which columns are answers, and per end of an interval, which are those of the answers; None
    unless every answer has both.
    """
    index = {name: number for number, name in enumerate(columns)}
    answers = [
        name
        for name in columns
        if not any(name.endswith(end) and name.removesuffix(end) in index for end in BOUNDS)
    ]
    whole = all(name + end in index for name in answers for end in BOUNDS)
    ends = [[index[name + end] for name in answers] for end in BOUNDS] if whole else None
    return [index[name] for name in answers], ends


def _numbers(values: Float[np.ndarray, " galaxy"]) -> pa.Array:
    packed = np.ascontiguousarray(values, np.float32)
    return pa.Array.from_buffers(pa.float32(), len(packed), [None, pa.py_buffer(packed)])
