"""The columns of a table of predictions: the id of each image, or the columns of the user's own
table as they are; what is predicted; and in a user's table why a row has no prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from galaxyvotes.errors import ConfigError
from galaxyvotes.inference.stream import Part
from galaxyvotes.inference.summary import SUMMARY_FIELDS, summary_columns
from galaxyvotes.kinds import FractionKind
from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.questions import BOUNDS, FAMILIARITY
from galaxyvotes.table_formats.columns import column, meta_of, with_meta
from galaxyvotes.tables.names import column_of, row_column
from galaxyvotes.tree import DecisionTree

__all__ = ["CatalogueColumns", "stamps_of"]

PROBLEM = "image_problem"
IMAGE = "image"
STAMP = "stamp"

_PROBLEM_FIELD = column(
    PROBLEM, pa.string(), description="why the image could not be used; empty if it was"
)
_SHARES = (
    column(
        "image_off_edge",
        pa.float32(),
        description="share of the image that lies beyond the edge of the mosaic",
    ),
    column(
        "image_masked",
        pa.float32(),
        description="share of the image, inside the mosaic, that has no value",
    ),
)
_OF_ROWS = (
    pa.field(STAMP, pa.int64()),
    pa.field(IMAGE, pa.large_string()),
    pa.field(PROBLEM, pa.large_string()),
)


@dataclass(frozen=True)
class CatalogueColumns:
    """The columns of a table, and of its rows while they are computed, which also have the stamp
    of the image's file (see `Chunk`), the name of the image and its problem.

    `schema` is the table's, of which the first `own` columns are not predicted; `answers` are those
    of the predictions, and the others follow as `Predictions.to_table` has them, then a summary
    of `fractions` of a tree, if there is one, and, with `shares`, what of each image lies beyond
    the edge of the mosaic and has no value.
    """

    schema: pa.Schema
    answers: tuple[str, ...]
    own: int = 1
    bounds: bool = False
    familiarity: bool = False
    summary: bool = False
    shares: bool = False
    tree: DecisionTree | None = None  # what a summary is made by, and not needed to read it
    fractions: FractionKind = "joint"

    @staticmethod
    def behind(
        own: pa.Schema,
        predicted: "CatalogueColumns",
        name: str,
        prefix: str,
        *,
        shares: bool = False,
    ) -> "CatalogueColumns":
        """Those of the user's table `name`, then those of a table of predictions, with `prefix`
        before their names, with `shares` also those of each image.

        Raises ConfigError if a column is called as one of the table's own but for case, which FITS
        and VOTable do not tell apart.
        """
        schema = predicted.schema
        of_image = [*(_SHARES if shares else ()), _PROBLEM_FIELD]
        added = [field.with_name(prefix + field.name) for field in [*schema, *of_image][1:]]
        taken = {each.lower() for each in cast("list[str]", own.names)}
        if clash := next((field.name for field in added if field.name.lower() in taken), None):
            raise ConfigError(
                f"{name} has a column {clash!r}, as the predictions have: rename it, or put"
                ' something before the names of theirs, `table=TableSettings(prefix="predicted_")`'
            )
        whole = pa.schema([*own, *added], own.metadata)
        whole = with_meta(whole, {**meta_of(own), **meta_of(schema)})
        return replace(predicted, schema=whole, own=len(own), shares=shares)

    @property
    def keeps_all(self) -> bool:
        """Whether rows without prediction stay in the table, as those of a user's do."""
        return self._stop < len(self.schema)

    @property
    def meanings(self) -> dict[str, str]:
        """What each predicted column is called in `Predictions`."""
        names = [*self.answers]
        names += [name + end for end in BOUNDS for name in self.answers if self.bounds]
        names += [FAMILIARITY] if self.familiarity else []
        return dict(zip(self.schema.names[self.own : self._end], names, strict=True))

    @property
    def of_rows(self) -> pa.Schema:
        """The columns of rows while they are computed."""
        return pa.schema([*[*self.schema][: self._kept], *_OF_ROWS])

    @property
    def _end(self) -> int:
        """Where the columns of `Predictions` end."""
        ends = 2 * len(self.answers) if self.bounds else 0
        return self.own + len(self.answers) + ends + self.familiarity

    @property
    def _stop(self) -> int:
        """Where the columns end that are predicted."""
        return self._end + (len(SUMMARY_FIELDS) if self.summary else 0)

    @property
    def _kept(self) -> int:
        """Where the columns end that rows have while they are computed."""
        return self._stop + (len(_SHARES) if self.shares else 0)

    def rows(self, part: Part[Predictions]) -> pa.Table:
        """The rows of some galaxies; null where nothing is predicted."""
        names, problems = _text_column(part.ids), _text_column(part.problems)
        own = [names.cast(pa.string())] if part.rows is None else part.rows.columns
        added = pa.schema([*self.schema][self.own : self._stop])
        used = np.array([not problem for problem in part.problems], bool)
        predicted: Sequence[pa.Array | pa.ChunkedArray]
        if part.result is None:
            predicted = [pa.nulls(len(names), field.type) for field in added]
        else:
            places = row_column(np.cumsum(used) - 1, used)
            table = pa.table(self._computed(part.result), schema=added)
            predicted = table.take(places).columns
        stamps = np.zeros(len(names), np.int64) if part.stamps is None else part.stamps
        shares = list[pa.Array]()
        if self.shares:
            assert part.shares is not None
            shares = [pa.array(share, mask=~used) for share in part.shares.T]
        columns = [*own, *predicted, *shares, row_column(stamps), names, problems]
        return pa.table(columns, schema=self.of_rows)

    def _computed(self, predictions: Predictions) -> list[pa.Array | pa.ChunkedArray]:
        columns = predictions.to_table().columns[1:]
        if self.summary:
            assert self.tree is not None
            columns += summary_columns(self.tree, self.fractions, predictions)
        return columns

    def written(self, rows: pa.Table) -> pa.Table:
        """These rows as the table has them."""
        if not self.keeps_all:
            rows = _used(rows)
        columns = rows.columns[: self._kept]
        if self.keeps_all:
            columns.append(rows.column(rows.num_columns - 1).cast(pa.string()))
        return pa.table(columns, schema=self.schema)

    def part(self, rows: pa.Table) -> Part[Predictions]:
        """The galaxies of these rows, as they were computed."""
        ids, problems = (rows.column(rows.num_columns + place).to_pylist() for place in (-2, -1))
        used = _used(rows)
        own = rows.select(range(self.own)) if self.keeps_all else None
        if not len(used):
            return Part(ids, problems, None, rows=own)
        predicted = [
            np.from_dlpack(column.combine_chunks())  # to_numpy would import pandas
            for column in used.columns[self.own : self._end]
        ]
        count = len(self.answers)
        values, *ends = (
            np.stack(predicted[start : start + count], axis=1)
            for start in range(0, (3 if self.bounds else 1) * count, count)
        )
        predictions = Predictions(
            tuple(used.column(used.num_columns - 2).to_pylist()),
            self.answers,
            values,
            bounds=Bounds(*ends) if ends else None,
            familiarity=predicted[-1] if self.familiarity else None,
        )
        return Part(ids, problems, predictions, rows=own)


def stamps_of(rows: pa.Table) -> Int[np.ndarray, " row"]:
    """The stamps of the images of these rows."""
    return np.from_dlpack(rows.column(rows.num_columns - 3).combine_chunks())


def _used(rows: pa.Table) -> pa.Table:
    """The rows whose image could be used."""
    problems = rows.column(rows.num_columns - 1).to_pylist()
    return rows.take(row_column(np.flatnonzero([not problem for problem in problems])))


def _text_column(texts: Sequence[str]) -> pa.Array:
    return column_of([text.encode() for text in texts], pa.large_string())
