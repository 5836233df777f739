"""The bundled model as it is shipped, evaluated on galaxies it has never seen.

    python benchmarks/bundled.py --json benchmarks/json/bundled.json

The galaxies are those of the challenge whose 37 fractions are published and which the test split
holds, by the same hash of the id that held them out when the model was trained: none of their
images was used for training or calibration, in any of its three catalogues (a galaxy whose image
stands in the training set under another id is left out). Most of the fractions were published after
the model was trained. Besides the 95 % intervals of the figures, the JSON file
has the points that `pictures.py` draws. A few minutes on two cores."""

import argparse
from pathlib import Path

import numpy as np

import galaxyvotes as gv
from catalogues import FRACTIONS, LARGER, Catalogue
from galaxyvotes.evaluation.baselines import mean_vote
from galaxyvotes.evaluation.seen import calibrated_on, seen_by
from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.metrics.coverage import interval_statistics
from galaxyvotes.metrics.reliability import reliability_curve
from galaxyvotes.metrics.roc import THRESHOLD, class_sizes, roc_curve
from galaxyvotes.metrics.scores import bootstrap_scores, rmse, rmse_per_answer
from galaxyvotes.runs.run import bundled_run
from provenance import write

MEASURES = (
    "rmse",
    "mae",
    "mean_question_accuracy",
    "mean_confident_accuracy",
    "mean_auc_of_frequent",
)
POINTS = 41  # of a ROC curve


def figures(store: gv.Store, rows: np.ndarray, predicted: gv.Predictions) -> dict:
    """Every measure with its interval."""
    labels = store.values[rows]
    measured = bootstrap_scores(labels, predicted.values, store.tree)
    lower, upper = predicted.bounds
    held = confidence_intervals(interval_statistics(labels, lower, upper, coverage=0.9), len(rows))
    floor = mean_vote(store, rows).values
    return {
        "galaxies": len(rows),
        "answers_with_ten_positives": int((class_sizes(labels)[0] >= 10).sum()),
        **{name: measured[name].measure() for name in MEASURES},
        "rmse_per_answer": measured["rmse_per_answer"].value.tolist(),
        "coverage": held["coverage"].measure(),
        "coverage_lowest": float(np.nanmin(held["coverage_per_answer"].value)),
        "width": held["width"].measure(),
        "mean_vote_rmse": rmse(labels, floor),
        "mean_vote_rmse_per_answer": rmse_per_answer(labels, floor).tolist(),
    }


def curve(positive: np.ndarray, predicted: np.ndarray) -> dict[str, list[float]]:
    """A ROC curve at evenly spaced false positive rates."""
    roc = roc_curve(positive, predicted)
    rates = np.linspace(0, 1, POINTS) ** 2  # most points where the curve bends
    found = np.interp(rates, roc.false_positive_rate, roc.true_positive_rate)
    return {"false": rates.round(4).tolist(), "true": found.round(4).tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(".bench/bundled"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    store = Catalogue(given.data, given.work, "fractions", FRACTIONS, settings=LARGER).whole
    run = bundled_run()
    rows = store.rows("test")
    rows = rows[~(seen_by(run, store) | calibrated_on(run, store, run.heads[0]))[rows]]
    predicted = gv.predict_store(run.network(tree=store.tree.name), store, rows)
    labels, values = store.values[rows], predicted.values
    bins = reliability_curve(labels, values)
    results = {
        **figures(store, rows, predicted),
        "columns": list(store.tree.columns),
        "reliability": {
            "predicted": bins.mean_predicted.tolist(),
            "labels": bins.mean_label.tolist(),
            "cells": bins.counts.tolist(),
        },
        "roc": {
            column: curve(labels[:, place] > THRESHOLD, values[:, place])
            for place, column in enumerate(store.tree.columns)
            if (labels[:, place] > THRESHOLD).sum() >= 10
        },
    }
    for name in ("galaxies", *MEASURES, "coverage", "coverage_lowest", "width", "mean_vote_rmse"):
        print(name, results[name])
    write(given.json, results)


if __name__ == "__main__":
    main()
