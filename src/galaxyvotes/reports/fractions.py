"""The numbers of a report on vote fractions (see `document`).

Accuracy and confident accuracy as one number are the mean over the questions with galaxies to
count. What each measure means is written in `metrics.scores`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from galaxyvotes.metrics.accuracy import (
    MIN_CONFIDENCE,
    MIN_REACHED,
    confusion_matrices,
    consistency,
    question_accuracy,
)
from galaxyvotes.metrics.bootstrap import Interval, Measure, confidence_intervals, number
from galaxyvotes.metrics.coverage import interval_statistics
from galaxyvotes.metrics.cuts import CUTS, count_selected, cut_statistics
from galaxyvotes.metrics.information import entropy
from galaxyvotes.metrics.reliability import reliability_curve
from galaxyvotes.metrics.roc import class_sizes
from galaxyvotes.metrics.scores import FEW_POSITIVES, bootstrap_scores, rmse
from galaxyvotes.metrics.statistic import mean_defined
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.challenge import leaderboard as known_places
from galaxyvotes.reports.challenge import leaderboard_place
from galaxyvotes.reports.comparison import Comparison, Conditional, ReportSettings, Values
from galaxyvotes.tree import DecisionTree, Question

__all__ = [
    "conditional_intervals",
    "cut_tables",
    "galaxy",
    "galaxy_entropies",
    "galaxy_errors",
    "leaderboard",
    "prediction_intervals",
    "rmse_difference",
    "summarise",
    "table",
]

QUESTIONS_SHOWN = 3

_DEFAULT = ReportSettings()


# ---- one predictor


def summarise(comparison: Comparison, settings: ReportSettings = _DEFAULT) -> dict[str, Any]:
    """Every measure of the predictions.

    The mean AUC is over the answers where it is defined, and once more over those with ten
    positives or more: with fewer, an AUC is mostly noise.
    """
    tree, labels, predicted = comparison.tree, comparison.labels, comparison.predicted
    values, columns = predicted.values, predicted.columns
    measured = bootstrap_scores(
        labels,
        values,
        tree,
        columns=columns,
        resamples=settings.resamples,
        auc_resamples=settings.auc_resamples,
        seed=settings.seed,
    )
    positives, negatives = class_sizes(labels)
    defined = (positives > 0) & (negatives > 0)
    frequent = defined & (positives >= FEW_POSITIVES)

    def by_question(name: str, min_confidence: float) -> dict[str, Any]:
        accuracy = question_accuracy(
            labels, values, tree, columns=columns, min_confidence=min_confidence
        )
        rows = [
            {"question": question, "galaxies": galaxies} | measured[name].measure(i)
            for i, (question, (_, galaxies)) in enumerate(accuracy.items())
        ]
        return measured[f"mean_{name}"].measure() | {"questions": rows}

    return {
        "galaxies": len(predicted),
        **{name: measured[name].measure() for name in ("mse", "rmse", "mae", "argmax_accuracy")},
        "question_accuracy": by_question("question_accuracy", 0.0),
        "confident_accuracy": by_question("confident_accuracy", MIN_CONFIDENCE),
        "mean_auc": measured["mean_auc"].measure() | {"answers": int(defined.sum())},
        "mean_auc_of_frequent": (
            measured["mean_auc_of_frequent"].measure() | {"answers": int(frequent.sum())}
        ),
        "calibration_error": measured["calibration_error"].measure(),
        "reliability": _reliability(labels, values),
        "consistency": [
            {"question": name, "mean": number(gap.mean), "largest": number(gap.largest)}
            for name, gap in consistency(values, tree, columns=columns).items()
        ],
        "answers": _answers(labels, predicted, measured, tree),
    }


def _reliability(labels: Values, predicted: Values) -> list[dict[str, Any]]:
    curve = reliability_curve(labels, predicted)
    return [
        {
            "range": f"{i / len(curve.counts):.1f}–{(i + 1) / len(curve.counts):.1f}",
            "mean_predicted": number(float(curve.mean_predicted[i])),
            "mean_truth": number(float(curve.mean_label[i])),
            "fractions": int(count),
        }
        for i, count in enumerate(curve.counts)
    ]


def _answers(
    labels: Values, predicted: Predictions, measured: Mapping[str, Interval], tree: DecisionTree
) -> list[dict[str, Any]]:
    positives, negatives = class_sizes(labels)
    texts = {answer.column: answer.text for answer in tree.answers}
    return [
        {
            "answer": column,
            "text": texts[column],
            "mean_fraction": number(float(mean_defined(labels[:, i]))),
            "mean_predicted": number(float(mean_defined(predicted.values[:, i]))),
            "rmse": measured["rmse_per_answer"].measure(i),
            "auc": measured["auc_per_answer"].measure(i),
            "positives": int(positives[i]),
            "negatives": int(negatives[i]),
            "judged": bool(positives[i] >= FEW_POSITIVES and negatives[i] > 0),
        }
        for i, column in enumerate(predicted.columns)
    ]


def rmse_difference(
    comparison: Comparison, other: Comparison, settings: ReportSettings = _DEFAULT
) -> Measure:
    """The RMSE of `other`, of the same labels, less that of `comparison`, with its interval.

    Both are computed on the same resamples, so the interval is that of the difference, narrower
    than the two apart.
    """
    labels = comparison.labels
    squares = [
        np.where(np.isnan(labels), 0.0, (one.predicted.values - labels) ** 2)
        for one in (comparison, other)
    ]
    sums = np.stack([np.asarray(square.sum(axis=1), np.float64) for square in squares], axis=1)
    known = (~np.isnan(labels)).sum(axis=1, dtype=np.float64)

    def difference(weights: np.ndarray) -> np.ndarray:
        cells = weights @ known
        roots = np.sqrt(weights @ sums / np.where(cells > 0, cells, np.nan)[:, None])
        return roots[:, 1] - roots[:, 0]

    return _bootstrapped({"rmse": difference}, labels, settings)["rmse"].measure()


def _bootstrapped(
    statistics: Mapping[str, Any], labels: Values, settings: ReportSettings
) -> dict[str, Interval]:
    return confidence_intervals(
        statistics, len(labels), resamples=settings.resamples, seed=settings.seed
    )


# ---- sections


def cut_tables(comparison: Comparison, settings: ReportSettings) -> dict[str, Any]:
    """Purity and completeness of cuts on the predicted fractions, and confusion by question."""
    labels, values = comparison.labels, comparison.predicted.values
    columns = comparison.predicted.columns
    statistics = {
        f"{name} at {cut}": statistic
        for cut in CUTS
        for name, statistic in cut_statistics(labels, values, cut).items()
    }
    measured = _bootstrapped(statistics, labels, settings)
    counts = {cut: count_selected(labels, values, cut) for cut in CUTS}

    def row(i: int, cut: float) -> dict[str, Any]:
        shares = {
            name: measured[f"{name} at {cut}"].measure(i) for name in ("purity", "completeness")
        }
        return {"cut": cut, "chosen": int(counts[cut][i]), **shares}

    confusion = confusion_matrices(labels, values, comparison.tree, columns=columns)
    return {
        "answers": [
            {"answer": column, "cuts": [row(i, cut) for cut in CUTS]}
            for i, column in enumerate(columns)
        ],
        "questions": [
            {
                "question": name,
                "answers": list(each.columns),
                "galaxies": each.galaxies.tolist(),
                "judged": int(each.galaxies.sum()) >= FEW_POSITIVES,
            }
            for name, each in confusion.items()
        ],
    }


def prediction_intervals(comparison: Comparison, settings: ReportSettings) -> dict[str, Any] | None:
    """Empirical coverage and width of the bounds of joint fractions; None without bounds."""
    if comparison.predicted.bounds is None:
        return None
    joint = Conditional(comparison.labels, comparison.predicted)
    return _coverage(joint, comparison.nominal_coverage, settings)


def conditional_intervals(
    comparison: Comparison, settings: ReportSettings
) -> dict[str, Any] | None:
    """The same of conditional fractions."""
    if comparison.conditional is None:
        return None
    return _coverage(comparison.conditional, comparison.nominal_coverage, settings)


def _coverage(
    compared: Conditional, nominal: float | None, settings: ReportSettings
) -> dict[str, Any] | None:
    bounds = compared.predicted.bounds
    if nominal is None or bounds is None:
        return None
    measured = _bootstrapped(
        interval_statistics(compared.labels, *bounds, coverage=nominal), compared.labels, settings
    )
    return {
        "nominal": nominal,
        **{name: measured[name].measure() for name in ("coverage", "width", "interval_score")},
        "answers": [
            {
                "answer": column,
                "coverage": measured["coverage_per_answer"].measure(i),
                "width": measured["width_per_answer"].measure(i),
            }
            for i, column in enumerate(compared.predicted.columns)
        ],
    }


def leaderboard(comparison: Comparison, settings: ReportSettings) -> dict[str, Any] | None:  # noqa: ARG001
    """Where the RMSE would stand in the 2014 challenge; None unless these are its galaxies and all
    of its answers.
    """
    tree, predicted = comparison.tree, comparison.predicted
    error = number(rmse(comparison.labels, predicted.values))
    comparable = tree.name == known_places()["tree"] and predicted.columns == tree.columns
    if error is None or not comparison.on_leaderboard or not comparable:
        return None
    return leaderboard_place(error)


# ---- single galaxies


def galaxy_errors(labels: Values, predicted: Values) -> Float[np.ndarray, " galaxy"]:
    """The mean squared error of each galaxy over its known answers."""
    known = ~np.isnan(labels)
    squares = np.where(known, (predicted - labels) ** 2, 0.0).sum(axis=1)
    return squares / np.maximum(known.sum(axis=1), 1)


def galaxy_entropies(comparison: Comparison) -> Float[np.ndarray, " galaxy"] | None:
    """The entropy of the answers that one volunteer is predicted to give, in bits; None where an
    answer is not predicted that a question is asked of.
    """
    tree, predicted = comparison.tree, comparison.predicted
    if tree.orphans(predicted.columns):
        return None
    return entropy(tree, predicted.values, predicted.columns)


def galaxy(row: int, comparison: Comparison) -> dict[str, Any]:
    """One galaxy: of the questions that half of the volunteers were asked, by the labels or by the
    predictions, those with the largest errors.
    """
    labels: np.ndarray = comparison.labels[row].astype(float)
    predicted: np.ndarray = comparison.predicted.values[row].astype(float)
    columns = comparison.predicted.columns
    errors: dict[str, float] = {}
    bars: dict[str, list[dict[str, Any]]] = {}
    for question in comparison.tree.questions:
        answers = [
            (a.text, columns.index(a.column)) for a in question.answers if a.column in columns
        ]
        at = [place for _, place in answers]
        if not at or np.isnan(labels[at]).any():
            continue
        if max(labels[at].sum(), predicted[at].sum()) < MIN_REACHED:
            continue
        errors[question.name] = float(((labels[at] - predicted[at]) ** 2).sum())
        bars[question.name] = [
            {"text": text, "volunteers": float(labels[i]), "network": float(predicted[i])}
            for text, i in answers
        ]
    known = ~np.isnan(labels)
    worst = sorted(errors, key=lambda name: -errors[name])[:QUESTIONS_SHOWN]
    return {
        "id": comparison.predicted.ids[row],
        "rmse": float(np.sqrt(np.mean((labels - predicted)[known] ** 2))) if known.any() else None,
        "questions": [
            _question(question, bars[question.name])
            for question in comparison.tree.questions
            if question.name in worst
        ],
    }


def _question(question: Question, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"question": question.name, "text": question.text, "answers": list(answers)}


# ---- the CSV


def table(document: Mapping[str, Any], tree: DecisionTree) -> list[list[Any]]:
    """A header, and a row for each answer."""
    texts = {a.column: (q.name, a.text) for q, _ in tree for a in q.answers}
    baselines = document["baselines"]
    header = ["question", "answer", "text", "mean_fraction", "rmse", "rmse_low", "rmse_high"]
    header += ["auc", "auc_low", "auc_high", "positives", "negatives"]
    header += [f"{name}_at_{cut}" for cut in CUTS for name in ("chosen", "purity", "completeness")]
    header += [f"rmse_{name.replace(' ', '_')}" for name in baselines]
    rows: list[list[Any]] = [header]
    for i, row in enumerate(document["network"]["answers"]):
        question, text = texts[row["answer"]]
        cells = [question, row["answer"], text, row["mean_fraction"]]
        cells += [*row["rmse"].values(), *row["auc"].values(), row["positives"], row["negatives"]]
        for cut in document["cuts"]["answers"][i]["cuts"]:
            cells += [cut["chosen"], cut["purity"]["value"], cut["completeness"]["value"]]
        cells += [summary["answers"][i]["rmse"]["value"] for summary in baselines.values()]
        rows.append(cells)
    return rows
