import numpy as np
import pytest

from galaxyvotes.metrics.accuracy import argmax_accuracy, question_accuracy
from galaxyvotes.metrics.roc import auc_per_answer
from galaxyvotes.metrics.scores import mae, mse, rmse, rmse_per_answer
from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.reports.comparison import Comparison, Conditional, ReportSettings
from galaxyvotes.reports.fractions import (
    conditional_intervals,
    galaxy,
    galaxy_errors,
    leaderboard,
    prediction_intervals,
    rmse_difference,
    summarise,
)
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")
LENS = KAGGLE.columns.index("Class8.2")


@pytest.fixture
def near(make_labels, make_predictions):
    """`near(noise)`: predictions of that noise beside the labels."""

    def comparison(noise: float) -> Comparison:
        labels = make_labels()
        return Comparison(KAGGLE, labels, make_predictions(labels, noise))

    return comparison


def test_the_numbers_are_those_of_the_metrics(near, quick):
    comparison = near(0.1)
    labels, values = comparison.labels, comparison.predicted.values
    summary = summarise(comparison, quick)
    for measure in (mse, rmse, mae, argmax_accuracy):
        assert summary[measure.__name__]["value"] == pytest.approx(measure(labels, values))
    accuracy = question_accuracy(labels, values, KAGGLE)
    rows = summary["question_accuracy"]["questions"]
    assert [row["question"] for row in rows] == list(accuracy)
    for row, (value, count) in zip(rows, accuracy.values(), strict=True):
        assert row["galaxies"] == count
        assert row["value"] == pytest.approx(value) if count else row["value"] is None
    known = [value for value, count in accuracy.values() if count]
    assert summary["question_accuracy"]["value"] == pytest.approx(np.mean(known))
    assert [row["rmse"]["value"] for row in summary["answers"]] == pytest.approx(
        rmse_per_answer(labels, values)
    )


def test_an_auc_without_positives_is_null_and_the_means_leave_it_out(near, quick):
    comparison = near(0.1)
    summary = summarise(comparison, quick)
    areas, positives, _ = auc_per_answer(comparison.labels, comparison.predicted.values)
    row = summary["answers"][LENS]
    assert row["auc"] == {"value": None, "low": None, "high": None}
    assert (row["positives"], row["negatives"]) == (0, 40)
    defined = ~np.isnan(areas)
    assert summary["mean_auc"]["value"] == pytest.approx(areas[defined].mean())
    assert summary["mean_auc"]["answers"] == defined.sum() < 37
    frequent = defined & (positives >= 10)
    assert summary["mean_auc_of_frequent"]["value"] == pytest.approx(areas[frequent].mean())
    assert summary["mean_auc_of_frequent"]["answers"] == frequent.sum() < defined.sum()


def test_a_predictor_equals_itself_and_is_better_than_a_noisier_one(near):
    good, bad = near(0.1), near(0.3)
    same = rmse_difference(good, good, ReportSettings(resamples=5))
    assert same == {"value": 0.0, "low": 0.0, "high": 0.0}
    settings = ReportSettings(resamples=50)
    ahead, behind = rmse_difference(good, bad, settings), rmse_difference(bad, good, settings)
    errors = [rmse(one.labels, one.predicted.values) for one in (good, bad)]
    assert ahead["value"] == pytest.approx(errors[1] - errors[0])
    assert ahead["low"] > 0
    assert [behind[key] for key in ("value", "low", "high")] == pytest.approx(
        [-ahead[key] for key in ("value", "high", "low")]
    )


def test_coverage_is_the_share_of_labels_within_their_bounds(make_comparison, quick):
    labels = np.linspace(0, 1, 10)[:, None].repeat(2, axis=1)
    values = np.full_like(labels, 0.5)
    bounds = Bounds(values - 0.3, values + 0.3)
    predicted = Predictions(tuple("abcdefghij"), KAGGLE.columns[:2], values, bounds=bounds)
    comparison = make_comparison(
        labels=labels,
        predicted=predicted,
        baselines={},
        nominal_coverage=0.9,
        conditional=Conditional(labels, predicted),
    )
    for found in (
        prediction_intervals(comparison, quick),
        conditional_intervals(comparison, quick),
    ):
        assert found["nominal"] == 0.9
        assert found["coverage"]["value"] == pytest.approx(0.6)
        assert found["answers"][1]["width"]["value"] == pytest.approx(0.6)


def test_without_bounds_there_are_no_prediction_intervals(make_comparison, quick):
    comparison = make_comparison(nominal_coverage=0.9)
    assert prediction_intervals(comparison, quick) is None
    assert conditional_intervals(comparison, quick) is None


def test_the_leaderboard_is_only_for_the_challenge_and_all_of_its_answers(make_comparison, quick):
    whole = make_comparison(37)
    error = rmse(whole.labels, whole.predicted.values)
    assert leaderboard(whole, quick)["rmse"] == pytest.approx(error)
    assert leaderboard(make_comparison(5), quick) is None
    assert leaderboard(make_comparison(37, on_leaderboard=False), quick) is None


def test_a_galaxy_is_described_by_its_worst_questions(make_comparison):
    comparison = make_comparison(37)
    described = galaxy(0, comparison)
    assert described["id"] == "galaxy-0"
    assert 0 < len(described["questions"]) <= 3
    errors = np.sqrt(galaxy_errors(comparison.labels, comparison.predicted.values))
    assert described["rmse"] == pytest.approx(errors[0])
    for question in described["questions"]:
        for name in ("volunteers", "network"):
            assert all(0 <= answer[name] <= 1 for answer in question["answers"])
