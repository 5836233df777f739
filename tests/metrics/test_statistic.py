"""Ratios of weighted sums, means over what is defined, and what is refused."""

import numpy as np
import pytest

from galaxyvotes.metrics.statistic import (
    check_predictions,
    divide,
    mean_defined,
    once,
    ratio,
    root,
    value_of,
)


def test_a_ratio_of_nothing_is_undefined():
    np.testing.assert_array_equal(
        divide(np.array([1.0, 0.0, 6.0]), np.array([0, 0, 3])), [np.nan, np.nan, 2.0]
    )
    some = ratio(np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    np.testing.assert_array_equal(some(np.array([[1.0, 1.0], [0.0, 5.0]])), [1.0, np.nan])


def test_a_statistic_has_one_value_or_one_a_column():
    above, below = np.array([[1.0, 4.0], [3.0, 0.0]]), np.ones((2, 2))
    np.testing.assert_array_equal(value_of(ratio(above, below), 2), [2.0, 2.0])
    np.testing.assert_array_equal(value_of(root(ratio(above[:, 1], below[:, 1])), 2), np.sqrt(2.0))


def test_columns_below_that_are_equal_are_still_each_ones_own():
    random = np.random.default_rng(0)
    above, weights = random.random((20, 4)), random.random((3, 20))
    below = random.integers(0, 2, (20, 2))[:, [0, 1, 0, 1]].astype(float)
    below[:, 3] = 0.0
    found = ratio(above, below)(weights)
    np.testing.assert_allclose(
        found[:, :3], (weights @ above / (weights @ below.clip(1e-300)))[:, :3]
    )
    assert np.isnan(found[:, 3]).all()


def test_the_mean_is_over_what_is_defined():
    assert mean_defined(np.array([0.5, np.nan, 1.0])) == 0.75
    np.testing.assert_array_equal(
        mean_defined(np.array([[np.nan, np.nan], [1.0, np.nan]])), [np.nan, 1.0]
    )
    assert np.isnan(mean_defined(np.empty(0)))


def test_a_mean_of_many_float32_does_not_lose_digits():
    assert mean_defined(np.full(10_000_001, 0.1, np.float32)) == pytest.approx(
        np.float32(0.1), rel=1e-9
    )


def test_a_statistic_computes_the_values_of_an_array_of_weights_once():
    calls: list[int] = []

    def count(weights):
        calls.append(len(weights))
        return weights.sum(axis=1)

    counted, weights = once(count), np.ones((2, 3))
    np.testing.assert_array_equal(counted(weights), counted(weights))
    assert calls == [2]
    counted(np.ones((4, 3)))
    assert calls == [2, 4]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_no_numbers_or_of_another_shape_are_refused(wrong):
    labels = np.array([[np.nan, 0.5]])
    check_predictions(labels, np.zeros((1, 2)))
    with pytest.raises(ValueError, match="1 predictions are NaN or infinite"):
        check_predictions(labels, np.array([[wrong, 0.5]]))
    with pytest.raises(
        ValueError, match=r"labels have shape \(1, 2\), the predictions have \(1, 1\)"
    ):
        check_predictions(labels, np.zeros((1, 1)))
