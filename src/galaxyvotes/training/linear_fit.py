"""The last layer of a network for one head, fitted to features in one go: logistic regression for
fractions and classes, ridge regression for quantities.

The regularisation strength is the one of a few with the smallest loss on galaxies that were left
out: one in five at a time, or each by itself where a formula gives that (ridge regression).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from galaxyvotes.kinds import QUANTITIES
from galaxyvotes.runs.network import Network

__all__ = ["Fit", "linear_fit"]

STRENGTHS = 10.0 ** -np.arange(0, 4.1, 0.5)  # C of logistic regression
RIDGE = 10.0 ** np.arange(-1, 5.1, 1 / 3)
FOLDS = 5
NEVER = -10.0  # the logit of an answer that no galaxy has

Features = Float64[np.ndarray, "galaxy feature"]
Labels = Float64[np.ndarray, "galaxy answer"]  # NaN where not known


class Fit(NamedTuple):
    """Weights and biases of outputs, and the loss of galaxies that were left out: the mean over
    galaxies, the sum over answers.
    """

    weight: Float64[np.ndarray, "answer feature"]
    bias: Float64[np.ndarray, " answer"]
    loss: float


def linear_fit(head: Network, features: Features, labels: Labels) -> Fit:
    """The fit of all outputs of a head that predicts fractions by `cross_entropy`, or quantities,
    to labels of galaxies, NaN where not known.
    """
    if head.tree.kind is QUANTITIES:
        standards = np.array(head.head.standards)
        fits = [_ridge(features, part) for part in ((labels - standards[:, 0]) / standards[:, 1]).T]
    else:
        # L-BFGS multiplies vectors, for which the threads of a BLAS only wait: on a busy machine
        # they take ten times as long.
        with threadpool_limits(1, user_api="blas"):
            fits = [_logistic(features, labels[:, where]) for where in head.tree.slices]
    return Fit(
        np.concatenate([fit.weight for fit in fits]),
        np.concatenate([fit.bias for fit in fits]),
        sum(fit.loss for fit in fits),
    )


def _ridge(features: Features, values: Float64[np.ndarray, " galaxy"]) -> Fit:
    known = ~np.isnan(values)
    model: Any = RidgeCV(alphas=RIDGE).fit(features[known], values[known])
    return Fit(model.coef_[None], np.array([model.intercept_]), -float(model.best_score_))


def _logistic(features: Features, fractions: Labels) -> Fit:
    """One question: each galaxy counts for each answer as much as its fraction."""
    known = ~np.isnan(fractions).any(axis=1)
    features, fractions = features[known], fractions[known]
    losses = np.zeros(len(STRENGTHS))
    if len(features) >= FOLDS:
        folds: Any = KFold(FOLDS, shuffle=True, random_state=0)
        for train, left_out in folds.split(features):
            for number, strength in enumerate(STRENGTHS):
                weight, bias = _regression(features[train], fractions[train], strength)
                logits = features[left_out] @ weight.T + bias
                logits -= logits.max(axis=1, keepdims=True)
                logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
                losses[number] -= (fractions[left_out] * logs).sum()
    best = int(losses.argmin())
    weight, bias = _regression(features, fractions, STRENGTHS[best])
    return Fit(weight, bias, losses[best] / max(len(features), 1))


def _regression(
    features: Features, fractions: Labels, strength: float
) -> tuple[Float64[np.ndarray, "answer feature"], Float[np.ndarray, " answer"]]:
    """Weights and biases of the answers of a question."""
    answers = fractions.shape[1]
    weight, bias = np.zeros((answers, features.shape[1])), np.full(answers, NEVER)
    answer, galaxy = np.nonzero(fractions.T > 0)
    given = np.unique(answer)
    if len(given) < 2:
        bias[given] = 0.0
        return weight, bias
    model: Any = LogisticRegression(C=strength, max_iter=300)
    model.fit(features[galaxy], answer, fractions[galaxy, answer])
    if len(given) == 2:
        weight[given] = np.concatenate([-model.coef_, model.coef_]) / 2
        bias[given] = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        weight[given], bias[given] = model.coef_, model.intercept_
    return weight, bias
