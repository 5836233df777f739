"""How large errors are expected to be: the scale that gives prediction intervals unequal widths.

A cell is one galaxy's fraction of one answer, joint or conditional, or one of its quantities. The
expected squared error s² of a fraction is a sum: the sampling variance of a panel of n volunteers,
p(1 − p)/n; what a fraction p may be wrong by besides, p(1 − p); what is typical of its answer; and
how difficult the galaxy is, d, a spread of predictions. A joint fraction whose question only a
fraction a is asked cannot be wrong by more, so what is typical falls with a; a conditional one
comes from a panel as small as a, so what goes with p(1 − p) rises:

    joint:       s² = 0.005² + p(1 − p) / n  + by_fraction · p(1 − p)
                             + by_answer · typical · a + by_difficulty · d²
    conditional: s² = 0.005² + p(1 − p) / an + by_fraction · p(1 − p) / a
                             + by_answer · typical     + by_difficulty · d²

The sampling variance has no weight: it is known, and panels of one size could not tell it from the
second term. Where n is not known it is left out, and the weights take its place.

A quantity has no panel and no end of its range to keep errors small. What is typical of it is the
variance of its values, and its errors are counted in their standard deviation (`error_unit`), so
that all quantities share the weights:

    quantity:    s² = 0.005² + by_answer + by_difficulty · d² / typical

Nothing here depends on a quantile; `conformal` takes them.
"""

from collections.abc import Sequence
from itertools import compress, product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from galaxyvotes.kinds import ValueKind
from galaxyvotes.vote_fractions import asked_fractions, conditional_fractions

__all__ = [
    "Cells",
    "cells_of",
    "error_scale",
    "error_unit",
    "fit_weights",
    "sampling_variance",
    "typical_variance",
    "variance_terms",
]

Values = Float[np.ndarray, "galaxy answer"]
Terms = Float[np.ndarray, "galaxy answer 3"]

# Finer than one vote of a hundred; it keeps every ratio of an error to its scale finite.
_SMALLEST = 0.005
_REWEIGHTINGS = 20  # at most: it settles in five to ten
_SETTLED = 1e-3


class Cells(NamedTuple):
    """Fractions and how much of everybody is asked, or quantities (all of everybody), in float64.

    A conditional fraction is NaN where its question is not reached.
    """

    values: Values
    asked: Values
    kind: ValueKind


def cells_of(joint: Values, parents: Sequence[int], kind: ValueKind, min_asked: float) -> Cells:
    """The cells in joint fractions, or in quantities.

    `parents` is per answer the column whose givers are asked, -1 for everybody. A question is
    reached if at least `min_asked` of everybody are asked it.
    """
    if kind == "quantity":
        return Cells(joint.astype(np.float64), np.ones(joint.shape), kind)
    asked = asked_fractions(joint, parents)
    if kind == "joint":
        return Cells(joint.astype(np.float64).clip(0, 1), asked, kind)
    return Cells(conditional_fractions(joint, asked, min_asked), asked, kind)


def variance_terms(
    cells: Cells, typical: Float[np.ndarray, " answer"], difficulty: Values | None
) -> Terms:
    """The three terms of s² that have a weight; the last is zero without difficulty."""
    squared = (
        np.zeros(cells.values.shape) if difficulty is None else difficulty.astype(np.float64) ** 2
    )
    unit = error_unit(cells.kind, typical) ** 2
    return np.stack([_variance(cells), typical * _share(cells) / unit, squared / unit], axis=-1)


def error_unit(
    kind: ValueKind, typical: Float[np.ndarray, " answer"]
) -> Float[np.ndarray, " answer"]:
    """What the errors of each answer are counted in: 1, or the standard deviation of a quantity."""
    return np.sqrt(typical) if kind == "quantity" else np.ones(len(typical))


def sampling_variance(cells: Cells, volunteers: Float[np.ndarray, "*galaxy answer"]) -> Values:
    """The variance of each cell between panels of so many volunteers (all of a panel, asked or
    not).
    """
    return _variance(cells) / volunteers


def typical_variance(cells: Cells, rows: Int[np.ndarray, " row"]) -> Float[np.ndarray, " answer"]:
    """Per answer, the mean of p(1 − p) over these rows, each counted as far as it is asked; 0 if
    none is.

    Of a quantity, the variance of its known values; 1 if they do not vary.
    """
    if cells.kind == "quantity":
        known = [column[~np.isnan(column)] for column in cells.values[rows].T]
        return np.array(
            [column.var() if len(column) and np.ptp(column) > 0 else 1.0 for column in known]
        )
    variance, share = (np.nansum(part[rows], axis=0) for part in (_variance(cells), _share(cells)))
    return np.divide(variance, share, out=np.zeros(len(share)), where=share > 0)


def error_scale(terms: Terms, weights: Float[np.ndarray, "3"], noise: Values) -> Values:
    """The scale s of each cell, above zero; NaN where a cell is NaN. `noise` is its sampling
    variance.
    """
    return np.sqrt(_SMALLEST**2 + noise + terms @ weights)


def fit_weights(terms: Terms, errors: Values, noise: Values) -> Float[np.ndarray, "3"]:
    """The weights, 0 or more, that best explain the squares of the errors beyond the noise.

    Errors that are NaN are left out; without any other the weights are 0. Least squares, in which
    each cell counts by the inverse square of its expected squared error, repeated until it settles:
    so that small fractions, whose errors are small, count as much as large ones.

    Source: Carroll & Ruppert 1988, Transformation and Weighting in Regression, chapter 2
    """
    known = ~np.isnan(errors)
    if not known.any():
        return np.zeros(3)
    squared, drawn = errors[known] ** 2, noise[known]
    unit = np.maximum(terms[known].mean(axis=0), 1e-300)
    features = terms[known] / unit
    weights = np.full(3, squared.mean() / 3)
    for _ in range(_REWEIGHTINGS):
        before, expected = weights, _SMALLEST**2 + drawn + features @ weights
        weights = _least_squares(features / expected[:, None], (squared - drawn) / expected)
        if np.allclose(weights, before, rtol=_SETTLED, atol=_SETTLED * squared.mean()):
            break
    return weights / unit


def _least_squares(
    features: Float[np.ndarray, "cell feature"], values: Float[np.ndarray, " cell"]
) -> Float[np.ndarray, " feature"]:
    """The coefficients, 0 or more, that come nearest to the values: the best of the solutions with
    some of them held at 0.
    """
    gram, moments = features.T @ features, features.T @ values
    best, most = np.zeros(len(moments)), 0.0
    for kept in product((False, True), repeat=len(moments)):
        indices = list(compress(range(len(moments)), kept))
        solution = np.linalg.lstsq(gram[np.ix_(indices, indices)], moments[indices])[0]
        explained = float(solution @ moments[indices])
        if (solution >= 0).all() and explained > most:
            best, most = np.zeros(len(moments)), explained
            best[indices] = solution
    return best


def _variance(cells: Cells) -> Values:
    """p(1 − p), over the fraction asked if p is conditional; 0 for a quantity."""
    if cells.kind == "quantity":
        return np.zeros(cells.values.shape)
    variance = cells.values * (1 - cells.values)
    if cells.kind == "joint":
        return variance
    return np.divide(
        variance, cells.asked, out=np.full(variance.shape, np.nan), where=cells.asked > 0
    )


def _share(cells: Cells) -> Values:
    """How far each cell counts: a joint fraction as far as its question is asked."""
    if cells.kind == "joint":
        return cells.asked
    return np.where(np.isnan(cells.values), np.nan, 1.0)
