import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.confidence.conformal import (
    check_coverage,
    fit_intervals,
    galaxies_needed,
    largest_coverage,
)
from galaxyvotes.errors import ConfigError, DataError
from galaxyvotes.metrics.coverage import (
    coverage_per_answer,
    empirical_coverage,
    interval_score,
    mean_width,
)
from galaxyvotes.tree import Answer, DecisionTree, Question

TTYPE = DecisionTree.of_numbers(["ttype"])
BOTH = DecisionTree.of_numbers(["ttype", "colour"])
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

laws = settings(max_examples=15, deadline=None)
sets = st.builds(dict, galaxies=st.integers(20, 80), seed=st.integers(0, 10_000))


def drawn(galaxies: int, seed: int | np.random.Generator = 0):
    """Exchangeable galaxies: joint fractions, predictions of them, and a difficulty that tells good
    ones from bad."""
    random = np.random.default_rng(seed)
    difficulty = random.uniform(0.02, 0.4, (galaxies, 1)) * np.ones(5)

    def conditional():
        return np.hstack(
            [random.dirichlet([1.0, 1.5, 0.2], galaxies), random.dirichlet([0.7, 0.7], galaxies)]
        )

    labels, other = conditional(), conditional()
    return TREE.joint(labels), TREE.joint(labels + difficulty * (other - labels)), difficulty


def panels(
    fractions: np.ndarray, volunteers: int | np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """What panels of so many volunteers say, as joint fractions, where these fractions are behind
    them."""
    volunteers = np.broadcast_to(volunteers, len(fractions))
    counts = np.zeros(fractions.shape)
    conditional = np.nan_to_num(TREE.conditional(fractions), nan=0.5)
    for where, parent in zip(TREE.slices, TREE.parents, strict=True):
        asked = volunteers if parent is None else counts[:, parent].astype(int)
        counts[:, where] = random.multinomial(asked, conditional[:, where])
    return counts / volunteers[:, None]


# ---- the guarantee


@pytest.mark.parametrize("with_difficulty", [True, False])
def test_each_answer_is_covered_as_often_as_was_promised_over_many_calibration_sets(
    with_difficulty,
):
    random = np.random.default_rng(1)
    found = []
    for repetition in range(120):
        calibration_set, test = drawn(40, random), drawn(100, random)
        spread = slice(None, 3 if with_difficulty else 2)
        labels, predicted, *difficulty = calibration_set[spread]
        calibration = fit_intervals(
            labels, predicted, TREE, *difficulty, coverage=0.8, seed=repetition
        )
        found.append(
            coverage_per_answer(test[0], *calibration.bounds(*test[1:][: len(difficulty) + 1]))
        )
    assert calibration.galaxies == (27,) * 5
    np.testing.assert_allclose(
        np.mean(found, axis=0), 23 / 28, atol=0.025
    )  # ⌈28 · 0.8⌉ of 27 + 1, and so within
    np.testing.assert_array_less(
        np.std(found, axis=0), 0.11
    )  # Beta(23, 5): 0.071, and 100 galaxies: 0.038


def test_conditional_fractions_are_covered_where_the_question_was_reached():
    random = np.random.default_rng(2)
    hits, cells, bounded = np.zeros(5), np.zeros(5), 0
    for repetition in range(100):
        (labels, predicted, difficulty), test = drawn(60, random), drawn(200, random)
        calibration = fit_intervals(
            labels, predicted, TREE, difficulty, kind="conditional", coverage=0.8, seed=repetition
        )
        bounds = calibration.bounds(*test[1:])
        reached = (TREE.asked(test[0]) >= 0.25)[:, [0, 0, 0, 1, 1]]
        known = np.where(reached, TREE.conditional(test[0]), np.nan)
        assert (np.isnan(bounds.lower[:, 3]) == (test[1][:, 1] < 0.25)).all()
        counted = reached & ~np.isnan(bounds.lower)
        hits += np.nan_to_num(coverage_per_answer(known, *bounds)) * counted.sum(axis=0)
        cells += counted.sum(axis=0)
        bounded += not calibration.unbounded
    assert bounded > 75
    promised = 0.8 - 0.02, 0.8 + 1 / 20 + 0.02
    assert ((hits / cells > promised[0]) & (hits / cells < promised[1])).all(), hits / cells


def test_intervals_hold_the_noise_of_panels_and_the_fraction_behind_them_more_often():
    random = np.random.default_rng(3)
    of_panels, behind_them = [], []
    for repetition in range(60):
        behind, predicted, difficulty = drawn(90, random)
        labels = panels(behind, 40, random)
        counted = np.full(labels.shape, 40.0)
        calibration = fit_intervals(
            labels, predicted, TREE, difficulty, coverage=0.8, volunteers=counted, seed=repetition
        )
        behind, predicted, difficulty = drawn(200, random)
        bounds = calibration.bounds(predicted, difficulty)
        of_panels.append(empirical_coverage(panels(behind, 40, random), *bounds))
        behind_them.append(empirical_coverage(behind, *bounds))
    assert calibration.volunteers == pytest.approx((40.0,) * 5)
    assert 0.79 <= np.mean(of_panels) <= 0.8 + 1 / 61 + 0.02
    assert np.mean(behind_them) > np.mean(of_panels) + 0.05


@pytest.mark.parametrize("kind", ["joint", "conditional"])
def test_galaxies_with_few_volunteers_are_covered_as_well_as_those_with_many_if_they_were_counted(
    kind,
):
    random = np.random.default_rng(4)
    found: dict[tuple[bool, int], list[float]] = {}

    def galaxies(count):
        behind, predicted, _ = drawn(count, random)
        volunteers = np.where(random.random(count) < 0.5, 6, 60)
        said = panels(behind, volunteers, random)
        return (
            said,
            0.7 * behind + 0.3 * predicted,
            np.tile(volunteers[:, None].astype(float), (1, 5)),
        )

    for repetition in range(60):
        (labels, predicted, volunteers), (said, guess, of_test) = galaxies(150), galaxies(200)
        if kind == "conditional":
            reached = (TREE.asked(said) >= 0.25)[:, [0, 0, 0, 1, 1]]
            said = np.where(reached, TREE.conditional(said), np.nan)
        for known in (True, False):
            counted = volunteers if known else None
            calibration = fit_intervals(
                labels,
                predicted,
                TREE,
                kind=kind,
                coverage=0.8,
                volunteers=counted,
                seed=repetition,
            )
            lower, upper = calibration.bounds(guess, volunteers=of_test)
            for size in (6, 60):
                rows = of_test[:, 0] == size
                found.setdefault((known, size), []).append(
                    empirical_coverage(said[rows], lower[rows], upper[rows])
                )
    means = {case: np.mean(each) for case, each in found.items()}
    assert (
        0.77 <= min(means[True, 6], means[True, 60]) <= max(means[True, 6], means[True, 60]) <= 0.85
    ), means
    assert means[False, 6] < 0.7, (
        means
    )  # a scale that knows of no volunteers is too narrow for six of them,
    assert means[False, 60] > 0.9, means  # and too wide for sixty


def test_a_number_of_volunteers_that_is_not_known_counts_as_typical():
    labels, predicted, _ = drawn(60)
    counted = np.full(labels.shape, 20.0)
    counted[::2] = 60.0
    counted[:, 2] = np.nan
    calibration = fit_intervals(labels, predicted, TREE, volunteers=counted)
    assert all(
        25 < size < 40 for place, size in enumerate(calibration.volunteers) if place != 2
    )  # harmonic: 30
    assert math.isinf(calibration.volunteers[2])
    typical, own = calibration.bounds(predicted), calibration.bounds(predicted, volunteers=counted)
    np.testing.assert_array_equal(typical.upper[:, 2], own.upper[:, 2])
    assert (own.upper[::2, 0] <= typical.upper[::2, 0]).all()
    assert (own.upper[1::2, 0] >= typical.upper[1::2, 0]).all()
    np.testing.assert_array_equal(
        calibration.bounds(predicted, volunteers=np.full(labels.shape, np.nan)), typical
    )


# ---- laws


@laws
@given(sets, st.sampled_from(["joint", "conditional"]))
def test_intervals_lie_in_0_to_1_contain_the_prediction_and_grow_with_the_coverage(recipe, kind):
    labels, predicted, difficulty = drawn(**recipe)
    fractions = predicted if kind == "joint" else TREE.conditional(predicted)
    inner = None
    for level in (0.5, 0.7, 0.8, 0.84):
        lower, upper = fit_intervals(
            labels, predicted, TREE, difficulty, kind=kind, coverage=level
        ).bounds(predicted, difficulty)
        known = ~np.isnan(lower)
        assert (known == ~np.isnan(upper)).all()
        assert (lower[known] >= 0).all()
        assert (upper[known] <= 1).all()
        assert (lower[known] <= fractions[known] + 1e-12).all()
        assert (upper[known] >= fractions[known] - 1e-12).all()
        if inner is not None:
            assert (lower[known] <= inner[0][known]).all()
            assert (upper[known] >= inner[1][known]).all()
        inner = lower, upper


@laws
@given(sets, st.sampled_from([1e-6, 0.1, 37.0, 1e5]))
def test_the_unit_of_difficulty_does_not_matter(recipe, unit):
    labels, predicted, difficulty = drawn(**recipe)
    expected = fit_intervals(labels, predicted, TREE, difficulty).bounds(predicted, difficulty)
    found = fit_intervals(labels, predicted, TREE, difficulty * unit).bounds(
        predicted, difficulty * unit
    )
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_a_telling_difficulty_makes_intervals_sharper_and_a_silent_one_does_not_harm():
    labels, predicted, difficulty = drawn(2000)
    test = drawn(2000, 1)
    scores = {}
    for name, of_set, of_test in (
        ("telling", difficulty, test[2]),
        ("silent", np.ones_like(difficulty), np.ones_like(difficulty)),
        ("none", None, None),
    ):
        bounds = fit_intervals(labels, predicted, TREE, of_set).bounds(test[1], of_test)
        scores[name] = interval_score(test[0], *bounds, coverage=0.9), mean_width(test[0], *bounds)
    assert scores["telling"][0] < 0.95 * scores["none"][0], scores
    assert scores["telling"][1] < scores["none"][1], scores
    assert scores["silent"][0] < 1.05 * scores["none"][0], scores


def test_unknown_fractions_are_left_out_answer_by_answer():
    labels, predicted, _ = drawn(60)
    labels[5:35, 3:] = np.nan
    labels[50] = np.nan  # nothing known: as if it were not there
    whole = fit_intervals(labels, predicted, TREE)
    assert whole.galaxies[:3] == (39, 39, 39)  # 59 less a third
    assert 9 <= whole.galaxies[3] <= 29
    rest = np.arange(60) != 50
    assert fit_intervals(labels[rest], predicted[rest], TREE).galaxies == whole.galaxies


def test_an_answer_with_too_few_galaxies_gets_the_whole_interval():
    labels, predicted, _ = drawn(40)
    labels[6:, 3:] = np.nan
    calibration = fit_intervals(labels, predicted, TREE)
    assert calibration.unbounded == ("arms", "none")
    lower, upper = calibration.bounds(predicted)
    np.testing.assert_array_equal(lower[:, 3:], 0)
    np.testing.assert_array_equal(upper[:, 3:], 1)
    assert mean_width(labels, lower[:, :], upper) < 1


def test_a_perfect_prediction_has_intervals_without_width():
    labels, _, _ = drawn(40)
    np.testing.assert_allclose(
        fit_intervals(labels, labels, TREE).bounds(labels), [labels, labels], atol=1e-12
    )


def test_fractions_that_are_all_zero_or_one_are_no_trouble():
    labels = np.tile([1.0, 0, 0, 0, 0], (30, 1))
    for predicted in (labels, np.tile([0.9, 0.1, 0, 0.1, 0], (30, 1))):
        for kind in ("joint", "conditional"):
            calibration = fit_intervals(labels, predicted, TREE, np.zeros_like(labels), kind=kind)
            assert (
                empirical_coverage(labels, *calibration.bounds(predicted, np.zeros_like(labels)))
                == 1
            )


def test_some_answers_of_a_tree_can_be_calibrated_alone():
    labels, predicted, _ = drawn(60)
    names, places = ("arms", "smooth"), [3, 0]
    calibration = fit_intervals(labels[:, places], predicted[:, places], TREE, columns=names)
    assert calibration.columns == names
    assert calibration.asked_of == ("", "")
    assert empirical_coverage(labels[:, places], *calibration.bounds(predicted[:, places])) > 0.8
    with pytest.raises(ConfigError, match="conditional fraction of arms needs that of disc"):
        fit_intervals(
            labels[:, places], predicted[:, places], TREE, columns=names, kind="conditional"
        )


def test_float32_and_another_order_of_galaxies_in_use_change_nothing():
    labels, predicted, _ = drawn(60)
    calibration = fit_intervals(labels.astype(np.float32), predicted.astype(np.float32), TREE)
    lower, upper = calibration.bounds(predicted.astype(np.float32))
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_array_equal(
        calibration.bounds(predicted.astype(np.float32)[order]), [lower[order], upper[order]]
    )
    assert lower.dtype == upper.dtype == np.float64


# ---- quantities


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e6), st.floats(-1e4, 1e4))
def test_another_unit_gives_the_same_intervals_in_that_unit(scale, shift):
    random = np.random.default_rng(2)
    labels = random.normal(0, 3, (60, 1))
    guess, spread = labels + random.normal(0, 1, labels.shape), random.uniform(0, 1, labels.shape)
    labels[5] = np.nan
    plain = fit_intervals(labels, guess, TTYPE, spread, kind="quantity")
    other = fit_intervals(
        labels * scale + shift, guess * scale + shift, TTYPE, spread * scale, kind="quantity"
    )
    expected = plain.bounds(guess, spread)
    found = other.bounds(guess * scale + shift, spread * scale)
    widths = (found.upper - found.lower) / scale
    assert np.allclose(widths, expected.upper - expected.lower, rtol=1e-4)


def test_nine_intervals_in_ten_hold_and_too_few_galaxies_give_none():
    random = np.random.default_rng(3)
    labels = random.normal(0, 3, (4000, 2))
    guess = labels + random.normal(0, 1, labels.shape)
    few = labels.copy()
    few[10:, 1] = np.nan
    found = fit_intervals(few[:1000], guess[:1000], BOTH, kind="quantity")
    lower, upper = found.bounds(guess[1000:])
    held = (lower[:, 0] <= labels[1000:, 0]) & (labels[1000:, 0] <= upper[:, 0])
    assert 0.87 < held.mean() < 0.93
    assert found.unbounded == ("colour",)
    assert np.isnan(lower[:, 1]).all()
    with pytest.raises(ConfigError, match="asks for quantities, which have no joint fractions"):
        fit_intervals(labels, guess, BOTH)
    with pytest.raises(ConfigError, match="nobody's vote"):
        found.bounds(guess, volunteers=np.full(guess.shape, 20.0))
    with pytest.raises(ConfigError, match="nobody's vote"):
        fit_intervals(labels, guess, BOTH, kind="quantity", volunteers=np.full(guess.shape, 20.0))
    with pytest.raises(ConfigError, match="asks for classes, not for quantities"):
        fit_intervals(labels, guess, DecisionTree.of_classes(["a", "b"]), kind="quantity")


# ---- errors


@pytest.mark.parametrize(("level", "needed"), [(0.5, 1), (0.9, 13), (0.95, 28), (0.99, 148)])
def test_too_few_galaxies_are_an_error_that_says_how_many_are_needed(level, needed):
    assert galaxies_needed(level) == needed
    labels, predicted, _ = drawn(needed)
    assert not fit_intervals(labels, predicted, TREE, coverage=level).unbounded
    with pytest.raises(
        DataError, match=f"need {needed} calibration galaxies or more .* here are {needed - 1}"
    ):
        fit_intervals(labels[1:], predicted[1:], TREE, coverage=level)


def test_so_few_galaxies_are_told_the_coverage_that_they_allow():
    for galaxies in (1, 6, 12, 27):
        lower = largest_coverage(galaxies)
        assert galaxies_needed(lower) <= galaxies < galaxies_needed(lower + 0.05)
    assert (largest_coverage(6), largest_coverage(0)) == (0.8, 0)
    with pytest.raises(DataError, match=r"or ask for a lower coverage, `coverage=0\.8`$"):
        check_coverage(0.9, 6)
    with pytest.raises(DataError, match=r"that were not used in training, .*`$"):
        check_coverage(0.9, 0)


def test_what_cannot_be_calibrated_or_used_is_refused():
    labels, predicted, difficulty = drawn(40)
    for wrong in ({"coverage": 1.0}, {"min_asked": 0.0}):
        with pytest.raises(ConfigError, match=r"(coverage is 1|min_asked is 0)\.0: expected"):
            fit_intervals(labels, predicted, TREE, **wrong)
    with pytest.raises(ConfigError, match="no answer 'bar'"):
        fit_intervals(labels[:, :1], predicted[:, :1], TREE, columns=["bar"])
    with pytest.raises(ValueError, match="not in 0–1"):
        fit_intervals(labels, predicted + 0.5, TREE)
    with pytest.raises(ValueError, match="not in 0–1"):
        fit_intervals(labels, np.where(predicted > 0.5, np.nan, predicted), TREE)
    with pytest.raises(ValueError, match="3 columns of fractions for 5 answers"):
        fit_intervals(labels[:, :3], predicted[:, :3], TREE)
    with pytest.raises(ValueError, match="difficulty is negative"):
        fit_intervals(labels, predicted, TREE, -difficulty)
    calibration = fit_intervals(labels, predicted, TREE)
    with pytest.raises(ValueError, match="fitted without difficulty"):
        calibration.bounds(predicted, difficulty)
