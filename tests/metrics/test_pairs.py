import numpy as np
import pytest

from galaxyvotes.metrics.pairs import pair_statistic, pairs_of
from galaxyvotes.metrics.roc import auc
from galaxyvotes.metrics.statistic import value_of
from galaxyvotes.tree import DecisionTree

HANDS = DecisionTree.of_classes(["clockwise", "anticlockwise", "smooth"], "hand")


def test_two_classes_that_are_told_from_a_third_but_not_from_each_other_are_at_chance():
    random = np.random.default_rng(0)
    labels = np.eye(3, dtype=np.float32)[random.integers(3, size=600)]
    smooth = 0.1 + 0.8 * labels[:, 2]
    share = random.random(600)
    predicted = np.stack([share * (1 - smooth), (1 - share) * (1 - smooth), smooth], axis=1)
    pairs = pairs_of(labels, HANDS, HANDS.columns, least=10)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]
    hand, *others = value_of(pair_statistic(labels, predicted, pairs), 600)
    assert hand == pytest.approx(0.5, abs=0.06)
    assert min(others) > 0.9
    assert auc(labels[:, 0] > 0.5, predicted[:, 0]) > 0.7  # against all, it looks learned
    both = labels[:, 2] == 0
    assert hand == pytest.approx(auc(labels[both, 0] > 0.5, share[both]))


def test_pairs_are_within_a_question_and_of_enough_galaxies(two_questions, galaxies):
    labels, _ = galaxies(200, unknown=0)
    counts = (labels > 0.5).sum(axis=0)
    found = pairs_of(labels, two_questions, two_questions.columns, least=1)
    assert [pair.question for pair in found] == ["shape"] * 3 + ["arms"]
    assert found[-1].galaxies == tuple(counts[3:].tolist())
    rarest = int(counts[:3].min())
    few = pairs_of(labels, two_questions, two_questions.columns, least=rarest + 1)
    assert len(few) < len(found)
    assert pairs_of(labels[:, 3:4], two_questions, ["arms"], least=1) == []
