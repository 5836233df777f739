from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.reports.comparison import BEFORE_FINE_TUNING, Comparison, Seen
from galaxyvotes.reports.document import document_of
from galaxyvotes.reports.write import write_report
from galaxyvotes.tree import DecisionTree


@pytest.mark.parametrize(
    ("noise", "compared"),
    [(0.05, "better"), (0.6, "worse"), (0.2, "not significantly better or worse")],
)
def test_the_verdict_comes_first_and_is_given_only_where_the_interval_excludes_zero(
    make_comparison, make_labels, make_predictions, quick, noise, compared
):
    labels = make_labels()
    comparison = make_comparison(
        predicted=make_predictions(labels[:, :5], noise),
        baselines={"another": make_predictions(labels, 0.2)},
    )
    document = document_of(comparison, quick)
    assert document["summary"].startswith(
        f"By RMSE, the network is {compared} than the best baseline, another."
    )
    side = "lower" if document["differences"]["another"]["value"] >= 0 else "higher"
    assert f"{side} than that of another by" in document["summary"]


def test_the_network_before_fine_tuning_is_compared_but_is_no_baseline(
    make_comparison, make_labels, make_predictions, quick
):
    labels = make_labels()
    before = {BEFORE_FINE_TUNING: make_predictions(labels, 0.1)}
    comparison = make_comparison(
        predicted=make_predictions(labels[:, :5], 0.2),
        baselines={"another": make_predictions(labels, 0.4), **before},
    )
    summary = document_of(comparison, quick)["summary"]
    assert summary.startswith(
        "By RMSE, the network is better than the best baseline, another, and worse than before"
        " fine-tuning."
    )
    alone = document_of(replace(comparison, baselines=before), quick)["summary"]
    assert alone.startswith("By RMSE, the network is worse than before fine-tuning. On 40 galaxies")
    assert "baseline" not in alone


def test_galaxies_seen_in_training_are_reported(make_comparison, quick):
    summary = document_of(make_comparison(), quick)["summary"]
    assert "On 40 galaxies that were not used in training" in summary
    seen = document_of(make_comparison(seen=Seen(7, 2, 3)), quick)["summary"]
    assert "On 40 galaxies, the RMSE" in seen
    assert "Of these galaxies, 7 are in the training set" in seen
    assert "2 are in its validation set and have chosen the epoch" in seen
    assert "3 are in its calibration set" in seen
    harmless = Seen(validation=40, chose_epoch=False)
    summary = document_of(make_comparison(seen=harmless), quick)["summary"]
    assert "40 are in its validation set and have chosen nothing" in summary


def test_the_summary_of_classes_counts_right_predictions_beside_the_best_baseline(
    class_comparison, quick
):
    summary = document_of(class_comparison, quick)["summary"].replace("\N{NO-BREAK SPACE}", " ")
    assert summary.startswith(
        "By the Brier score, the network is better than the best baseline, guess."
    )
    assert "of 60 galaxies that were not used in training, guess that of" in summary
    assert "The balanced accuracy is" in summary
    alone = document_of(replace(class_comparison, baselines={}), quick)["summary"]
    assert alone.startswith("The network predicts the right class of")
    assert "baseline" not in alone


def test_the_coverage_of_prediction_intervals_is_in_the_summary(make_comparison, quick):
    comparison = make_comparison()
    bounds = Bounds(comparison.labels - 0.1, comparison.labels + 0.1)
    predicted = replace(comparison.predicted, bounds=bounds)
    calibrated = make_comparison(predicted=predicted, nominal_coverage=0.9)
    summary = document_of(calibrated, quick)["summary"].replace("\N{NO-BREAK SPACE}", " ")
    assert "Its 90 % prediction intervals contain 100.0 % of the labels." in summary


def test_each_quantity_has_its_own_sentences(quick):
    tree = DecisionTree.of_numbers(["ttype", "colour"])
    labels = np.tile([[1.0, np.nan], [2.0, np.nan], [4.0, np.nan]], (10, 1))
    predicted = Predictions(tuple(map(str, range(30))), tree.columns, np.full((30, 2), 2.0))
    comparison = Comparison(tree, labels, predicted)
    summary = document_of(comparison, quick)["summary"]
    start = "On 30 galaxies that were not used in training, the RMSE of ttype is"
    assert summary.startswith(start)
    assert "colour is not known for any of these galaxies." in summary
    baselines = {"mean": replace(predicted, values=np.full((30, 2), 7 / 3))}
    summary = document_of(replace(comparison, baselines=baselines), quick)["summary"]
    assert summary.startswith("By RMSE of ttype, the network is")
    assert "than that of mean by" in summary


def test_with_few_galaxies_there_is_no_verdict_but_that_nothing_can_be_concluded(
    make_comparison, make_labels, make_predictions, quick, tmp_path
):
    labels = make_labels()
    comparison = make_comparison(
        predicted=make_predictions(labels[:, :5], 0.05),
        baselines={"another": make_predictions(labels, 0.6)},
    )
    few = document_of(first_galaxies(comparison, 29), quick)
    assert few["summary"].startswith("With 29 galaxies, nothing can be concluded about other")
    assert "is better" not in few["summary"]
    many = document_of(first_galaxies(comparison, 30), quick)
    assert many["summary"].startswith("By RMSE, the network is better")
    page = write_report(first_galaxies(comparison, 29), tmp_path, quick).html.read_text("utf-8")
    assert '<p class="lead warn">With 29 galaxies' in page


def first_galaxies(comparison: Comparison, number: int) -> Comparison:
    rows = np.arange(number)
    return replace(
        comparison,
        labels=comparison.labels[rows],
        predicted=comparison.predicted.take(rows),
        baselines={name: each.take(rows) for name, each in comparison.baselines.items()},
        conditional=None,
        shift=None,
    )


def test_a_run_that_is_not_calibrated_is_said_to_have_no_intervals(make_comparison, quick):
    said = "It has no prediction intervals: the run is not calibrated (galaxyvotes calibrate)."
    bare = make_comparison()
    bare = replace(bare, predicted=replace(bare.predicted, bounds=None), nominal_coverage=None)
    assert said in document_of(bare, quick)["summary"]
    summaries = [document_of(each, quick) for each in (make_comparison(), bare)]
    assert [each["intervals"] is None for each in summaries] == [
        said in e["summary"] for e in summaries
    ]
