"""The headline measures of each kind of labels: columns of the page's first table, and a table of
plain text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.metrics.bootstrap import Measure
from galaxyvotes.reports.digits import digits_of
from galaxyvotes.reports.units import titled

__all__ = ["HEADLINE", "Column", "html_table", "text_table"]


@dataclass(frozen=True)
class Column:
    """A measure of a predictor: its key in the document and its title.

    Those `in_unit` have the unit of the quantity. Text has the columns `in_text`, and their
    confidence intervals where `with_interval`.
    """

    key: str
    title: str
    larger_is_better: bool = False
    in_text: bool = True
    with_interval: bool = False
    in_unit: bool = False


HEADLINE: dict[Kind, tuple[Column, ...]] = {
    FRACTIONS: (
        Column("rmse", "RMSE", with_interval=True),
        Column("mae", "MAE"),
        Column("argmax_accuracy", "Accuracy, all answers", larger_is_better=True),
        Column("question_accuracy", "Accuracy by question", True, in_text=False),
        Column("confident_accuracy", "Accuracy, confident labels", True, in_text=False),
        Column("mean_auc", "Mean AUC", larger_is_better=True),
    ),
    CLASSES: (
        Column("accuracy", "Accuracy", larger_is_better=True, with_interval=True),
        Column("balanced_accuracy", "Balanced accuracy", larger_is_better=True, with_interval=True),
        Column("macro_f1", "Macro F1", larger_is_better=True),
        Column("cross_entropy", "Cross-entropy"),
        Column("brier", "Brier score"),
    ),
    QUANTITIES: (
        Column("rmse", "RMSE", with_interval=True, in_unit=True),
        Column("mae", "MAE", in_unit=True),
        Column("bias", "Bias", in_text=False, in_unit=True),
        Column("r2", "R²", larger_is_better=True, with_interval=True),
    ),
}


def text_table(document: Mapping[str, Any], kind: Kind) -> str:
    """The headline measures, a row for each predictor (of each quantity), the network first."""
    return "\n".join(_aligned(_table(document, kind)))


def html_table(document: Mapping[str, Any], kind: Kind) -> Markup:
    """The same as a table of HTML."""
    header, *rows = _table(document, kind)
    head = Markup("").join(Markup("<th>{}</th>").format(cell) for cell in header)
    body = [Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row) for row in rows]
    lines = Markup("").join(Markup("<tr>{}</tr>").format(line) for line in (head, *body))
    return Markup("<table>{}</table>").format(lines)


def _table(document: Mapping[str, Any], kind: Kind) -> list[list[str]]:
    columns = [column for column in HEADLINE[kind] if column.in_text]
    header: list[str] = []
    for column in columns:
        header += [column.title] + ["95 % interval"] * column.with_interval
    rows = [
        [
            *names,
            *(
                cell
                for column in columns
                for cell in _cells(summary[column.key], column, document["decimals"])
            ),
        ]
        for names, summary in _ROWS[kind](document)
    ]
    labels = len(rows[0]) - len(header)
    return [[""] * labels + header, *rows]


def _predictors(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"network": document["network"], **document["baselines"]}


def _rows_of_predictors(document: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for name, summary in _predictors(document).items():
        yield [name], summary


def _rows_of_quantities(document: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for i, row in enumerate(document["network"]):
        for name, summary in _predictors(document).items():
            yield [titled(row["quantity"], row["unit"]), name], summary[i]


_ROWS = {
    FRACTIONS: _rows_of_predictors,
    CLASSES: _rows_of_predictors,
    QUANTITIES: _rows_of_quantities,
}


def _cells(measure: Measure, column: Column, decimals: int) -> list[str]:
    text = digits_of(measure, None if column.in_unit else decimals)
    return [text.value, text.ends] if column.with_interval else [text.value]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose cells stand below each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
