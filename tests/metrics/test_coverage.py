"""Coverage, width and score of prediction intervals, and the noise of the volunteers themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from galaxyvotes.metrics.bootstrap import confidence_intervals
from galaxyvotes.metrics.coverage import (
    coverage_per_answer,
    empirical_coverage,
    interval_score,
    interval_statistics,
    mean_width,
    noise_floor,
    width_per_answer,
)
from galaxyvotes.metrics.scores import rmse
from galaxyvotes.tree import DecisionTree

laws = settings(max_examples=25, deadline=None)
many = st.builds(dict, galaxies=st.integers(1, 40), seed=st.integers(0, 10_000))


def drawn(galaxies: int, seed: int = 0):
    """Truth with gaps, and bounds with other gaps."""
    random = np.random.default_rng(seed)
    labels, lower, upper = random.uniform(0, 1, (3, galaxies, 4))
    lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
    labels[random.random(labels.shape) < 0.2] = np.nan
    gaps = random.random(labels.shape) < 0.2
    return labels, np.where(gaps, np.nan, lower), np.where(gaps, np.nan, upper)


def panels(
    tree: DecisionTree, conditional: np.ndarray, volunteers: np.ndarray, random
) -> np.ndarray:
    """Whole counts: everybody answers each question they are asked."""
    counts = np.zeros(conditional.shape, int)
    for index in tree.depth_first:
        parent = tree.parents[index]
        asked = volunteers if parent is None else counts[:, parent]
        counts[:, tree.slices[index]] = random.multinomial(
            asked, conditional[:, tree.slices[index]]
        )
    return counts


# ---- intervals


def test_coverage_width_and_score_of_three_cells_are_those_by_hand():
    labels = np.array([[0.2, 0.5], [0.9, np.nan], [0.3, 0.3]])
    lower = np.array([[0.1, 0.5], [0.5, 0.0], [0.5, np.nan]])
    upper = np.array([[0.3, 0.6], [0.8, 1.0], [0.6, np.nan]])
    assert empirical_coverage(labels, lower, upper) == pytest.approx(
        2 / 4
    )  # the ends of an interval belong to it
    np.testing.assert_allclose(coverage_per_answer(labels, lower, upper), [1 / 3, 1])
    assert mean_width(labels, lower, upper) == pytest.approx((0.2 + 0.1 + 0.3 + 0.1) / 4)
    np.testing.assert_allclose(width_per_answer(labels, lower, upper), [0.2, 0.1])
    missed = 2 / 0.2 * (0.1 + 0.2)
    assert interval_score(labels, lower, upper, coverage=0.8) == pytest.approx((0.7 + missed) / 4)


@laws
@given(many)
def test_wider_intervals_cover_more_and_whole_ones_everything(recipe):
    labels, lower, upper = drawn(**recipe)
    known = ~np.isnan(labels + lower)
    found = [empirical_coverage(labels, lower - more, upper + more) for more in (0.0, 0.1, 1.0)]
    if not known.any():
        assert np.isnan(found).all()
        return
    assert found == sorted(found)
    assert found[-1] == 1
    per_answer = coverage_per_answer(labels, lower, upper)
    assert found[0] == pytest.approx(np.nansum(per_answer * known.sum(axis=0)) / known.sum())


def test_the_interval_score_is_lowest_for_the_true_quantiles():
    labels = np.random.default_rng(0).uniform(0, 1, (20_000, 1))
    ends = np.ones((20_000, 1))
    score = {
        margin: interval_score(labels, margin * ends, (1 - margin) * ends, coverage=0.8)
        for margin in (0.0, 0.05, 0.1, 0.15, 0.2)
    }
    assert min(score, key=lambda margin: score[margin]) == 0.1, score


def test_each_number_comes_with_its_bootstrap_interval():
    labels, lower, upper = drawn(40)
    found = confidence_intervals(
        interval_statistics(labels, lower, upper, coverage=0.9), 40, resamples=50
    )
    assert float(found["coverage"].value) == empirical_coverage(labels, lower, upper)
    assert float(found["width"].value) == mean_width(labels, lower, upper)
    assert float(found["interval_score"].value) == interval_score(
        labels, lower, upper, coverage=0.9
    )
    np.testing.assert_array_equal(
        found["coverage_per_answer"].value, coverage_per_answer(labels, lower, upper)
    )
    np.testing.assert_array_equal(
        found["width_per_answer"].value, width_per_answer(labels, lower, upper)
    )
    for interval in found.values():
        assert (interval.low <= interval.value).all()
        assert (interval.value <= interval.high).all()


def test_the_interval_score_is_the_pinball_loss_of_both_ends_by_scikit_learn():
    labels, lower, upper = drawn(200, seed=3)
    known = ~np.isnan(labels + lower)
    loss = sum(
        mean_pinball_loss(labels[known], end[known], alpha=quantile)
        for end, quantile in ((lower, 0.1), (upper, 0.9))
    )
    assert interval_score(labels, lower, upper, coverage=0.8) == pytest.approx(2 / 0.2 * loss)


def test_a_coverage_in_percent_is_refused():
    labels, lower, upper = drawn(10)
    with pytest.raises(ValueError, match="does not lie between 0 and 1"):
        interval_score(labels, lower, upper, coverage=90.0)


# ---- the volunteers' own noise


def test_the_noise_floor_is_the_rmse_of_the_fractions_behind_the_panels(kaggle):
    random = np.random.default_rng(0)
    conditional = np.hstack(
        [random.dirichlet(np.ones(len(q.answers)), 4000) for q in kaggle.questions]
    )
    behind, volunteers = kaggle.joint(conditional), random.integers(5, 60, 4000)
    counts = panels(kaggle, conditional, volunteers, random)
    found = kaggle.volunteers(counts)
    np.testing.assert_array_equal(found, np.tile(volunteers[:, None], (1, 37)))
    observed = counts / volunteers[:, None]
    assert noise_floor(observed, found) == pytest.approx(rmse(observed, behind), rel=0.02)
    counts[:2000, kaggle.slices[0]] = -1  # not known: neither it, nor whatever hangs on it, counts
    part = kaggle.volunteers(counts)
    assert np.isnan(part[:2000, kaggle.slices[1]]).all()
    assert not np.isnan(part[:2000, kaggle.slices[5]]).any()  # everybody is asked Q6
    assert noise_floor(np.where(np.isnan(part), np.nan, observed), part) > 0


def test_a_noise_floor_by_hand_and_of_nothing():
    fractions = np.array([[0.5, 0.5], [1.0, 0.0], [0.3, np.nan]])
    volunteers = np.array([[11.0, 11.0], [21.0, 21.0], [1.0, 40.0]])
    assert noise_floor(fractions, volunteers) == pytest.approx(np.sqrt((2 * 0.25 / 10) / 4))
    assert np.isnan(noise_floor(fractions, np.full((3, 2), np.nan)))
