import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.metrics.classification import (
    class_statistics,
    confidence_curve,
    confusion_matrix,
    membership,
    probabilities,
)
from galaxyvotes.metrics.statistic import value_of


@pytest.fixture(scope="module")
def classes() -> tuple[np.ndarray, np.ndarray]:
    """Labels of 120 galaxies in four classes, the last of them rare, and probabilities."""
    random = np.random.default_rng(1)
    own = random.choice(4, 120, p=[0.5, 0.3, 0.15, 0.05])
    labels = np.eye(4, dtype=np.float32)[own]
    predicted = random.dirichlet([1.0] * 4, 120) + 0.5 * labels
    return labels, probabilities(predicted)


def values(labels: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    statistics = class_statistics(labels, predicted)
    return {name: value_of(statistic, len(labels)) for name, statistic in statistics.items()}


def test_every_measure_is_that_of_scikit_learn(classes):
    labels, predicted = classes
    own, given = labels.argmax(axis=1), predicted.argmax(axis=1)
    measured = values(labels, predicted)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(own, given),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(own, given),
        "macro_f1": sklearn_metrics.f1_score(own, given, average="macro"),
        "cross_entropy": sklearn_metrics.log_loss(own, predicted),
        "brier": sklearn_metrics.brier_score_loss(own, predicted, scale_by_half=False),
        "precision": sklearn_metrics.precision_score(own, given, average=None),
        "recall": sklearn_metrics.recall_score(own, given, average=None),
        "f1": sklearn_metrics.f1_score(own, given, average=None),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, rtol=1e-9, err_msg=name)
    np.testing.assert_array_equal(
        confusion_matrix(labels, predicted), sklearn_metrics.confusion_matrix(own, given)
    )


def test_the_calibration_error_is_that_of_the_largest_probability(classes):
    labels, predicted = classes
    correct = labels.argmax(axis=1) == predicted.argmax(axis=1)
    largest = predicted.max(axis=1)
    bins = np.minimum((largest * 10).astype(int), 9)
    gaps = [abs(largest[bins == b].sum() - correct[bins == b].sum()) for b in range(10)]
    assert values(labels, predicted)["calibration_error"] == pytest.approx(sum(gaps) / 120)
    assert confidence_curve(labels, predicted).counts.tolist() == [
        int((bins == b).sum()) for b in range(10)
    ]


def test_a_galaxy_of_no_known_class_counts_nowhere(classes):
    labels, predicted = classes
    more = np.concatenate([labels, np.full((1, 4), np.nan), np.zeros((1, 4))])
    guesses = np.concatenate([predicted, predicted[:2]])
    without, with_them = values(labels, predicted), values(more.astype(np.float32), guesses)
    for name, value in without.items():
        np.testing.assert_allclose(with_them[name], value, rtol=1e-12, err_msg=name)
    assert np.isnan(membership(more)[-2:]).all()


def test_a_class_without_galaxies_is_undefined_and_left_out_of_means():
    labels = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    measured = values(labels, np.array([[0.8, 0.2, 0], [0.6, 0.4, 0], [0.9, 0.1, 0], [0, 1, 0]]))
    assert np.isnan(measured["recall"][2])
    assert measured["balanced_accuracy"] == pytest.approx(0.75)
    assert measured["accuracy"] == pytest.approx(0.75)


def test_predictions_that_do_not_add_up_to_one_are_divided_by_their_sum():
    labels = np.eye(2, dtype=np.float32)[[0, 1]]
    halved = np.array([[0.4, 0.1], [0.0, 0.0]])
    np.testing.assert_allclose(probabilities(halved), [[0.8, 0.2], [0.5, 0.5]])
    measured = values(labels, halved)
    assert measured["cross_entropy"] == pytest.approx(-np.log([0.8, 0.5]).mean())
    assert measured["brier"] == pytest.approx((2 * 0.2**2 + 2 * 0.5**2) / 2)


def test_confidence_intervals_surround_the_measures(classes):
    found = confidence_intervals(class_statistics(*classes), 120, resamples=200)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "brier", "cross_entropy"):
        assert found[name].low < found[name].value < found[name].high
