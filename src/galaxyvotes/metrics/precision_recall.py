"""Precision–recall curves: how many of the selected galaxies are positive, against how many of the
positive are selected.

Where positive galaxies are rare, a ROC curve looks good long before a selection is pure; this curve
shows the purity itself. A random selection has the share of positives as its precision.

Source: Davis & Goadrich 2006, ICML, 233.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from sklearn import metrics as sklearn_metrics

from galaxyvotes.metrics.statistic import check_predictions

__all__ = ["PrecisionRecallCurve", "precision_recall_curve"]


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """A curve from recall 0 up, its average precision and the share of positives; no points, and
    NaN, without positives or without negatives.
    """

    recall: Float[np.ndarray, " point"]
    precision: Float[np.ndarray, " point"]
    average_precision: float
    positives: float


def precision_recall_curve(
    positive: Bool[np.ndarray, " galaxy"], predicted: Float[np.ndarray, " galaxy"]
) -> PrecisionRecallCurve:
    """The precision–recall curve of a predicted fraction.

    Raises ValueError for predictions that are NaN or infinite.
    """
    check_predictions(positive, predicted)
    share = float(positive.mean()) if len(positive) else np.nan
    if positive.all() or not positive.any():
        return PrecisionRecallCurve(np.empty(0), np.empty(0), np.nan, share)
    curve: tuple[np.ndarray, ...] = sklearn_metrics.precision_recall_curve(
        positive, predicted, drop_intermediate=False
    )
    precision, recall = (np.asarray(part, np.float64) for part in curve[:2])
    average = float(-np.diff(recall) @ precision[:-1])
    return PrecisionRecallCurve(recall[::-1], precision[::-1], average, share)
