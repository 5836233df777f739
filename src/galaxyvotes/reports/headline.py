"""The headline measures of each kind of labels: columns of the page's first table, and a table of
plain text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galaxyvotes.kinds import FRACTIONS, QUANTITIES, Kind
from galaxyvotes.metrics.bootstrap import Measure

__all__ = ["HEADLINE", "Column", "text_table"]


@dataclass(frozen=True)
class Column:
    """A measure of a predictor: its key in the document, its title, and how numbers are written.

    Text has the columns `in_text`, and their confidence intervals where `with_interval`.
    """

    key: str
    title: str
    form: str
    larger_is_better: bool = False
    in_text: bool = True
    with_interval: bool = False


HEADLINE: dict[Kind, tuple[Column, ...]] = {
    FRACTIONS: (
        Column("rmse", "RMSE", ".4f", with_interval=True),
        Column("mae", "MAE", ".4f"),
        Column("argmax_accuracy", "Accuracy, all answers", ".4f", larger_is_better=True),
        Column("question_accuracy", "Accuracy by question", ".4f", True, in_text=False),
        Column("confident_accuracy", "Accuracy, confident labels", ".4f", True, in_text=False),
        Column("mean_auc", "Mean AUC", ".4f", larger_is_better=True),
    ),
    QUANTITIES: (
        Column("rmse", "RMSE", ".4g", with_interval=True),
        Column("mae", "MAE", ".4g"),
        Column("bias", "Bias", ".4g", in_text=False),
        Column("r2", "R²", ".4g", larger_is_better=True, with_interval=True),
    ),
}


def text_table(document: Mapping[str, Any], kind: Kind) -> str:
    """The headline measures, a row for each predictor (of each quantity), the network first."""
    columns = [column for column in HEADLINE[kind] if column.in_text]
    header: list[str] = []
    for column in columns:
        header += [column.title] + ["95 % interval"] * column.with_interval
    rows = [
        [*names, *(cell for column in columns for cell in _cells(summary[column.key], column))]
        for names, summary in _ROWS[kind](document)
    ]
    labels = len(rows[0]) - len(header)
    return "\n".join(_aligned([[""] * labels + header, *rows]))


def _predictors(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"network": document["network"], **document["baselines"]}


def _rows_of_fractions(document: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for name, summary in _predictors(document).items():
        yield [name], summary


def _rows_of_quantities(document: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for i, row in enumerate(document["network"]):
        for name, summary in _predictors(document).items():
            yield [row["quantity"], name], summary[i]


_ROWS = {FRACTIONS: _rows_of_fractions, QUANTITIES: _rows_of_quantities}


def _cells(measure: Measure, column: Column) -> list[str]:
    value, low, high = (
        "–" if number is None else f"{number:{column.form}}"
        for number in (measure["value"], measure["low"], measure["high"])
    )
    return [value, f"{low} to {high}"] if column.with_interval else [value]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose cells stand below each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
