"""How good the predictions of an evaluated table are, and which galaxies each number is made of:
what counts galaxies comes with the words of a `filter` that finds them.

The measures are those of the report (see `metrics`), with the same confidence intervals.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from galaxyvotes.errors import ConfigError
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES, Kind
from galaxyvotes.metrics.accuracy import confusion_matrices
from galaxyvotes.metrics.bootstrap import confidence_intervals, number
from galaxyvotes.metrics.classification import class_statistics, confusion_matrix
from galaxyvotes.metrics.coverage import interval_statistics
from galaxyvotes.metrics.regression import quantity_statistics
from galaxyvotes.metrics.reliability import reliability_curve
from galaxyvotes.metrics.roc import THRESHOLD, auc, auc_statistic, roc_curve
from galaxyvotes.metrics.scores import score_statistics
from galaxyvotes.metrics.statistic import Statistic, value_of
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.galaxy_table import CLASS, PREDICTED_CLASS
from galaxyvotes.web.answer_table import AnswerColumns
from galaxyvotes.web.catalogue import UNCERTAINTY, Catalogue
from galaxyvotes.web.evaluated import ERROR, WIDTH, most_columns, read_comparison
from galaxyvotes.web.selection import Selection

__all__ = ["CUTS", "judged", "judged_answer"]

SHOWN = 12  # galaxies of each group
CURVE = 200  # points of a ROC curve
# Predicted fractions at which the galaxies of a ROC curve are counted; rare answers have low ones.
CUTS = (0.01, 0.02, *(round(0.05 * step, 2) for step in range(1, 20)), 0.98, 0.99)
BINS = {FRACTIONS: 10, QUANTITIES: 16}  # of predictions beside labels

Numbers = Float[np.ndarray, " galaxy"]

_POOLED: Mapping[Kind, Mapping[str, str]] = {
    FRACTIONS: {
        "rmse": "RMSE",
        "mae": "Mean absolute error",
        "mean_question_accuracy": "Accuracy by question",
        "calibration_error": "Calibration error",
    },
    CLASSES: {
        "accuracy": "Accuracy",
        "balanced_accuracy": "Balanced accuracy",
        "macro_f1": "Macro F1",
        "calibration_error": "Calibration error",
    },
}
_INTERVALS = {"coverage": "Coverage of the intervals", "width": "Width of the intervals"}
_OF_ANSWERS: Mapping[Kind, Mapping[str, str]] = {
    FRACTIONS: {"rmse_per_answer": "RMSE", "auc_per_answer": "AUC"},
    CLASSES: {"precision": "Precision", "recall": "Recall", "f1": "F1", "auc": "AUC"},
    QUANTITIES: {"rmse": "RMSE", "mae": "Mean absolute error", "bias": "Bias", "r2": "R²"},
}
_INTERVALS_OF_ANSWERS = {"coverage_per_answer": "Coverage", "width_per_answer": "Width"}


def judged(table: Catalogue) -> dict[str, Any]:
    """The galaxies with the largest and smallest errors and those that are least familiar and most
    uncertain; the measures over all galaxies and of each answer; who is taken for whom.

    Raises ConfigError for a table without labels, DataError if it cannot be read any more.
    """
    answers = _answers_of(table)
    comparison = read_comparison(table.file, answers, table.id_column)
    statistics, kind = _statistics(comparison), comparison.kind
    bounded = comparison.predicted.bounds is not None
    pooled = _over_all(kind, len(answers.columns), bounded=bounded)
    each = {**_OF_ANSWERS[kind], **(_INTERVALS_OF_ANSWERS if bounded else {})}
    return {
        "kind": kind.name,
        "galaxies": len(comparison.predicted),
        "nominal_coverage": _nominal(table) if bounded else None,
        "groups": list(_groups(table, kind)),
        "measures": _measures({name: statistics[name] for name in pooled}, pooled, comparison),
        "columns": [{"name": name, "title": title} for name, title in each.items()],
        "answers": _answers(comparison, {name: statistics[name] for name in each}),
        "confusions": list(_confusions(comparison)),
    }


def judged_answer(table: Catalogue, answer: str) -> dict[str, Any]:
    """Of one answer the ROC curve and the reliability diagram, and predictions beside labels; null
    what its kind has not.

    Raises ConfigError for an answer that the table has not, and what `judged` raises.
    """
    answers = _answers_of(table)
    if answer not in answers.columns:
        raise ConfigError(
            f"{table.path.name} has no answer {answer!r}; it has {', '.join(answers.columns)}"
        )
    comparison = read_comparison(table.file, answers, table.id_column, [answer])
    label, predicted = comparison.labels[:, 0], comparison.predicted.values[:, 0]
    known = ~np.isnan(label)
    kind = answers.tree.kind_of(tuple(answers.columns))
    filters = _Filters(answers, answer, bool(known.all()))
    label, predicted = label[known], predicted[known]
    of_quantity = kind is QUANTITIES
    return {
        "answer": answer,
        "galaxies": len(label),
        "roc": None if of_quantity else _roc(label, predicted, filters),
        "reliability": None if of_quantity else _reliability(label, predicted, filters),
        "grid": None if kind is CLASSES else _grid(label, predicted, filters, BINS[kind]),
    }


def _over_all(kind: Kind, answers: int, *, bounded: bool) -> dict[str, str]:
    """The measures over all answers and their titles. Quantities have no common unit: several have
    the coverage of their intervals in common only.
    """
    if kind is not QUANTITIES:
        return {**_POOLED[kind], **(_INTERVALS if bounded else {})}
    single = {**_OF_ANSWERS[kind], **_INTERVALS} if answers == 1 else {**_INTERVALS}
    return {
        name: title
        for name, title in single.items()
        if (bounded or name not in _INTERVALS) and (answers == 1 or name != "width")
    }


def _answers_of(table: Catalogue) -> AnswerColumns:
    if table.answers is None or not table.answers.is_evaluated:
        raise ConfigError(
            f"{table.path.name} has no labels beside its predictions: serve a run that"
            " `evaluate` has judged, or the predictions.csv that it wrote"
        )
    return table.answers


# ---- all answers


def _statistics(comparison: Comparison) -> dict[str, Statistic]:
    labels, values = comparison.labels, comparison.predicted.values
    if comparison.kind is CLASSES:
        of_kind = {**class_statistics(labels, values), "auc": auc_statistic(labels, values)}
    elif comparison.kind is QUANTITIES:
        of_kind = quantity_statistics(labels, values)
    else:
        columns = comparison.predicted.columns
        of_kind = score_statistics(labels, values, comparison.tree, columns=columns)
    if comparison.predicted.bounds is None:
        return of_kind
    any_score = 0.5  # the interval score is not shown
    return of_kind | interval_statistics(labels, *comparison.predicted.bounds, coverage=any_score)


def _measures(
    statistics: Mapping[str, Statistic], titles: Mapping[str, str], comparison: Comparison
) -> list[dict[str, Any]]:
    measured = confidence_intervals(statistics, len(comparison.predicted)) if statistics else {}
    return [
        {"name": name, "title": titles[name], **interval.measure(*[0] * interval.value.ndim)}
        for name, interval in measured.items()
    ]


def _answers(comparison: Comparison, statistics: Mapping[str, Statistic]) -> list[dict[str, Any]]:
    tree, labels = comparison.tree, comparison.labels
    values = {name: value_of(one, len(labels)) for name, one in statistics.items()}
    texts = {a.column: (a.text, q.text) for q in tree.questions for a in q.answers}
    own = labels == 1 if comparison.kind is CLASSES else ~np.isnan(labels)
    return [
        {
            "answer": column,
            "text": texts[column][0],
            "question": texts[column][1],
            "unit": tree.units.get(column, ""),
            "galaxies": int(own[:, i].sum()),
            **{name: number(float(value[i])) for name, value in values.items()},
        }
        for i, column in enumerate(comparison.predicted.columns)
    ]


def _groups(table: Catalogue, kind: Kind) -> Iterator[dict[str, Any]]:
    uncertain = WIDTH if kind is QUANTITIES else UNCERTAINTY
    sorts = {"worst": f"-{ERROR}", "best": ERROR}
    if table.familiarity is not None:
        sorts["least_familiar"] = table.familiarity
    if kind is not QUANTITIES or WIDTH in table.numbers:
        sorts["most_uncertain"] = f"-{uncertain}"
    for name, sort in sorts.items():
        column = sort.removeprefix("-")
        rows = table.rows(Selection(sort=sort))[:SHOWN].tolist()
        galaxies = [
            {"id": row["id"], "value": number(float(row[column])), **_first(table, kind, row)}
            for row in table.read(rows, [column, *_first_quantity(table, kind)])
            if row[column] is not None
        ]
        yield {"name": name, "sort": sort, "galaxies": galaxies}


def _first(table: Catalogue, kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """The label and the prediction of the first question or quantity, None where it is not known:
    the most given answer, or the number.
    """
    if kind is QUANTITIES:
        both = [row[name] for name in _first_quantity(table, kind)]
    else:
        question = _answers_of(table).tree.questions[0].name
        names = (CLASS, PREDICTED_CLASS) if kind is CLASSES else most_columns(question)
        there = [name for name in names if name in table.schema.names]
        both = [table.word_of(name, row["id"]) or None for name in there] or [None, None]
    return dict(zip(("label", "predicted"), both, strict=True))


def _first_quantity(table: Catalogue, kind: Kind) -> list[str]:
    answers = _answers_of(table)
    first = next(iter(answers.columns))
    return [answers.labels[first], answers.columns[first]] if kind is QUANTITIES else []


def _confusions(comparison: Comparison) -> Iterator[dict[str, Any]]:
    tree, labels, predicted = comparison.tree, comparison.labels, comparison.predicted
    texts = {answer.column: answer.text for answer in tree.answers}
    if comparison.kind is CLASSES:
        counts = confusion_matrix(labels, predicted.values)
        found = {tree.questions[0].name: (predicted.columns, counts)}
    elif comparison.kind is FRACTIONS:
        found = confusion_matrices(labels, predicted.values, tree, columns=predicted.columns)
    else:
        found = {}
    for question in tree.questions:
        if question.name not in found:
            continue
        columns, galaxies = found[question.name]
        own, given = (
            (CLASS, PREDICTED_CLASS) if comparison.kind is CLASSES else most_columns(question.name)
        )
        yield {
            "question": question.name,
            "text": question.text,
            "answers": [{"answer": name, "text": texts[name]} for name in columns],
            "cells": [
                [
                    {
                        "galaxies": int(galaxies[row, column]),
                        "filter": [f"{own}:={one}", f"{given}:={other}"],
                    }
                    for column, other in enumerate(columns)
                ]
                for row, one in enumerate(columns)
            ],
        }


def _nominal(table: Catalogue) -> float | None:
    """The coverage that the intervals promise, which the report beside the table says."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        report = json.loads(table.path.with_name("report.json").read_text("utf-8"))
        return float(report["intervals"]["nominal"])
    return None


# ---- one answer


@dataclass(frozen=True)
class _Filters:
    """The filters of one answer: of its label, which may be known `everywhere`, and of its
    prediction.
    """

    answers: AnswerColumns
    answer: str
    everywhere: bool

    def known(self) -> list[str]:
        """Whose label is known."""
        return [] if self.everywhere else [f"{self._label}:!="]

    def positive(self, *, positive: bool) -> list[str]:
        """Whose label is above the threshold, or is the class; or whose is not."""
        if self.answers.own_class:
            return [f"{self._label}:{'=' if positive else '!='}{self.answer}"]
        return [f"{self._label}:" + (f">{THRESHOLD}.." if positive else f"..{THRESHOLD}")]

    def predicted(self, low: str, high: str) -> list[str]:
        """Whose prediction is between two ends."""
        return [f"{self.answer}:{low}..{high}"]

    def cell(self, label: tuple[str, str], predicted: tuple[str, str]) -> list[str]:
        """Whose label and prediction are each between two ends."""
        return [f"{self._label}:{label[0]}..{label[1]}", *self.predicted(*predicted)]

    @property
    def _label(self) -> str:
        return self.answers.own_class or self.answers.labels[self.answer]


def _roc(label: Numbers, predicted: Numbers, filters: _Filters) -> dict[str, Any] | None:
    positive = label > THRESHOLD
    curve = roc_curve(positive, predicted)
    if not len(curve.thresholds):
        return None
    kept = np.unique(np.linspace(0, len(curve.thresholds) - 1, CURVE).round().astype(int))
    rates = np.stack([curve.false_positive_rate, curve.true_positive_rate], axis=1)[kept]

    def group(*, of: bool, selected: bool, cut: float) -> dict[str, Any]:
        chosen = predicted >= cut if selected else predicted < cut
        ends = (f"{cut}", "") if selected else ("", f"<{cut}")
        return {
            "galaxies": int((chosen & (positive == of)).sum()),
            "filter": filters.positive(positive=of) + filters.predicted(*ends),
        }

    def point(cut: float) -> dict[str, Any]:
        above = predicted >= cut
        return {
            "threshold": cut,
            "false_positive_rate": float(above[~positive].mean()),
            "true_positive_rate": float(above[positive].mean()),
            "found": group(of=True, selected=True, cut=cut),
            "wrong": group(of=False, selected=True, cut=cut),
            "missed": group(of=True, selected=False, cut=cut),
            "left": group(of=False, selected=False, cut=cut),
        }

    return {
        "auc": auc(positive, predicted),
        "positives": int(positive.sum()),
        "negatives": int((~positive).sum()),
        "curve": rates.round(5).tolist(),
        "points": [point(cut) for cut in CUTS],
    }


def _reliability(label: Numbers, predicted: Numbers, filters: _Filters) -> list[dict[str, Any]]:
    curve = reliability_curve(label[:, None], predicted[:, None])
    edges = [step / len(curve.counts) for step in range(len(curve.counts) + 1)]
    return [
        {
            "low": low,
            "high": high,
            "mean_predicted": number(float(curve.mean_predicted[i])),
            "mean_label": number(float(curve.mean_label[i])),
            "galaxies": int(curve.counts[i]),
            "filter": filters.known() + filters.predicted(*_ends(edges, i)),
        }
        for i, (low, high) in enumerate(pairwise(edges))
    ]


def _grid(label: Numbers, predicted: Numbers, filters: _Filters, bins: int) -> dict[str, Any]:
    """How many galaxies have labels and predictions in each of equal bins, those that have some;
    of fractions the bins are those of 0 to 1.
    """
    low, high = 0.0, 1.0
    if bins != BINS[FRACTIONS] and len(label):
        both = np.concatenate([label, predicted])
        low, high = float(both.min()), float(both.max())
    digits = 3 - math.floor(math.log10(high - low or 1))
    edges = [round(low + (high - low) * step / bins, digits) for step in range(bins + 1)]
    inner = np.array(edges[1:-1])
    rows, columns = (np.searchsorted(inner, one, side="right") for one in (label, predicted))
    counts = np.zeros((bins, bins), np.int64)
    np.add.at(counts, (rows, columns), 1)
    cells = [
        {
            "label": row,
            "predicted": column,
            "galaxies": int(counts[row, column]),
            "filter": filters.cell(_ends(edges, row), _ends(edges, column)),
        }
        for row, column in np.argwhere(counts).tolist()
    ]
    return {"edges": edges, "cells": cells}


def _ends(edges: list[float], i: int) -> tuple[str, str]:
    """The ends of a bin in the words of a filter: it holds its lower edge only, the first bin also
    what is below and the last what is above.
    """
    low = "" if i == 0 else f"{edges[i]!r}"
    high = "" if i == len(edges) - 2 else f"<{edges[i + 1]!r}"
    return low, high
