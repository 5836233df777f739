"""Predicted quantities → numbers, and the files that tell them: what `report` is for fractions.

Nothing is pooled over quantities: a T type and a colour have no common unit. Each has, over the
galaxies where it is known, the RMSE, the mean absolute error, the bias (mean of predicted −
measured) and R², the fraction of the variance among the judged galaxies that is explained: 1 − Σ
(predicted − measured)² / Σ (measured − their mean)². Whoever always says that mean has 0, and
whoever is worse is below. As in `report`, a measure is `{"value", "low", "high"}`.

Source of R²: Draper & Smith 1998, Applied Regression Analysis, section 1.3.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.errors import DataError
from galaxyvotes.metrics.bootstrap import Measure, Statistic, divide, intervals, number, ratio, root
from galaxyvotes.metrics.coverage import statistics as statistics_of_bounds
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.page import render_quantities
from galaxyvotes.reports.write import FORMAT, SHOWN, Images, Report, familiarity, told, verdict
from galaxyvotes.runtime.files import write_text

__all__ = ["MEASURES", "statistics", "summarise", "write_quantities"]

MEASURES = ("rmse", "mae", "bias", "r2")

Values = Float[np.ndarray, "galaxy answer"]


def statistics(labels: Values, predicted: Values) -> dict[str, Statistic]:
    """`MEASURES` of each quantity, as functions of weights over galaxies; what is not known counts
    nowhere.
    """
    if not np.isfinite(predicted).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(predicted))} predictions are NaN or infinite"
        )
    known = ~np.isnan(labels)
    counts = known.astype(np.float64)
    errors = np.where(known, predicted.astype(np.float64) - labels, 0.0)
    # Around their mean, so that the variance of values far from zero is no difference of huge
    # numbers.
    centred = np.where(known, labels - _means(labels), 0.0)

    def explained(
        weights: Float[np.ndarray, "resample galaxy"],
    ) -> Float[np.ndarray, "resample answer"]:
        spread = weights @ centred**2 - divide(np.square(weights @ centred), weights @ counts)
        return 1 - divide(
            weights @ errors**2, np.where(spread > 1e-12 * (centred**2).sum(axis=0), spread, 0.0)
        )

    return {
        "rmse": root(ratio(errors**2, counts)),
        "mae": ratio(np.abs(errors), counts),
        "bias": ratio(errors, counts),
        "r2": explained,
    }


def summarise(
    labels: Values, predicted: Predictions, *, seed: int = 0, resamples: int = 1000
) -> list[dict[str, Any]]:
    """Per quantity its name, how many galaxies it is known of, their mean and deviation, and every
    measure.
    """
    found = intervals(
        statistics(labels, predicted.values), len(labels), resamples=resamples, seed=seed
    )
    return [
        {
            "quantity": column,
            "galaxies": len(known),
            "mean": float(known.mean()) if len(known) else None,
            "deviation": float(known.std()) if len(known) else None,
            **{name: found[name].measure(place) for name in MEASURES},
        }
        for place, column in enumerate(predicted.columns)
        for known in [labels[~np.isnan(labels[:, place]), place].astype(np.float64)]
    ]


def write_quantities(
    out: str | Path,
    *,
    network: Predictions,
    baselines: Mapping[str, Predictions],
    labels: Values,
    provenance: Mapping[str, Any],
    seen_in_training: int,
    images: Images | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    nominal_coverage: float | None = None,
    shift: Shift | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Report:
    """Write `report.html`, `report.json` and `report.csv` into the folder `out`; the arguments are
    `write_report`'s.

    All predictions have the rows and the columns of `labels`.
    """
    out = Path(out)
    if not len(network):
        raise DataError("no galaxy to judge by: a report needs galaxies with known values")
    sampling = {"seed": seed, "resamples": resamples}
    document: dict[str, Any] = {
        "format": FORMAT,
        "title": f"How well the network measures {' and '.join(network.columns)}",
        "galaxies": len(network),
        "seen_in_training": seen_in_training,
        "bootstrap": sampling,
        "network": summarise(labels, network, **sampling),
        "baselines": {
            name: summarise(labels, each, **sampling) for name, each in baselines.items()
        },
        "ahead_of": {
            name: _ahead(labels, network, each, **sampling) for name, each in baselines.items()
        },
        "intervals": None,
        "familiarity": None,
        "history": [dict(row) for row in history or ()],
        "provenance": dict(provenance),
    }
    if network.bounds is not None and nominal_coverage is not None:
        document["intervals"] = _bounds(labels, network, nominal_coverage, **sampling)
    document["summary"] = _summary(document)
    best, worst = _best_and_worst(labels, network.values)
    for name, rows in (("best", best), ("worst", worst)):
        document[name] = [_galaxy(row, labels, network) for row in rows.tolist()]
    document["familiarity"], strangest = familiarity(network, shift)
    shown = np.concatenate([best, worst, strangest])
    pictures = images(shown) if images and len(shown) else None
    report = Report(document, out / "report.html", out / "report.json", out / "report.csv")
    page = render_quantities(document, labels, network, pictures=pictures)
    write_text(
        report.json,
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n",
    )
    write_text(report.csv, _table(document))
    write_text(report.html, page)
    return report


def _ahead(
    labels: Values, one: Predictions, other: Predictions, *, seed: int, resamples: int
) -> list[Measure]:
    """Per quantity, by how much the RMSE of `other` is above that of `one`, on the same
    resamples.
    """
    ours, theirs = (statistics(labels, each.values)["rmse"] for each in (one, other))
    difference: Callable[[np.ndarray], np.ndarray] = lambda weights: theirs(weights) - ours(weights)  # noqa: E731
    found = intervals({"rmse": difference}, len(labels), resamples=resamples, seed=seed)["rmse"]
    return [found.measure(place) for place in range(len(one.columns))]


def _bounds(
    labels: Values, network: Predictions, nominal: float, *, seed: int, resamples: int
) -> dict[str, Any]:
    """How often the network's bounds held, and how wide they are."""
    assert network.bounds is not None
    every = statistics_of_bounds(labels, *network.bounds, coverage=nominal)
    wanted = {name: every[f"{name}_per_answer"] for name in ("coverage", "width")}
    found = intervals(wanted, len(labels), resamples=resamples, seed=seed)
    rows = [
        {"quantity": column} | {name: found[name].measure(place) for name in wanted}
        for place, column in enumerate(network.columns)
    ]
    return {"nominal": nominal, "quantities": rows}


def _summary(document: Mapping[str, Any]) -> str:
    """The report in a sentence or two for each quantity, that promise no more than the numbers
    do.
    """
    seen = document["seen_in_training"]
    whom = "galaxies" if seen else "galaxies that it never saw in training"
    sentences: list[str] = []
    for place, row in enumerate(document["network"]):
        if row["rmse"]["value"] is None:
            sentences.append(f"{row['quantity']} is known of none of these galaxies.")
            continue
        text = (
            f"On {row['galaxies']:,} {whom}, {row['quantity']} has an RMSE of"
            f" {told(row['rmse'], '.4g')}"
        )
        sentences.append(f"{text}, and R² is {told(row['r2'], '.4g')}.")
        others = {
            name: rows[place]["rmse"]["value"] for name, rows in document["baselines"].items()
        }
        if others:
            best = min(others, key=lambda name: others[name])
            ahead = verdict(**document["ahead_of"][best][place], form=".4g")
            sentences.append(
                f"The best baseline, {best}, has an RMSE of {others[best]:.4g}: {ahead}."
            )
    if seen:
        sentences.append(
            f"{seen:,} of these galaxies taught or tuned it, so this says little about how it does"
            " on others."
        )
    return " ".join(sentences)


def _means(values: Values) -> Float[np.ndarray, " answer"]:
    """The mean of each quantity over the galaxies where it is known; 0 where it never is."""
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(
        known.sum(axis=0), 1
    )


def _best_and_worst(
    labels: Values, predicted: Values
) -> tuple[Int[np.ndarray, " best"], Int[np.ndarray, " worst"]]:
    """The galaxies with the smallest and largest errors, in units of each quantity's deviation;
    none among both.
    """
    known = ~np.isnan(labels)
    squares = np.where(known, (labels - _means(labels)) ** 2, 0).sum(axis=0)
    errors = np.where(known, (predicted.astype(np.float64) - labels) ** 2, 0) / np.where(
        squares > 0, squares, 1
    )
    order = np.argsort(errors.sum(axis=1) / np.maximum(known.sum(axis=1), 1), kind="stable")
    order = order[known[order].any(axis=1)]
    shown = min(SHOWN, len(order) // 2)
    return order[:shown], order[::-1][:shown]


def _galaxy(row: int, labels: Values, network: Predictions) -> dict[str, Any]:
    """One galaxy: what is known of it, and what the network says."""
    ends = network.bounds
    return {
        "id": network.ids[row],
        "quantities": [
            {
                "quantity": column,
                "measured": number(float(labels[row, place])),
                "predicted": number(float(network.values[row, place])),
                "low": None if ends is None else number(float(ends.lower[row, place])),
                "high": None if ends is None else number(float(ends.upper[row, place])),
            }
            for place, column in enumerate(network.columns)
        ],
    }


def _table(document: Mapping[str, Any]) -> str:
    """The CSV: one row a quantity and predictor."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]
    writer.writerow(["quantity", "predictor", "galaxies", "mean", "deviation", *ends])
    for name, rows in {"network": document["network"], **document["baselines"]}.items():
        for row in rows:
            cells = [value for measure in MEASURES for value in row[measure].values()]
            writer.writerow(
                [row["quantity"], name, row["galaxies"], row["mean"], row["deviation"], *cells]
            )
    return file.getvalue()
