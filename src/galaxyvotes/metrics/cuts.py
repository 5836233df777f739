"""What a selection by a predicted fraction contains: purity and completeness.

A *cut* selects the galaxies whose predicted fraction of an answer is above it. Positive are those
of which more than half of all volunteers gave that answer. Purity is the share of the selected that
are positive, completeness the share of the positive that are selected: what machine learning calls
precision and recall. Galaxies whose label is not known count nowhere.
"""

import numpy as np
from jaxtyping import Int

from galaxyvotes.metrics.roc import THRESHOLD
from galaxyvotes.metrics.statistic import Fractions, Statistic, check_predictions, ratio

__all__ = ["CUTS", "count_selected", "cut_statistics"]

CUTS = (0.5, 0.8)  # the majority; a clean sample, as Galaxy Zoo's papers select it


def count_selected(
    labels: Fractions, predicted: Fractions, cut: float
) -> Int[np.ndarray, " answer"]:
    """How many galaxies of known label a cut selects, per answer."""
    check_predictions(labels, predicted)
    return (~np.isnan(labels) & (predicted > cut)).sum(axis=0)


def cut_statistics(labels: Fractions, predicted: Fractions, cut: float) -> dict[str, Statistic]:
    """`purity` and `completeness` of each answer at a cut; NaN where none is selected, or none
    positive.
    """
    check_predictions(labels, predicted)
    selected, positive = ~np.isnan(labels) & (predicted > cut), labels > THRESHOLD
    both = np.asarray(selected & positive, np.float64)
    return {
        "purity": ratio(both, np.asarray(selected, np.float64)),
        "completeness": ratio(both, np.asarray(positive, np.float64)),
    }
