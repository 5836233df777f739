"""Prediction intervals come back from their file, and one that cannot be is refused by its name."""

import math
import re

import numpy as np
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyvotes.confidence.conformal import fit_intervals
from galaxyvotes.confidence.prediction_intervals import PredictionIntervals
from galaxyvotes.errors import DataError
from galaxyvotes.runtime.toml import from_table, parsed
from galaxyvotes.tree import DecisionTree

TREE = DecisionTree.load("classes5")

laws = settings(max_examples=15, deadline=None)
sets = st.builds(dict, galaxies=st.integers(20, 80), seed=st.integers(0, 10_000))


def drawn(galaxies: int, seed: int = 0):
    """Fractions, predictions of them, and a difficulty."""
    random = np.random.default_rng(seed)
    difficulty = random.uniform(0.02, 0.4, (galaxies, 1)) * np.ones(5)
    labels, other = (random.dirichlet([1.0, 1.5, 0.2, 0.7, 0.7], galaxies) for _ in range(2))
    return labels, labels + difficulty * (other - labels), difficulty


def read_back(text: str) -> PredictionIntervals:
    origin = "run/calibration.toml"
    table = parsed(text, origin, error=DataError)
    return from_table(table, PredictionIntervals, origin, error=DataError)


@laws
@given(
    sets,
    st.booleans(),
    st.sampled_from(["joint", "conditional"]),
    st.sampled_from([None, 40.0, 43.7]),
)
def test_a_calibration_survives_toml_to_the_last_bit(recipe, with_difficulty, kind, volunteers):
    labels, predicted, difficulty = drawn(**recipe)
    spread = (difficulty,) if with_difficulty else ()
    counted = None if volunteers is None else np.full(labels.shape, volunteers)
    calibration = fit_intervals(labels, predicted, TREE, *spread, kind=kind, volunteers=counted)
    read = read_back(tomlkit.dumps(calibration.to_table()))
    assert read == calibration
    np.testing.assert_array_equal(
        read.bounds(predicted, *spread), calibration.bounds(predicted, *spread)
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('of = "joint"', 'of = "both"', "of is 'both'; expected one of joint, conditional"),
        ("coverage = 0.9", "coverage = 1.5", "coverage is 1.5"),
        ("coverage = 0.9", 'coverage = "high"', "coverage is 'high'; expected a number"),
        ("coverage = 0.9", "", "it has no coverage"),
        (
            "coverage = 0.9",
            "coverage = 0.9\ncolour = 1",
            "unknown key colour; did you mean columns?",
        ),
        ("coverage = 0.9", "coverage = ", "not TOML: Invalid value"),
        ("min_asked = 0.25", "min_asked = 0.0", "min_asked is 0.0"),
        ("volunteers = [", "volunteers = [0.5, ", "volunteers has 0.5"),
        ("galaxies = [27, ", "galaxies = [", "its lists differ in length"),
        (
            "galaxies = [27, ",
            "galaxies = [2.5, ",
            "galaxies is [2.5, 27, 27, 27, 27]; expected a list of whole numbers",
        ),
        ("quantiles = [", "quantiles = [nan, ", "its lists differ in length"),
        (
            "typical = [",
            "typical = [-",
            "a weight, a typical variance or a quantile is not 0 or more",
        ),
        ('asked_of = ["", ', 'asked_of = ["spots", ', "asked_of names 'spots'"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_the_reason(old, new, message):
    labels, predicted, _ = drawn(40)
    calibration = fit_intervals(labels, predicted, TREE)
    text = tomlkit.dumps(calibration.to_table())
    assert old in text
    with pytest.raises(DataError, match="^" + re.escape(f"run/calibration.toml: {message}")):
        read_back(text.replace(old, new))


def test_a_file_without_volunteers_comes_from_panels_that_nobody_counted():
    labels, predicted, _ = drawn(40)
    table = fit_intervals(
        labels, predicted, TREE, volunteers=np.full(labels.shape, 30.0)
    ).to_table()
    del table["volunteers"]
    intervals = from_table(table, PredictionIntervals, "calibration.toml")
    assert intervals.volunteers == (math.inf,) * 5
    assert intervals.columns == TREE.columns


def test_volunteers_of_answers_whose_panels_nobody_counted_change_nothing():
    labels, predicted, _ = drawn(40)
    intervals = fit_intervals(labels, predicted, TREE)
    counted = intervals.bounds(predicted, volunteers=np.full(labels.shape, 5.0))
    np.testing.assert_array_equal(counted, intervals.bounds(predicted))
