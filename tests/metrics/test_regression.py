import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from galaxyvotes.metrics.regression import MEASURES, known_means, quantity_statistics
from galaxyvotes.metrics.statistic import value_of


def measured(labels: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    found = quantity_statistics(labels, predicted)
    return {name: value_of(found[name], len(labels)) for name in MEASURES}


def test_measures_are_those_of_scikit_learn():
    random = np.random.default_rng(1)
    labels = random.normal(1e4, 3, (50, 2))
    predicted = labels + random.normal(1, 2, labels.shape)
    labels[:7, 1] = np.nan
    found = measured(labels, predicted)
    for i in range(2):
        known = ~np.isnan(labels[:, i])
        pair = labels[known, i], predicted[known, i]
        assert found["rmse"][i] == pytest.approx(root_mean_squared_error(*pair))
        assert found["mae"][i] == pytest.approx(mean_absolute_error(*pair))
        assert found["r2"][i] == pytest.approx(r2_score(*pair))
        assert found["bias"][i] == pytest.approx((pair[1] - pair[0]).mean())


def test_the_mean_has_an_r2_of_zero_and_perfect_predictions_one():
    labels = np.random.default_rng(2).normal(5, 2, (30, 1))
    assert measured(labels, np.full_like(labels, labels.mean()))["r2"][0] == pytest.approx(0)
    assert measured(labels, labels)["r2"][0] == 1


def test_a_measure_of_no_galaxy_and_r2_of_a_constant_are_undefined():
    labels = np.array([[np.nan, 3.0], [np.nan, 3.0]])
    found = measured(labels, np.ones((2, 2)))
    assert all(np.isnan(values[0]) for values in found.values())
    assert np.isnan(found["r2"][1])
    assert found["bias"][1] == -2


def test_a_prediction_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="2 predictions are NaN or infinite"):
        quantity_statistics(np.zeros((3, 1)), np.array([[np.nan], [0.0], [np.inf]]))


def test_means_leave_out_what_is_not_known():
    assert known_means(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist() == [2, 0]
