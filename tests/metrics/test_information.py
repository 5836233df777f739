import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from galaxyvotes import DecisionTree
from galaxyvotes.metrics.information import entropy, information

KAGGLE, CLASSES = DecisionTree.load("kaggle"), DecisionTree.load("classes5")


def fractions(tree: DecisionTree, seed: int, count: int = 6) -> np.ndarray:
    """Joint fractions that obey the tree."""
    random = np.random.default_rng(seed)
    conditional = np.zeros((count, len(tree.columns)))
    for question in tree.questions:
        columns = [tree.columns.index(answer.column) for answer in question.answers]
        conditional[:, columns] = random.dirichlet(np.full(len(columns), 0.5), count)
    return tree.joint(conditional)


def test_of_one_question_it_is_the_entropy_of_its_answers():
    joint = fractions(CLASSES, 0)
    assert np.allclose(entropy(CLASSES, joint, CLASSES.columns), scipy_entropy(joint.T, base=2))
    certain = np.eye(5)
    assert np.array_equal(entropy(CLASSES, certain, CLASSES.columns), np.zeros(5))


def test_of_a_tree_it_is_that_of_all_that_a_volunteer_can_answer():
    joint = np.zeros((1, len(KAGGLE.columns)))
    for name, value in {
        "Class1.1": 0.5,
        "Class1.2": 0.5,
        "Class7.1": 0.25,
        "Class7.2": 0.25,
    }.items():
        joint[0, KAGGLE.columns.index(name)] = value
    joint[0, KAGGLE.columns.index("Class2.1")] = 0.5
    joint[0, KAGGLE.columns.index("Class9.1")] = 0.5
    joint[0, KAGGLE.columns.index("Class6.2")] = 1
    assert entropy(KAGGLE, joint, KAGGLE.columns) == pytest.approx([1.5])


@given(st.integers(0, 10_000))
def test_information_lies_between_nothing_and_the_entropy(seed):
    draws = np.stack([fractions(KAGGLE, 10 * seed + n) for n in range(4)])
    told = information(KAGGLE, draws, KAGGLE.columns)
    assert (told >= 0).all()
    assert (told <= entropy(KAGGLE, draws.mean(axis=0), KAGGLE.columns) + 1e-9).all()


def test_predictions_that_agree_have_nothing_to_tell_however_uncertain():
    same = np.repeat(fractions(KAGGLE, 3)[None], 5, axis=0)
    assert np.allclose(information(KAGGLE, same, KAGGLE.columns), 0)
    opposite = np.stack([np.eye(5)[[0]], np.eye(5)[[1]]])
    assert information(CLASSES, opposite, CLASSES.columns) == pytest.approx([1])
