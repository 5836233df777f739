"""Resamples and confidence intervals are those of drawing galaxies one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_squared_error, roc_auc_score

from galaxyvotes.metrics.bootstrap import (
    KEPT_BYTES,
    Interval,
    _resampled,
    confidence_intervals,
)
from galaxyvotes.metrics.roc import auc_statistic
from galaxyvotes.metrics.statistic import ratio, root


def galaxies(number: int, seed: int = 0):
    """Truth and predictions of five answers, with many ties among the predictions."""
    random = np.random.default_rng(seed)
    labels = random.random((number, 5))
    return labels, (labels + random.normal(0, 0.3, labels.shape)).round(1)


def mse(labels: np.ndarray, predicted: np.ndarray):
    """The mean squared error as a statistic."""
    return ratio(
        ((predicted - labels) ** 2).sum(axis=1), np.full(len(labels), float(labels.shape[1]))
    )


def interval_of(statistic, number: int, **given) -> Interval:
    return confidence_intervals({"it": statistic}, number, **given)["it"]


# ---- resamples


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5))
def test_resamples_do_not_depend_on_how_many_are_drawn_at_a_time(resamples):
    drawn = np.concatenate(list(_resampled(600_000, resamples, seed=3)))[:, :50]
    np.testing.assert_array_equal(drawn[0], next(_resampled(600_000, 1, seed=3))[0, :50])
    assert len(drawn) == resamples


def test_a_draw_is_scikit_learns_number_for_the_drawn_galaxies():
    labels, predicted = galaxies(150)
    weights = next(_resampled(150, 3, seed=5))
    np.testing.assert_array_equal(weights.sum(axis=1), 150)
    for row, drawn in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(150), drawn)
        rmse = np.sqrt(mean_squared_error(labels[rows], predicted[rows]))
        assert root(mse(labels, predicted))(weights)[row] == pytest.approx(rmse)
        expected = [roc_auc_score(labels[rows, i] > 0.5, predicted[rows, i]) for i in range(5)]
        np.testing.assert_allclose(auc_statistic(labels, predicted)(weights)[row], expected)


def test_resamples_too_many_to_keep_are_those_that_would_be_kept():
    galaxies = 2_000_000
    many = KEPT_BYTES // galaxies + 1
    np.testing.assert_array_equal(
        next(_resampled(galaxies, many, seed=2)), next(_resampled(galaxies, 1, seed=2))
    )


def test_a_bootstrap_is_the_plain_one_galaxy_by_galaxy():
    """Drawing galaxies, computing each number anew with scikit-learn, and taking percentiles: equal
    to 1e-12."""
    labels, predicted = galaxies(60)
    labels[:7, 1:3] = np.nan
    known = ~np.isnan(labels)
    squares = np.where(known, (predicted - labels) ** 2, 0.0)
    each, aucs = root(ratio(squares, known.astype(float))), auc_statistic(labels, predicted)
    found = confidence_intervals(
        {"rmse": each, "mean": lambda weights: each(weights).mean(axis=1), "auc": aucs},
        60,
        resamples=40,
        seed=9,
        fewer={"auc": 15},
    )
    random = np.random.default_rng(9)
    rmses, areas_ = [], []
    for _ in range(40):
        rows = random.integers(60, size=60)
        held = [rows[known[rows, i]] for i in range(5)]
        rmses.append(
            [
                mean_squared_error(labels[at, i], predicted[at, i]) ** 0.5
                for i, at in enumerate(held)
            ]
        )
        areas_.append(
            [roc_auc_score(labels[at, i] > 0.5, predicted[at, i]) for i, at in enumerate(held)]
        )
    for name, draws in (("rmse", rmses), ("mean", np.mean(rmses, axis=1)), ("auc", areas_[:15])):
        low, high = np.percentile(draws, [2.5, 97.5], axis=0)
        np.testing.assert_allclose(found[name].low, low, rtol=1e-12)
        np.testing.assert_allclose(found[name].high, high, rtol=1e-12)


# ---- intervals


def test_the_same_seed_gives_the_same_intervals_and_another_seed_nearly_so():
    statistic = mse(*galaxies(200))
    first, again, other = (
        interval_of(statistic, 200, resamples=400, seed=seed) for seed in (1, 1, 2)
    )
    assert (first.low, first.high) == (again.low, again.high)
    assert first.low != other.low
    assert first.low == pytest.approx(other.low, rel=0.05)


def test_intervals_shrink_as_one_over_the_root_of_the_number_of_galaxies():
    widths = []
    for number in (400, 6400):
        labels, predicted = galaxies(number)
        hits = np.where(labels.argmax(axis=1) == predicted.argmax(axis=1), 1.0, 0.0)
        both = {"mse": mse(labels, predicted), "accuracy": ratio(hits, np.ones(number))}
        widths.append(
            [
                found.high - found.low
                for found in confidence_intervals(both, number, resamples=400).values()
            ]
        )
    np.testing.assert_allclose(widths[0], 4 * np.array(widths[1]), rtol=0.25)


def test_ninety_five_in_a_hundred_intervals_hold_the_true_value():
    noise = 0.1  # no error depends on the truth, so the MSE of all galaxies there could be is known
    held = []
    for seed in range(120):
        random = np.random.default_rng(seed)
        labels = random.random((200, 5))
        statistic = mse(labels, labels + random.normal(0, noise, labels.shape))
        found = interval_of(statistic, 200, resamples=200, seed=seed)
        held.append(found.low <= noise**2 <= found.high)
    assert 0.90 <= np.mean(held) <= 0.99


def test_what_is_undefined_has_an_undefined_interval():
    labels, predicted = galaxies(30)
    labels[:, 2] = 0.0
    found = interval_of(auc_statistic(labels, predicted), 30, resamples=10)
    for part in (found.value, found.low, found.high):
        np.testing.assert_array_equal(np.isnan(part), [False, False, True, False, False])


def test_without_galaxies_there_is_nothing_to_draw_from():
    with pytest.raises(ValueError, match="no galaxies"):
        confidence_intervals({}, 0)
