"""Every galaxy that was evaluated as a table: its label and its prediction of each answer.

Columns of fractions and quantities are `ANSWER_label`, `ANSWER_predicted` and, of a calibrated run,
`ANSWER_low` and `ANSWER_high`; of classes `class`, `predicted` and `probability_CLASS`. The last is
`familiarity`, if there is one. What is not known is empty. No column has the name of an answer, so
that the table is not mistaken for labels.
"""

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from galaxyvotes.kinds import CLASSES
from galaxyvotes.metrics.classification import membership, probabilities
from galaxyvotes.questions import BOUNDS, FAMILIARITY
from galaxyvotes.reports.comparison import Comparison

__all__ = [
    "CLASS",
    "EVALUATED",
    "LABEL",
    "PREDICTED",
    "PREDICTED_CLASS",
    "PROBABILITY",
    "galaxy_table",
]

EVALUATED = "predictions.csv"  # the name of the table
LABEL, PREDICTED = "_label", "_predicted"  # behind the name of an answer
CLASS, PREDICTED_CLASS, PROBABILITY = "class", "predicted", "probability_"


def galaxy_table(comparison: Comparison) -> pa.Table:
    """A row for each galaxy, in the order of the predictions."""
    predicted = comparison.predicted
    of_answers = _of_classes if comparison.kind is CLASSES else _of_values
    columns = of_answers(comparison)
    if predicted.familiarity is not None:
        columns[FAMILIARITY] = _numbers(predicted.familiarity)
    ids = pa.array(predicted.ids, pa.string())
    return pa.table([ids, *columns.values()], names=[predicted.id_name, *columns])


def _of_values(comparison: Comparison) -> dict[str, pa.Array]:
    predicted = comparison.predicted
    sides = {LABEL: comparison.labels, PREDICTED: predicted.values}
    if predicted.bounds is not None:
        sides |= dict(zip(BOUNDS, predicted.bounds, strict=True))
    return {
        f"{column}{end}": _numbers(values[:, i])
        for i, column in enumerate(predicted.columns)
        for end, values in sides.items()
    }


def _of_classes(comparison: Comparison) -> dict[str, pa.Array]:
    columns = comparison.predicted.columns
    members = membership(comparison.labels)
    chances = probabilities(comparison.predicted.values)
    names = pa.array(columns, pa.string())
    own = pa.array(np.nan_to_num(members).argmax(axis=1), mask=np.isnan(members).any(axis=1))
    shares = {PROBABILITY + name: _numbers(chances[:, i]) for i, name in enumerate(columns)}
    return {
        CLASS: names.take(own),
        PREDICTED_CLASS: names.take(pa.array(comparison.predicted.values.argmax(axis=1))),
        **shares,
    }


def _numbers(values: Float[np.ndarray, " galaxy"]) -> pa.Array:
    """Numbers, null where they are NaN."""
    return pa.array(values.astype(np.float32), mask=np.isnan(values))
