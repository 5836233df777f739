"""Purity and completeness against scikit-learn and counting by hand."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from galaxyvotes.metrics.cuts import count_selected, cut_statistics
from galaxyvotes.metrics.roc import roc_curve
from galaxyvotes.metrics.statistic import value_of

LABELS = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [np.nan, np.nan]], np.float32)
PREDICTED = np.array([[0.95, 0.05], [0.4, 0.6], [0.7, 0.3], [0.1, 0.9], [1.0, 0.0]], np.float32)


def test_purity_and_completeness_are_those_counted_by_hand():
    found = {
        name: value_of(each, len(LABELS))
        for name, each in cut_statistics(LABELS, PREDICTED, 0.5).items()
    }
    assert count_selected(LABELS, PREDICTED, 0.5).tolist() == [2, 2]  # the fifth galaxy is unknown
    np.testing.assert_allclose(found["purity"], [1 / 2, 1 / 2])
    np.testing.assert_allclose(found["completeness"], [1 / 2, 1 / 2])
    clean = {
        name: value_of(each, len(LABELS))
        for name, each in cut_statistics(LABELS, PREDICTED, 0.8).items()
    }
    np.testing.assert_allclose(clean["purity"], [1, 1])
    np.testing.assert_allclose(clean["completeness"], [1 / 2, 1 / 2])


def test_with_nothing_selected_or_positive_they_are_nan():
    found = cut_statistics(0 * LABELS, 0 * PREDICTED, 0.5)
    assert np.isnan([value_of(each, len(LABELS)) for each in found.values()]).all()


def test_completeness_is_a_point_of_the_roc_curve():
    random = np.random.default_rng(0)
    labels, guess = random.random((2, 300, 1), np.float32)
    curve = roc_curve(labels[:, 0] > 0.5, guess[:, 0])
    complete = value_of(cut_statistics(labels, guess, 0.6)["completeness"], 300)[0]
    at = np.flatnonzero(curve.thresholds > 0.6)[-2:]
    assert curve.true_positive_rate[at[0]] <= complete <= curve.true_positive_rate[at[-1] + 1]
    assert complete == ((labels > 0.5) & (guess > 0.6)).sum() / (labels > 0.5).sum()


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.8])
def test_purity_and_completeness_are_the_precision_and_recall_of_scikit_learn(galaxies, cut):
    labels, predicted = galaxies(300)
    found = {
        name: value_of(statistic, 300)
        for name, statistic in cut_statistics(labels, predicted, cut).items()
    }
    for index in range(labels.shape[1]):
        known = ~np.isnan(labels[:, index])
        positive, selected = labels[known, index] > 0.5, predicted[known, index] > cut
        assert count_selected(labels, predicted, cut)[index] == selected.sum()
        for name, reference in (("purity", precision_score), ("completeness", recall_score)):
            expected = reference(positive, selected, zero_division=np.nan)
            assert found[name][index] == pytest.approx(expected, nan_ok=True)
