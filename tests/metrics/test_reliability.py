"""The reliability curve and the calibration error against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from galaxyvotes.metrics.reliability import calibration_error, reliability_curve

laws = settings(max_examples=40, deadline=None)
many = st.builds(
    dict,
    number=st.integers(2, 60),
    seed=st.integers(0, 10_000),
    unknown=st.sampled_from([0.0, 0.3]),
)


def test_reliability_bins_hold_their_lower_edge_and_the_last_one_holds_one():
    predicted = np.array([[0.0, 0.1, 0.5], [1.0, 1.2, -0.1]])
    labels = np.array([[0.1, 0.2, np.nan], [0.9, 0.7, 0.0]])
    found = reliability_curve(labels, predicted)
    np.testing.assert_array_equal(found.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 2])
    np.testing.assert_allclose(found.mean_predicted[[0, 1, 9]], [-0.05, 0.1, 1.1])
    np.testing.assert_allclose(found.mean_label[[0, 1, 9]], [0.05, 0.2, 0.8])
    assert np.isnan(found.mean_label[2:9]).all()
    assert calibration_error(labels, predicted) == pytest.approx((2 * 0.1 + 0.1 + 2 * 0.3) / 5)


@laws
@given(many, st.integers(1, 20))
def test_the_calibration_error_is_the_mean_gap_of_the_reliability_curve(galaxies, recipe, bins):
    labels, predicted = galaxies(**recipe)
    curve = reliability_curve(labels, predicted, bins=bins)
    filled = curve.counts > 0
    gaps = np.abs(curve.mean_predicted - curve.mean_label)[filled]
    expected = np.average(gaps, weights=curve.counts[filled]) if filled.any() else np.nan
    found = calibration_error(labels, predicted, bins=bins)
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("bias", [0.0, 0.03, -0.08])
def test_the_calibration_error_of_predictions_is_their_constant_bias(bias):
    predicted = np.random.default_rng(0).uniform(0.1, 0.9, (500, 4))
    assert calibration_error(predicted - bias, predicted) == pytest.approx(abs(bias), abs=1e-12)


def test_fractions_drawn_around_their_predictions_have_no_calibration_error_in_the_limit():
    random = np.random.default_rng(0)
    predicted = random.uniform(0, 1, (50_000, 4))
    labels = random.binomial(40, predicted) / 40
    assert calibration_error(labels, predicted) < 0.001


def test_the_reliability_curve_of_classes_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    predicted = random.random((500, 1))
    labels = (random.random((500, 1)) < predicted).astype(float)
    found = reliability_curve(labels, predicted)
    observed, mean_predicted = calibration_curve(labels[:, 0], predicted[:, 0], n_bins=10)
    np.testing.assert_allclose(found.mean_label, observed)
    np.testing.assert_allclose(found.mean_predicted, mean_predicted)
