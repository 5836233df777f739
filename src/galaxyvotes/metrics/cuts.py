"""What one gets who chooses galaxies by a predicted fraction, and which answer is taken for which.

A *cut* chooses the galaxies whose predicted fraction of an answer is above it. Wanted are those of
which more than half of all volunteers gave that answer. Purity is the share of the chosen that are
wanted, completeness the share of the wanted that are chosen: what machine learning calls precision
and recall.

Conventions are those of `metrics`: joint fractions, NaN in the truth is unknown and counts nowhere.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from galaxyvotes.metrics.bootstrap import Statistic, ratio
from galaxyvotes.metrics.scores import MIN_ASKED, THRESHOLD, checked, reached, whole_questions
from galaxyvotes.tree import DecisionTree

__all__ = ["CUTS", "Confusion", "chosen", "confusion", "statistics"]

CUTS = (0.5, 0.8)  # what is probably wanted; a clean sample, as Galaxy Zoo's papers choose it

Fractions = Float[np.ndarray, "galaxy answer"]


class Confusion(NamedTuple):
    """How many galaxies have one answer as the volunteers' most voted (row) and one as the most
    predicted (column).
    """

    columns: tuple[str, ...]
    galaxies: Int[np.ndarray, "voted predicted"]


def chosen(labels: Fractions, predicted: Fractions, cut: float) -> Int[np.ndarray, " answer"]:
    """How many galaxies, of those whose truth is known, a cut chooses, per answer."""
    checked(labels, predicted)
    return (~np.isnan(labels) & (predicted > cut)).sum(axis=0)


def statistics(labels: Fractions, predicted: Fractions, cut: float) -> dict[str, Statistic]:
    """`purity` and `completeness` of each answer at a cut; undefined where none is chosen, or none
    wanted.
    """
    checked(labels, predicted)
    above, wanted = ~np.isnan(labels) & (predicted > cut), labels > THRESHOLD
    both = np.asarray(above & wanted, np.float64)
    return {
        "purity": ratio(both, np.asarray(above, np.float64)),
        "completeness": ratio(both, np.asarray(wanted, np.float64)),
    }


def confusion(
    labels: Fractions,
    predicted: Fractions,
    tree: DecisionTree,
    *,
    columns: Sequence[str] | None = None,
) -> dict[str, Confusion]:
    """Per question, over the galaxies of which half of the volunteers reached it: see
    `metrics.question_accuracy`.

    The share on the diagonal is that accuracy; of a row, it is the accuracy of a class.
    """
    checked(labels, predicted)
    held = list(tree.columns if columns is None else columns)
    found: dict[str, Confusion] = {}
    for name, answers, _ in whole_questions(labels, tree, columns):
        voted = labels[:, answers].astype(np.float64)
        counts = reached(voted, MIN_ASKED)
        pairs = (voted[counts].argmax(axis=1), predicted[counts][:, answers].argmax(axis=1))
        galaxies = np.zeros((len(answers), len(answers)), np.int64)
        np.add.at(galaxies, pairs, 1)
        found[name] = Confusion(tuple(held[place] for place in answers), galaxies)
    return found
