import json
from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.confidence.familiarity import Shift
from galaxyvotes.kinds import CLASSES, FRACTIONS, QUANTITIES
from galaxyvotes.metrics.information import entropy
from galaxyvotes.predictions import Predictions
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.document import CONTENTS, SHOWN, document_of, rows_shown
from galaxyvotes.tree import DecisionTree

KAGGLE = DecisionTree.load("kaggle")


def measures(value):
    """Every number with an interval in a document."""
    if isinstance(value, dict):
        if {"value", "low", "high"} <= value.keys():
            yield value
        for item in value.values():
            yield from measures(item)
    elif isinstance(value, list):
        for item in value:
            yield from measures(item)


def test_every_kind_has_contents():
    assert set(CONTENTS) == {FRACTIONS, CLASSES, QUANTITIES}


def test_every_number_has_an_interval(written):
    found = list(measures(written.document["network"]))
    assert len(found) > 100
    assert all(one["low"] <= one["high"] for one in found if one["value"] is not None)
    assert all(one["low"] is None for one in found if one["value"] is None)
    rmse = written.document["network"]["rmse"]
    assert rmse["low"] < rmse["value"] < rmse["high"]


def test_a_document_is_plain_json_without_nan(written):
    json.dumps(written.document, allow_nan=False)


def test_the_galaxies_shown_are_the_extremes(written, full_comparison):
    labels, values = full_comparison.labels, full_comparison.predicted.values
    errors = np.sqrt(((values - labels) ** 2).mean(axis=1))
    shown = written.document["shown"]
    best, worst = shown["best"], shown["worst"]
    assert best[0]["id"] == f"galaxy-{errors.argmin()}"
    assert worst[0]["id"] == f"galaxy-{errors.argmax()}"
    assert worst[0]["rmse"] == pytest.approx(errors.max())
    assert not {galaxy["id"] for galaxy in best} & {galaxy["id"] for galaxy in worst}
    assert {len(group) for group in shown.values()} == {SHOWN}


def test_no_galaxy_is_shown_in_two_groups(full_comparison):
    few = replace(
        full_comparison,
        labels=full_comparison.labels[:5],
        predicted=full_comparison.predicted.take(np.arange(5)),
        baselines={},
    )
    for rows in (rows_shown(full_comparison), rows_shown(few)):
        every = np.concatenate(list(rows.values())).tolist()
        assert len(set(every)) == len(every)


@pytest.mark.parametrize("fixture", ["full_comparison", "class_comparison"])
def test_the_most_uncertain_have_the_largest_entropies_of_those_left(request, fixture):
    comparison = request.getfixturevalue(fixture)
    predicted, tree = comparison.predicted, comparison.tree
    entropies = entropy(tree, predicted.values.astype(float), predicted.columns)
    shown = rows_shown(comparison)
    first = np.concatenate([shown[name] for name in ("worst", "best", "least_familiar")])
    left = np.setdiff1d(np.arange(len(predicted)), first)
    expected = left[np.argsort(-entropies[left], kind="stable")][:SHOWN]
    assert set(shown["most_uncertain"].tolist()) == set(expected.tolist())


def test_nothing_is_called_uncertain_of_which_a_part_is_predicted(make_comparison, make_labels):
    comparison = make_comparison()
    places = [0, 3, 4]  # without features or disk, of which the second question is asked
    predicted = replace(
        comparison.predicted,
        columns=tuple(KAGGLE.columns[i] for i in places),
        values=comparison.predicted.values[:, places],
    )
    labels = make_labels()[:, places]
    part = replace(comparison, labels=labels, predicted=predicted, baselines={})
    assert len(rows_shown(part)["most_uncertain"]) == 0


def test_unknown_labels_count_nowhere(make_comparison, make_labels, quick):
    labels = make_labels()[:, :5]
    labels[:20, KAGGLE.slices[1]] = np.nan
    document = document_of(make_comparison(labels=labels), quick)
    row = document["network"]["answers"][3]
    assert row["positives"] + row["negatives"] == 20
    shown = {
        int(galaxy["id"].removeprefix("galaxy-")): [q["question"] for q in galaxy["questions"]]
        for group in document["shown"].values()
        for galaxy in group
    }
    assert min(shown) < 20 <= max(shown)
    assert not any("Q2" in names for row, names in shown.items() if row < 20)
    assert any("Q2" in names for names in shown.values())


def test_galaxies_without_labels_give_a_document_without_numbers(make_comparison, quick):
    labels = np.full((40, 5), np.nan, np.float32)
    document = document_of(make_comparison(labels=labels, baselines={}), quick)
    assert document["network"]["rmse"]["value"] is None
    assert document["leaderboard"] is None
    assert document["shown"] == {group: [] for group in document["shown"]}
    assert "RMSE of 5 predicted vote fractions is undefined" in document["summary"]


def test_the_lowest_familiarity_scores_are_shown_and_compared_with_the_expected(
    written, familiarity, full_comparison, make_comparison, quick
):
    found = written.document["familiarity"]
    assert [row["galaxies"] for row in found["up_to"]] == [1, 5, 10, 25, 40, 40]
    assert [row["expected"] for row in found["up_to"]] == [0.01, 0.05, 0.1, 0.25, 0.5, 0.75]
    assert found["unfamiliar"]["galaxies"] == 5
    assert found["unfamiliar"]["share"] == pytest.approx(5 / 40)
    assert not found["shifted"]
    shown = rows_shown(full_comparison)
    elsewhere = {*shown["best"].tolist(), *shown["worst"].tolist()}
    lowest = [row for row in np.argsort(familiarity).tolist() if row not in elsewhere][:SHOWN]
    assert shown["least_familiar"].tolist() == lowest
    cards = written.document["shown"]["least_familiar"]
    assert [galaxy["id"] for galaxy in cards] == [f"galaxy-{i}" for i in lowest]
    low = familiarity / 10
    predicted = replace(full_comparison.predicted, familiarity=low)
    other = replace(full_comparison, predicted=predicted, shift=Shift.count(low, 99))
    assert document_of(other, quick)["familiarity"]["shifted"]
    assert document_of(make_comparison(), quick)["familiarity"] is None


def test_errors_of_quantities_are_compared_in_units_of_their_deviation(quick):
    tree = DecisionTree.of_numbers(["metres", "ttype"])
    labels = np.array([[1e9, 0.0], [2e9, 1.0], [3e9, 2.0], [4e9, 3.0]])
    values = labels + np.array([[3e8, 0], [0, 3.0], [0, 0], [1e7, 0.1]])
    comparison = Comparison(tree, labels, Predictions(tuple("abcd"), tree.columns, values))
    document = document_of(comparison, quick)
    assert [galaxy["id"] for galaxy in document["shown"]["worst"]] == ["b", "a"]
    assert [galaxy["id"] for galaxy in document["shown"]["best"]] == ["c", "d"]
    assert "cuts" not in document
