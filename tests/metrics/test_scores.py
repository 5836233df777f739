import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    mean_absolute_error,
    mean_squared_error,
    roc_auc_score,
    roc_curve,
)

from galaxyvotes.metrics import scores
from galaxyvotes.metrics.bootstrap import intervals
from galaxyvotes.tree import Answer, DecisionTree, Question

TREE = DecisionTree(
    "two",
    "Two questions",
    (
        Question(
            "shape",
            "Smooth?",
            (Answer("smooth", "yes"), Answer("disc", "no", "arms"), Answer("star", "a star")),
        ),
        Question("arms", "Arms?", (Answer("arms", "yes"), Answer("none", "no")), asked_of="disc"),
    ),
)


def galaxies(
    number: int, seed: int = 0, *, unknown: float = 0.1, noise: float = 0.15, digits: int = 2
):
    """Truth that keeps to the tree, some questions of it unknown, and predictions near it with many
    ties."""
    random = np.random.default_rng(seed)
    conditional = np.hstack(
        [random.dirichlet([0.5] * 3, number), random.dirichlet([0.5] * 2, number)]
    )
    labels = TREE.joint(conditional)
    predicted = np.clip(labels + random.normal(0, noise, labels.shape), 0, 1).round(digits)
    for where in TREE.slices:
        labels[random.random(number) < unknown, where] = np.nan
    return labels.astype(np.float32), predicted.astype(np.float32)


laws = settings(max_examples=40, deadline=None)
many = st.builds(
    dict,
    number=st.integers(2, 60),
    seed=st.integers(0, 10_000),
    unknown=st.sampled_from([0.0, 0.3]),
)


def everything(labels, predicted):
    """The value of every statistic, flattened."""
    ones = np.ones((1, len(labels)))
    return {
        name: statistic(ones)[0]
        for name, statistic in scores.statistics(labels, predicted, TREE).items()
    }


# ---- against scikit-learn


@laws
@given(many, st.integers(0, 1000))
def test_errors_are_those_of_scikit_learn_with_any_weights(recipe, seed):
    labels, predicted = galaxies(**recipe)
    known = ~np.isnan(labels)
    if not known.any():
        return
    weights = np.random.default_rng(seed).integers(0, 4, len(labels)) + 1.0
    cells = np.broadcast_to(weights[:, None], labels.shape)[known]
    found = scores.statistics(labels, predicted, TREE)
    for name, reference in (("mse", mean_squared_error), ("mae", mean_absolute_error)):
        np.testing.assert_allclose(
            found[name](weights[None]),
            reference(labels[known], predicted[known], sample_weight=cells),
            rtol=1e-5,
        )
        single = {"mse": scores.mse, "mae": scores.mae}[name](labels, predicted)
        np.testing.assert_allclose(single, reference(labels[known], predicted[known]), rtol=1e-5)
    assert scores.rmse(labels, predicted) == pytest.approx(np.sqrt(scores.mse(labels, predicted)))


@laws
@given(many, st.integers(0, 1000))
def test_auc_is_that_of_scikit_learn_with_ties_unknown_truth_and_weights(recipe, seed):
    labels, predicted = galaxies(**recipe)
    weights = np.random.default_rng(seed).integers(0, 4, len(labels)).astype(float)
    found = scores.auc_per_answer(labels, predicted)
    weighted = scores.statistics(labels, predicted, TREE)["auc_per_answer"](weights[None])[0]
    for i in range(labels.shape[1]):
        known = ~np.isnan(labels[:, i])
        positive, guess = labels[known, i] > 0.5, predicted[known, i]
        assert (found.positives[i], found.negatives[i]) == (positive.sum(), (~positive).sum())
        drawn = weights[known] > 0
        for value, use, sample_weight in (
            (found.auc[i], known[known], None),
            (weighted[i], drawn, weights[known]),
        ):
            if len(set(positive[use])) < 2:
                assert np.isnan(value)
            else:
                chosen = None if sample_weight is None else sample_weight[use]
                expected = roc_auc_score(positive[use], guess[use], sample_weight=chosen)
                assert value == pytest.approx(expected, abs=1e-9)
        assert scores.auc(positive, guess) == pytest.approx(found.auc[i], nan_ok=True)


def test_the_roc_curve_is_that_of_scikit_learn_and_encloses_the_auc():
    labels, predicted = galaxies(200, unknown=0.0)
    positive = labels[:, 0] > 0.5
    curve = scores.roc(positive, predicted[:, 0])
    for ours, theirs in zip(
        (curve.false_positive_rate, curve.true_positive_rate, curve.thresholds),
        roc_curve(positive, predicted[:, 0]),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(scores.auc(positive, predicted[:, 0]))


def test_argmax_accuracy_is_that_of_scikit_learn():
    labels, predicted = galaxies(300, unknown=0.0)
    expected = accuracy_score(labels.argmax(1), predicted.argmax(1))
    assert scores.argmax_accuracy(labels, predicted) == pytest.approx(expected)


# ---- laws


@laws
@given(many)
def test_a_perfect_prediction_has_no_error(recipe):
    labels, _ = galaxies(**recipe)
    known = ~np.isnan(labels)
    found = everything(labels, np.nan_to_num(labels))
    for name in ("mse", "rmse", "mae", "calibration_error"):
        assert found[name] == 0 or not known.any()
    for name in ("argmax_accuracy", "question_accuracy", "confident_accuracy", "auc_per_answer"):
        np.testing.assert_array_equal(found[name][~np.isnan(found[name])], 1.0)
    np.testing.assert_array_equal(found["rmse_per_answer"][known.any(axis=0)], 0.0)


@laws
@given(many, st.randoms())
def test_the_order_of_galaxies_does_not_matter(recipe, random):
    labels, predicted = galaxies(**recipe)
    order = list(range(len(labels)))
    random.shuffle(order)
    shuffled = everything(labels[order], predicted[order])
    for name, value in everything(labels, predicted).items():
        np.testing.assert_allclose(shuffled[name], value, rtol=1e-9, atol=1e-12)


@laws
@given(many, st.integers(0, 1000))
def test_whole_weights_are_repeated_galaxies(recipe, seed):
    labels, predicted = galaxies(**recipe)
    weights = np.random.default_rng(seed).integers(0, 4, len(labels))
    if not weights.any():
        return
    repeated = everything(np.repeat(labels, weights, axis=0), np.repeat(predicted, weights, axis=0))
    for name, statistic in scores.statistics(labels, predicted, TREE).items():
        np.testing.assert_allclose(
            statistic(weights[None].astype(float))[0], repeated[name], rtol=1e-9, atol=1e-12
        )


@laws
@given(many)
def test_unknown_cells_count_nowhere(recipe):
    labels, predicted = galaxies(**recipe)
    elsewhere = everything(labels, np.where(np.isnan(labels), np.float32(0.37), predicted))
    for name, value in everything(labels, predicted).items():
        np.testing.assert_array_equal(elsewhere[name], value)


@laws
@given(many)
def test_auc_does_not_change_under_a_rising_map_and_mirrors_under_a_falling_one(recipe):
    labels, predicted = galaxies(**recipe)
    straight = scores.auc_per_answer(labels, predicted).auc
    np.testing.assert_allclose(scores.auc_per_answer(labels, np.exp(3 * predicted)).auc, straight)
    np.testing.assert_allclose(
        scores.auc_per_answer(labels, 1 - predicted.astype(float)).auc, 1 - straight
    )


def test_a_constant_prediction_tells_nothing_apart():
    labels, predicted = galaxies(50)
    np.testing.assert_array_equal(
        scores.auc_per_answer(labels, np.full_like(predicted, 0.3)).auc, 0.5
    )


def test_the_mean_vote_has_the_spread_of_the_votes_as_its_rmse():
    labels, _ = galaxies(400, unknown=0.0)
    mean = np.broadcast_to(labels.mean(axis=0), labels.shape).copy()
    np.testing.assert_allclose(scores.rmse_per_answer(labels, mean), labels.std(axis=0), rtol=1e-4)


# ---- what is undefined, and what is refused


def test_nothing_known_is_nan_everywhere():
    labels = np.full((3, 5), np.nan, np.float32)
    for name, value in everything(labels, np.zeros_like(labels)).items():
        assert np.isnan(value).all(), name
    assert scores.question_accuracy(labels, np.zeros_like(labels), TREE)["arms"][1] == 0


def test_no_galaxies_at_all_is_nan_and_cannot_be_resampled():
    none = np.empty((0, 5), np.float32)
    assert np.isnan([scores.mse(none, none), scores.argmax_accuracy(none, none)]).all()
    assert np.isnan(scores.auc_per_answer(none, none).auc).all()
    assert np.isnan(scores.consistency(none, TREE)["shape"].mean)
    assert scores.reliability(none, none).counts.sum() == 0
    with pytest.raises(ValueError, match="no galaxies"):
        scores.bootstrap(none, none, TREE)


def test_without_positives_there_is_no_curve_and_no_area():
    predicted = np.linspace(0, 1, 5)
    for positive in (np.zeros(5, bool), np.ones(5, bool)):
        assert np.isnan(scores.auc(positive, predicted))
        assert len(scores.roc(positive, predicted).thresholds) == 0
    found = scores.auc_per_answer(np.full((5, 1), 0.5), predicted[:, None])
    assert np.isnan(found.auc).all()
    assert (found.positives.item(), found.negatives.item()) == (0, 5), "0.5 is not above 0.5"


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_is_refused(wrong):
    labels, predicted = galaxies(10)
    predicted[3, 2] = wrong
    for measure in (
        scores.mse,
        scores.rmse_per_answer,
        scores.argmax_accuracy,
        scores.auc_per_answer,
    ):
        with pytest.raises(ValueError, match="1 predictions are NaN"):
            measure(labels, predicted)


def test_arrays_of_different_shapes_are_refused():
    labels, predicted = galaxies(10)
    for measure in (scores.mse, scores.question_accuracy):
        with pytest.raises((ValueError, TypeError)):
            measure(
                labels[:, :1], predicted, *([TREE] if measure is scores.question_accuracy else [])
            )
    with pytest.raises(ValueError, match="4 columns of fractions for 5 answers"):
        scores.question_accuracy(labels[:, :4], predicted[:, :4], TREE)


# ---- questions


TRUTH = np.array(
    [
        [0.6, 0.4, 0.0, 0.3, 0.1],  # smooth; fewer than half were asked about arms
        [0.1, 0.9, 0.0, 0.8, 0.1],  # disc, confidently; arms, confidently (0.89)
        [0.3, 0.6, 0.1, 0.4, 0.2],  # disc; arms
        [0.7, 0.3, 0.0, 0.24, 0.06],  # smooth; arms by exactly 0.8, but few were asked
        [np.nan] * 5,
    ],
    np.float32,
)
GUESS = np.array(
    [
        [0.5, 0.4, 0.1, 0.1, 0.3],
        [0.2, 0.8, 0.0, 0.1, 0.7],
        [0.5, 0.4, 0.1, 0.3, 0.1],
        [0.9, 0.1, 0.0, 0.1, 0.0],
        [0.2, 0.2, 0.6, 0.0, 0.2],
    ],
    np.float32,
)


def test_a_question_counts_galaxies_that_reached_it_and_agreed_on_it():
    assert scores.question_accuracy(TRUTH, GUESS, TREE) == {"shape": (3 / 4, 4), "arms": (1 / 2, 2)}
    assert scores.question_accuracy(TRUTH, GUESS, TREE, min_asked=0.0) == {
        "shape": (3 / 4, 4),
        "arms": (2 / 4, 4),
    }
    confident = scores.question_accuracy(TRUTH, GUESS, TREE, min_confidence=0.8)
    assert confident == {"shape": (1.0, 1), "arms": (0.0, 1)}


def test_a_fraction_rounded_to_float32_still_counts_as_exactly_eight_tenths():
    found = scores.question_accuracy(
        TRUTH[3:4], GUESS[3:4], TREE, min_asked=0.3, min_confidence=0.8
    )
    assert found["arms"] == (1.0, 1)


def test_a_question_that_nobody_was_asked_counts_no_galaxy():
    labels = np.array([[1.0, 0.0, 0.0, 0.0, 0.0]])
    assert scores.question_accuracy(labels, labels, TREE, min_asked=0.0)["arms"].galaxies == 0


def test_with_some_columns_only_questions_held_whole_are_measured():
    columns = ("star", "none", "arms", "smooth")
    places = [TREE.columns.index(column) for column in columns]
    labels, predicted = galaxies(40)
    kept = scores.question_accuracy(labels[:, places], predicted[:, places], TREE, columns=columns)
    assert kept == {"arms": scores.question_accuracy(labels, predicted, TREE)["arms"]}
    assert scores.consistency(predicted[:, places], TREE, columns=columns) == {}, (
        "the answer 'disc' is not held"
    )


def test_consistency_is_zero_where_predictions_keep_to_the_tree_and_measures_the_gap_elsewhere():
    labels, _ = galaxies(40, unknown=0.0)
    assert all(gap.largest < 1e-6 for gap in scores.consistency(labels, TREE).values())
    broken = np.array([[0.5, 0.4, 0.1, 0.3, 0.1], [0.5, 0.6, 0.1, 0.2, 0.1]])
    found = scores.consistency(broken, TREE)
    assert found["shape"] == pytest.approx((0.1, 0.2))
    assert found["arms"] == pytest.approx((0.15, 0.3))


# ---- calibration


def test_reliability_bins_hold_their_lower_edge_and_the_last_one_holds_one():
    predicted = np.array([[0.0, 0.1, 0.5], [1.0, 1.2, -0.1]])
    labels = np.array([[0.1, 0.2, np.nan], [0.9, 0.7, 0.0]])
    found = scores.reliability(labels, predicted)
    np.testing.assert_array_equal(found.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 2])
    np.testing.assert_allclose(found.mean_predicted[[0, 1, 9]], [-0.05, 0.1, 1.1])
    np.testing.assert_allclose(found.mean_truth[[0, 1, 9]], [0.05, 0.2, 0.8])
    assert np.isnan(found.mean_truth[2:9]).all()
    assert scores.calibration_error(labels, predicted) == pytest.approx(
        (2 * 0.1 + 0.1 + 2 * 0.3) / 5
    )


@laws
@given(many, st.integers(1, 20))
def test_the_calibration_error_is_the_mean_gap_of_the_reliability_curve(recipe, bins):
    labels, predicted = galaxies(**recipe)
    curve = scores.reliability(labels, predicted, bins=bins)
    filled = curve.counts > 0
    gaps = np.abs(curve.mean_predicted - curve.mean_truth)[filled]
    expected = np.average(gaps, weights=curve.counts[filled]) if filled.any() else np.nan
    found = scores.calibration_error(labels, predicted, bins=bins)
    assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)


# ---- all of them, with intervals


def test_the_bootstrap_gives_the_values_of_the_functions_inside_their_intervals():
    labels, predicted = galaxies(300)
    found = scores.bootstrap(labels, predicted, TREE, resamples=200, auc_resamples=50)
    asked = scores.question_accuracy(labels, predicted, TREE)
    confident = scores.question_accuracy(labels, predicted, TREE, min_confidence=0.8)
    answers, positives, _ = scores.auc_per_answer(labels, predicted)
    expected = {
        "mse": scores.mse(labels, predicted),
        "rmse": scores.rmse(labels, predicted),
        "mae": scores.mae(labels, predicted),
        "argmax_accuracy": scores.argmax_accuracy(labels, predicted),
        "calibration_error": scores.calibration_error(labels, predicted),
        "question_accuracy": [accuracy for accuracy, _ in asked.values()],
        "confident_accuracy": [accuracy for accuracy, _ in confident.values()],
        "rmse_per_answer": scores.rmse_per_answer(labels, predicted),
        "auc_per_answer": answers,
        "mean_question_accuracy": np.mean([accuracy for accuracy, _ in asked.values()]),
        "mean_confident_accuracy": np.mean([accuracy for accuracy, _ in confident.values()]),
        "mean_auc": np.mean(answers),
        "mean_auc_of_frequent": np.mean(answers[positives >= 10]),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].value, value, err_msg=name)
        if name != "calibration_error":  # biased upwards by resampling, so its value may lie below
            assert (found[name].low <= found[name].value).all(), name
            assert (found[name].value <= found[name].high).all(), name


def test_the_mean_auc_of_the_frequent_leaves_out_answers_of_few_positives():
    labels, predicted = galaxies(60, unknown=0.0)
    labels[:, 2], labels[:9, 2] = 0.0, 1.0
    answers, positives, _ = scores.auc_per_answer(labels, predicted)
    assert positives[2] == 9
    found = scores.bootstrap(labels, predicted, TREE, resamples=10, auc_resamples=10)
    frequent = positives >= 10
    assert found["mean_auc"].value == pytest.approx(answers.mean())
    assert found["mean_auc_of_frequent"].value == pytest.approx(answers[frequent].mean())


def test_a_statistic_of_ones_own_has_an_interval_from_the_same_resamples():
    labels, predicted = galaxies(100)
    known = scores.statistics(labels, predicted, TREE)
    own = {"half": lambda weights: known["rmse_per_answer"](weights)[:, :2] / 2}
    found = intervals(own, 100, resamples=50, seed=4)["half"]
    whole = scores.bootstrap(labels, predicted, TREE, resamples=50, auc_resamples=1, seed=4)[
        "rmse_per_answer"
    ]
    for ours, theirs in (
        (found.value, whole.value),
        (found.low, whole.low),
        (found.high, whole.high),
    ):
        np.testing.assert_allclose(ours, theirs[:2] / 2)
