"""Galaxies that the tests of several measures share: labels that keep to a tree of two questions,
and predictions near them."""

from collections.abc import Callable

import numpy as np
import pytest

from galaxyvotes.tree import Answer, DecisionTree, Question


@pytest.fixture(scope="session")
def two_questions() -> DecisionTree:
    """A tree of two questions, the second asked of one answer of the first."""
    return DecisionTree(
        "two",
        "Two questions",
        (
            Question(
                "shape",
                "Smooth?",
                (Answer("smooth", "yes"), Answer("disc", "no", "arms"), Answer("star", "a star")),
            ),
            Question(
                "arms", "Arms?", (Answer("arms", "yes"), Answer("none", "no")), asked_of="disc"
            ),
        ),
    )


@pytest.fixture(scope="session")
def galaxies(two_questions: DecisionTree) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """`galaxies(number, seed)`: labels, some questions of them unknown, and predictions with many
    ties."""

    def draw(
        number: int, seed: int = 0, *, unknown: float = 0.1, noise: float = 0.15, digits: int = 2
    ):
        random = np.random.default_rng(seed)
        conditional = np.hstack(
            [random.dirichlet([0.5] * 3, number), random.dirichlet([0.5] * 2, number)]
        )
        labels = two_questions.joint(conditional)
        predicted = np.clip(labels + random.normal(0, noise, labels.shape), 0, 1).round(digits)
        for where in two_questions.slices:
            labels[random.random(number) < unknown, where] = np.nan
        return labels.astype(np.float32), predicted.astype(np.float32)

    return draw
