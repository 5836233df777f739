"""A table that `evaluate` wrote, while it is served: labels beside predictions, and columns that
are computed of both.

    prediction_error           what the report ranks galaxies by: of fractions the RMSE over the
                               answers; of classes 1 − the probability of the galaxy's class; of
                               quantities the RMSE in units of their standard deviations
    interval_width             of quantities with intervals: their mean width in the same units
    most_voted_QUESTION        of fractions: the answer that most volunteers gave, and the one that
    most_predicted_QUESTION    most are predicted to give, where half of them were asked

Numbers are read as they are written, in double precision, so that the galaxies that a filter finds
are those that were counted.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from galaxyvotes.errors import DataError
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES
from galaxyvotes.metrics.accuracy import most_given
from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.questions import BOUNDS
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.document import CONTENTS
from galaxyvotes.reports.quantities import interval_widths
from galaxyvotes.tables.ids import id_texts
from galaxyvotes.web.answer_table import AnswerColumns

__all__ = ["ERROR", "WIDTH", "most_columns", "read_comparison", "with_errors"]

ERROR, WIDTH = "prediction_error", "interval_width"

Numbers = Float[np.ndarray, " galaxy"]


def most_columns(question: str) -> tuple[str, str]:
    """The columns of the most voted and the most predicted answer of a question."""
    return f"most_voted_{question}", f"most_predicted_{question}"


def read_comparison(
    file: Path, answers: AnswerColumns, id_column: str, only: Sequence[str] | None = None
) -> Comparison:
    """The labels and predictions in an evaluated table, of all answers or of these.

    Raises DataError if a prediction is missing, or if there is no galaxy.
    """
    names = [*(answers.columns if only is None else only)]
    schema = pq.read_schema(file)
    ends = [answers.ends(end) for end in BOUNDS]
    bounded = {*ends[0], *ends[1]} <= {*schema.names}
    place = [[*answers.columns].index(name) for name in names]
    wanted = [id_column, *(answers.columns[name] for name in names)]
    wanted += [answers.own_class] if answers.own_class else [answers.labels[n] for n in names]
    wanted += [end[i] for end in ends for i in place] if bounded else []
    table = pq.read_table(file, columns=wanted, use_threads=False)

    def numbers(columns: Sequence[str]) -> Float[np.ndarray, "galaxy answer"]:
        return np.stack([_numbers(table.column(name)) for name in columns], axis=1)

    values = numbers([answers.columns[name] for name in names])
    if answers.own_class:
        own = np.array(table.column(answers.own_class).cast(pa.string()).to_pylist(), object)
        labels = np.stack([own == name for name in names], axis=1).astype(np.float64)
        labels[[word not in answers.columns for word in own]] = np.nan
    else:
        labels = numbers([answers.labels[name] for name in names])
    ids = tuple(id_texts(table.column(id_column)))
    if not np.isfinite(values).all():
        row, i = np.argwhere(~np.isfinite(values))[0].tolist()
        raise DataError(
            f"{ids[row]!r} has no prediction in {answers.columns[names[i]]!r}, and errors are those"
            " of all galaxies: serve the table as `evaluate` wrote it"
        )
    bounds = Bounds(*(numbers([end[i] for i in place]) for end in ends)) if bounded else None
    return Comparison(answers.tree, labels, Predictions(ids, tuple(names), values, bounds=bounds))


def with_errors(file: Path, answers: AnswerColumns, id_column: str, out: Path) -> Path:
    """The table with the columns that this module adds; one of such a name is left out.

    Raises what `read_comparison` raises.
    """
    added = dict(_computed(read_comparison(file, answers, id_column)))
    with pq.ParquetFile(file) as source:
        fields = [field for field in source.schema_arrow if field.name not in added]
        kept = [field.name for field in fields]
        fields += [pa.field(name, values.type) for name, values in added.items()]
        schema = pa.schema(fields, source.schema_arrow.metadata)
        start = 0
        with pq.ParquetWriter(out, schema) as writer:
            for batch in source.iter_batches(65_536, columns=kept, use_threads=False):
                rows = [values.slice(start, len(batch)) for values in added.values()]
                writer.write_table(pa.table([*batch.columns, *rows], schema=schema))
                start += len(batch)
    return out


def _computed(comparison: Comparison) -> Iterator[tuple[str, pa.Array]]:
    labels, predicted = comparison.labels, comparison.predicted
    errors = CONTENTS[comparison.kind].errors(labels, predicted.values)
    errors = errors if comparison.kind is CLASSES else np.sqrt(errors)
    yield ERROR, pa.array(errors, mask=np.isnan(labels).all(axis=1))
    if comparison.kind is QUANTITIES and (widths := interval_widths(comparison)) is not None:
        yield WIDTH, pa.array(widths)
    if comparison.kind is FRACTIONS:
        columns = predicted.columns
        for name, given in most_given(
            labels, predicted.values, comparison.tree, columns=columns
        ).items():
            words = pa.array(given.columns, pa.string())
            for column, most in zip(most_columns(name), given[1:], strict=True):
                yield column, words.take(pa.array(most, mask=most < 0))


def _numbers(column: pa.ChunkedArray) -> Numbers:
    """Numbers in double precision, NaN where there is none."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
