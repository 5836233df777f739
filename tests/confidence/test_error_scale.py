import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from galaxyvotes.confidence.error_scale import (
    Cells,
    _least_squares,
    cells_of,
    error_scale,
    fit_weights,
    sampling_variance,
    typical_variance,
    variance_terms,
)

laws = settings(max_examples=40, deadline=None)


@laws
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30))
def test_least_squares_with_coefficients_of_0_or_more_are_those_of_scikit_learn(
    seed, features, cells
):
    random = np.random.default_rng(seed)
    x, y = (
        random.uniform(0, 1, (cells + features, features)),
        random.normal(0.3, 1, cells + features),
    )
    expected = LinearRegression(positive=True, fit_intercept=False).fit(x, y).coef_
    np.testing.assert_allclose(_least_squares(x, y), expected, atol=1e-8)


def test_a_column_of_zeros_and_equal_columns_are_no_trouble():
    x = np.random.default_rng(0).uniform(0, 1, (30, 1)) * np.array([1.0, 0.0, 1.0])
    found = _least_squares(x, 2 * x[:, 0])
    np.testing.assert_allclose(x @ found, 2 * x[:, 0])


def test_the_weights_that_drew_the_errors_are_found_again():
    random = np.random.default_rng(0)
    cells = Cells(random.uniform(0, 1, (4000, 3)), random.uniform(0, 1, (4000, 3)), "joint")
    difficulty = random.uniform(0, 0.3, (4000, 3))
    terms = variance_terms(cells, typical_variance(cells, np.arange(4000)), difficulty)
    weights = np.array([0.05, 0.02, 0.5])
    noise = sampling_variance(cells, random.integers(5, 60, (4000, 1)) * np.ones((1, 3)))
    errors = np.abs(random.normal(0, error_scale(terms, weights, noise)))
    errors[random.random(errors.shape) < 0.1] = np.nan
    np.testing.assert_allclose(fit_weights(terms, errors, noise), weights, rtol=0.2)
    np.testing.assert_array_equal(fit_weights(terms, np.full(errors.shape, np.nan), noise), 0)


def test_conditional_cells_are_fractions_of_those_asked_where_enough_are():
    joint = np.array([[0.5, 0.2, 0.3], [0.1, 0.05, 0.05], [0.0, 0.0, 0.0]])
    cells = cells_of(joint, [-1, 0, 0], "conditional", 0.25)
    np.testing.assert_allclose(
        cells.values, [[0.5, 0.4, 0.6], [0.1, np.nan, np.nan], [0.0, np.nan, np.nan]]
    )
    np.testing.assert_allclose(cells.asked, [[1, 0.5, 0.5], [1, 0.1, 0.1], [1, 0, 0]])


def test_the_terms_are_those_of_the_formula():
    fractions, asked = np.array([[0.5, 0.2]]), np.array([[1.0, 0.5]])
    typical, difficulty = np.array([0.1, 0.3]), np.array([[0.2, 0.0]])
    joint = variance_terms(Cells(fractions, asked, "joint"), typical, difficulty)
    np.testing.assert_allclose(joint[0], [[0.25, 0.1, 0.04], [0.16, 0.15, 0.0]])
    conditional = variance_terms(Cells(fractions, asked, "conditional"), typical, None)
    np.testing.assert_allclose(conditional[0], [[0.25, 0.1, 0.0], [0.32, 0.3, 0.0]])
    weights = np.array([1.0, 0.0, 0.0])
    assert error_scale(conditional, weights, np.full((1, 2), 0.01))[0, 0] == pytest.approx(
        np.sqrt(0.26 + 0.005**2)
    )
    for of, expected in (("joint", [0.025, 0.016]), ("conditional", [0.025, 0.032])):
        np.testing.assert_allclose(
            sampling_variance(Cells(fractions, asked, of), np.array([10.0, 10.0]))[0], expected
        )
