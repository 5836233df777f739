from dataclasses import replace

import numpy as np
import pytest

from galaxyvotes.predictions import Bounds, Predictions
from galaxyvotes.reports.comparison import Comparison
from galaxyvotes.reports.quantities import (
    galaxy,
    galaxy_errors,
    interval_widths,
    prediction_intervals,
    rmse_differences,
    summarise,
)
from galaxyvotes.tree import DecisionTree

BOTH = DecisionTree.of_numbers(["ttype", "colour"])


def compared(labels: np.ndarray, values: np.ndarray, **settings) -> Comparison:
    ids = tuple(f"g{i}" for i in range(len(labels)))
    bounds = Bounds(values - 1, values + 1)
    return Comparison(
        BOTH, labels, Predictions(ids, BOTH.columns, values, bounds=bounds), **settings
    )


def test_a_quantity_known_for_no_galaxy_or_for_one_has_no_r2(quick):
    labels = np.array([[np.nan, 3.0], [np.nan, np.nan]])
    none, one = summarise(compared(labels, np.ones((2, 2))), quick)
    assert (none["rmse"]["value"], none["mean"], none["galaxies"]) == (None, None, 0)
    assert (one["rmse"]["value"], one["r2"]["value"]) == (2.0, None)


def test_errors_and_widths_are_in_standard_deviations_of_what_is_known():
    labels = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, 7.0], [2.0, 9.0]])
    deviations = np.nanstd(labels, axis=0)
    values = np.nan_to_num(labels) + np.array([2.0, 3.0])
    one, other = (np.array([2.0, 3.0]) / deviations) ** 2
    both = (one + other) / 2
    np.testing.assert_allclose(galaxy_errors(labels, values), [one, both, other, both])
    equal = compared(labels, values)
    assert interval_widths(equal) is None  # all are equally wide
    bounds = Bounds(values - 1, values + np.array([[1.0], [2.0], [1.0], [1.0]]))
    wider = replace(equal, predicted=replace(equal.predicted, bounds=bounds))
    expected = np.array([2, 3, 2, 2]) * (1 / deviations).mean()
    np.testing.assert_allclose(interval_widths(wider), expected)
    no_bounds = replace(equal, predicted=replace(equal.predicted, bounds=None))
    assert interval_widths(no_bounds) is None


def test_differences_are_per_quantity(quick):
    labels = np.random.default_rng(0).normal(size=(30, 2))
    good = compared(labels, labels + 0.1)
    other = compared(labels, labels + np.array([0.3, 0.05]))
    first, second = rmse_differences(good, other, quick)
    assert first["value"] == pytest.approx(0.2)
    assert first["low"] > 0
    assert second["value"] == pytest.approx(-0.05)


def test_coverage_is_the_share_of_values_within_their_bounds(quick):
    labels = np.array([[0.0, 0.0], [0.5, np.nan], [2.0, np.nan], [3.0, np.nan]])
    comparison = compared(labels, np.zeros((4, 2)), nominal_coverage=0.8)
    found = prediction_intervals(comparison, quick)
    assert found["nominal"] == 0.8
    assert [row["quantity"] for row in found["quantities"]] == ["ttype", "colour"]
    assert [row["coverage"]["value"] for row in found["quantities"]] == [0.5, 1]
    assert found["quantities"][0]["width"]["value"] == 2
    assert prediction_intervals(compared(labels, np.zeros((4, 2))), quick) is None


def test_a_galaxy_has_its_measured_and_predicted_values_and_bounds():
    labels = np.array([[4.0, np.nan]])
    described = galaxy(0, compared(labels, np.array([[3.0, 0.5]])))
    ttype, colour = described["quantities"]
    known = {"quantity": "ttype", "unit": "", "measured": 4, "predicted": 3}
    assert ttype == known | {"low": 2, "high": 4}
    assert colour["measured"] is None
