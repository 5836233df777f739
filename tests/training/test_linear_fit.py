"""The last layer fitted in one go."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from galaxyvotes.config import PackSettings, Recipe
from galaxyvotes.kinds import Standard
from galaxyvotes.questions import QUANTITY_COLUMNS, Answer, Question
from galaxyvotes.runs.network import Head, Network
from galaxyvotes.training.linear_fit import FOLDS, NEVER, linear_fit
from galaxyvotes.tree import DecisionTree

RECIPE = Recipe.load("compact", ("model.width=8",))


def question(*answers: str, quantity: bool = False) -> DecisionTree:
    asked = Question("Q1", "?", tuple(Answer(each, each) for each in answers), quantity=quantity)
    if quantity:
        return DecisionTree("test", "test", (asked,), QUANTITY_COLUMNS)
    return DecisionTree("test", "test", (asked,))


def head_for(tree: DecisionTree, *standards: Standard) -> Network:
    return Network.build(RECIPE, [Head(tree, tree.columns, standards)], PackSettings(32, 32))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(galaxies: int = 120, features: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(galaxies, features))


@pytest.mark.parametrize("answers", [2, 3])
def test_fractions_that_follow_a_softmax_are_found(answers):
    features = drawn(400)
    truth = np.random.default_rng(1).normal(size=(answers, 6))
    fractions = softmax(features @ truth.T)
    fit = linear_fit(head_for(question(*"abc"[:answers])), features, fractions)
    predicted = softmax(features @ fit.weight.T + fit.bias)
    assert np.sqrt(np.mean((predicted - fractions) ** 2)) < 0.02


def test_classes_are_fitted_as_scikit_learn_fits_them():
    features = drawn()
    classes = (features[:, 0] + features[:, 1] > 0).astype(int)
    labels = np.eye(2)[classes]
    fit = linear_fit(head_for(question("a", "b")), features, labels)
    chances = softmax(features @ fit.weight.T + fit.bias)
    strengths = 10.0 ** -np.arange(0, 4.1, 0.5)
    fitted = [LogisticRegression(C=each).fit(features, classes) for each in strengths]
    assert any(
        np.allclose(chances, each.predict_proba(features), rtol=0, atol=1e-3) for each in fitted
    )


def test_labels_that_have_nothing_to_do_with_features_are_fitted_weakly():
    features = drawn(60, 40)
    labels = np.eye(2)[np.random.default_rng(3).integers(0, 2, 60)]
    fit = linear_fit(head_for(question("a", "b")), features, labels)
    assert abs(softmax(features @ fit.weight.T + fit.bias) - 0.5).max() < 0.2
    assert fit.loss < 0.75  # that of a coin is 0.693


def test_quantities_are_fitted_in_units_of_their_scatter():
    features = drawn()
    values = 500 + 20 * features[:, :1]
    tree = question("radius", quantity=True)
    fit = linear_fit(head_for(tree, Standard(500.0, 20.0)), features, values)
    assert fit.weight[0, 0] == pytest.approx(1, abs=0.01)
    assert fit.bias[0] == pytest.approx(0, abs=0.01)
    assert fit.loss < 0.001
    ridge = Ridge(alpha=0.1).fit(features, (values[:, 0] - 500) / 20)
    assert fit.weight[0] == pytest.approx(ridge.coef_, abs=1e-3)


def test_unknown_labels_have_no_part():
    features, tree = drawn(), question("radius", quantity=True)
    values = features[:, :1].copy()
    head = head_for(tree, Standard(0.0, 1.0))
    expected = linear_fit(head, features[20:], values[20:])
    values[:20] = np.nan
    fit = linear_fit(head, features, values)
    assert fit.weight == pytest.approx(expected.weight)
    both = np.eye(2)[(features[:, 0] > 0).astype(int)]
    head = head_for(question("a", "b"))
    expected = linear_fit(head, features[20:], both[20:])
    both[:20] = np.nan
    assert linear_fit(head, features, both).weight == pytest.approx(expected.weight)


def test_an_answer_that_nobody_gave_is_never_predicted():
    features = drawn()
    labels = np.column_stack([np.eye(2)[(features[:, 0] > 0).astype(int)], np.zeros(120)])
    fit = linear_fit(head_for(question("a", "b", "c")), features, labels)
    assert fit.bias[2] == NEVER
    assert softmax(features @ fit.weight.T + fit.bias)[:, 2].max() < 0.01


@pytest.mark.parametrize("galaxies", [1, FOLDS - 1, FOLDS])
def test_a_few_galaxies_are_enough_for_a_finite_fit(galaxies):
    features = drawn(galaxies)
    labels = np.eye(2)[np.arange(galaxies) % 2]
    fit = linear_fit(head_for(question("a", "b")), features, labels)
    assert np.isfinite(fit.weight).all()
    assert np.isfinite([*fit.bias, fit.loss]).all()
