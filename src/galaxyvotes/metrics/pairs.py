"""Whether two answers to one question are told apart at all: the AUC of each pair.

Of two answers, those galaxies count of which more than half of all volunteers gave the one or the
other; the score is the predicted fraction of the first, of both together. 0.5 is chance: an AUC
whose confidence interval holds it shows nothing that was learned. The AUC of one answer against all
galaxies cannot show that, because it is high where both are told from the rest.

Source: Hand & Till 2001, Machine Learning 45, 171, section 3.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from galaxyvotes.metrics.roc import THRESHOLD, auc_statistic
from galaxyvotes.metrics.statistic import Fractions, Statistic, check_predictions
from galaxyvotes.tree import DecisionTree

__all__ = ["Pair", "pair_statistic", "pairs_of"]


class Pair(NamedTuple):
    """Two answers to a question, by the indices of their columns, and how many galaxies each has
    more than half of the votes of.
    """

    question: str
    first: int
    second: int
    galaxies: tuple[int, int]


def pairs_of(
    labels: Fractions, tree: DecisionTree, columns: Sequence[str], *, least: int
) -> list[Pair]:
    """All pairs of answers to one question, among `columns`, that both have at least so many
    galaxies.
    """
    positives = (labels > THRESHOLD).sum(axis=0)
    place = {column: index for index, column in enumerate(columns)}
    pairs: list[Pair] = []
    for question in tree.questions:
        held = [place[a.column] for a in question.answers if a.column in place]
        frequent = [index for index in held if positives[index] >= least]
        pairs += [
            Pair(question.name, one, other, (int(positives[one]), int(positives[other])))
            for one, other in combinations(frequent, 2)
        ]
    return pairs


def pair_statistic(labels: Fractions, predicted: Fractions, pairs: Sequence[Pair]) -> Statistic:
    """The AUC of each pair, as a function of weights over galaxies."""
    check_predictions(labels, predicted)
    first, second = [pair.first for pair in pairs], [pair.second for pair in pairs]
    positive, negative = labels[:, first] > THRESHOLD, labels[:, second] > THRESHOLD
    targets = np.where(positive, 1.0, np.where(negative, 0.0, np.nan))
    one = predicted[:, first].astype(np.float64).clip(0)
    both = one + predicted[:, second].astype(np.float64).clip(0)
    shares = np.divide(one, both, out=np.full(both.shape, 0.5), where=both > 0)
    return auc_statistic(targets, shares)
